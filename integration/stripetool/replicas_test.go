package stripetool

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/mcpsec/mcpsec-go/stripetool"
)

// front is the bank at another address.
func (b *bank) front() *bank {
	f := &bank{t: b.t, Server: httptest.NewServer(b)}
	b.t.Cleanup(f.Close)
	return f
}

// onRefund runs once, when the first request for a refund has come to the bank, with
// the network that it came by.
func (f *fleet) onRefund(do func(i int)) {
	var once sync.Once
	f.bank.mu.Lock()
	defer f.bank.mu.Unlock()
	f.bank.fault = func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodPost {
			once.Do(func() {
				at := r.Context().Value(http.LocalAddrContextKey).(net.Addr).String()
				for i, front := range f.fronts {
					if front == at {
						do(i)
					}
				}
			})
		}
		return false
	}
}

// moments are when a replica's network begins to fail, and how, and how many requests
// for the refund there are at least. It goes on failing: whoever is told to call again
// finds another replica.
var moments = map[string]struct {
	fail     func(*fleet)
	requests int
}{
	"before the request": {func(f *fleet) {
		f.networks[0].on("upstream", "reset_peer", `"timeout":0`)
		f.networks[1].on("upstream", "timeout", `"timeout":50`)
		f.networks[2].on("downstream", "latency", `"latency":10,"jitter":10`)
		for i := range 2 {
			if a, err := f.replicas[i].call(tool, refund("ch_one", "EUR 44.00")); err != nil || !a.refused || !strings.Contains(a.text, "try again later") {
				f.t.Errorf("a replica that gets nowhere answers %v: %v", a, err)
			}
		}
	}, 1},
	"reset after it was sent": {func(f *fleet) {
		f.onRefund(func(i int) { f.networks[i].on("downstream", "reset_peer", `"timeout":0`) })
	}, 2},
	"silence after it was sent": {func(f *fleet) {
		f.onRefund(func(i int) { f.networks[i].on("downstream", "timeout", `"timeout":50`) })
	}, 2},
	"end in the middle of the answer": {func(f *fleet) {
		f.onRefund(func(i int) { f.networks[i].on("downstream", "limit_data", `"bytes":120`) })
	}, 2},
}

// The same call twenty times at once, to three replicas whose networks fail: one
// refund, and twenty equal answers. Who is told to call again does; nobody is told
// anything else.
func TestTwentyAtOnceOnReplicas(t *testing.T) {
	t.Parallel()
	for name, m := range moments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, replicaSettings{})
			m.fail(f)
			answers, again := f.atOnce(20, func(int) string { return refund("ch_one", "EUR 44.00") })
			for i, a := range answers {
				if a.refused || a != answers[0] || !strings.Contains(a.text, `"id":"re_1"`) {
					t.Errorf("answer %d is %v, the first %v", i, a, answers[0])
				}
			}
			if f.bank.made() != 1 || f.bank.posts < m.requests {
				t.Errorf("got %d refunds by %d requests, want 1 by %d or more", f.bank.made(), f.bank.posts, m.requests)
			}
			t.Logf("%d requests for it, call again %d times", f.bank.posts, again)
		})
	}
}

// A replica is killed when its refund was made and nobody knows yet. When its lease is
// over the others send the very same request, for which there was one refund; so does
// the one that takes its place. It takes of the day's cap once, and all are told what was
// done, also where the refund has left nothing.
func TestReplicaIsKilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t, replicaSettings{Caps: []stripetool.Cap{{PerCall: cents(4_400), PerDay: cents(4_400)}}})
	f.bank.effect = sync.OnceFunc(f.replicas[0].Kill)
	if a, err := f.replicas[0].call(tool, refund("ch_one", "EUR 44.00")); err == nil {
		t.Fatalf("a replica that was killed answers %v", a)
	}
	if f.bank.made() != 1 {
		t.Fatalf("got %d refunds", f.bank.made())
	}
	if tag, err := f.admin().Exec(t.Context(), "UPDATE mcpsec.claims SET ends = 0"); err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("%v: %v: the claim of a replica that was killed", tag, err)
	}
	f.replicas[0].Start(t)
	answers, _ := f.atOnce(6, func(int) string { return refund("ch_one", "EUR 44.00") })
	for i, a := range answers {
		if a.refused || a != answers[0] || !strings.Contains(a.text, `"id":"re_1"`) {
			t.Errorf("answer %d is %v, the first %v", i, a, answers[0])
		}
	}
	if f.bank.made() != 1 {
		t.Errorf("got %d refunds", f.bank.made())
	}
}

// Callers of three replicas have no more than the day's cap together, to the cent.
// What Stripe declines meanwhile is given back.
func TestCapsOnReplicas(t *testing.T) {
	t.Parallel()
	f := newFleet(t, replicaSettings{Unconfirmed: true, Caps: []stripetool.Cap{{PerCall: cents(5_000), PerDay: cents(20_007)}}})
	amount := func(i int) string {
		text := "EUR 50.00"
		if i%3 == 2 {
			text = "EUR 6.66" // which the bank declines
		}
		return refund("ch_big", text, fmt.Sprintf(`,"idempotency_key":"%d"`, i))
	}
	answers, _ := f.atOnce(18, amount)
	for i, a := range answers {
		switch declined := strings.Contains(a.text, "lost_card"); {
		case a.refused && !declined && !strings.Contains(a.text, "cap of EUR 200.07 has less left"):
			t.Errorf("answer %d is %v", i, a)
		case declined && i%3 != 2:
			t.Errorf("answer %d is a decline", i)
		}
	}
	for i := range answers { // what a decline held for a moment is free again
		f.finish(i, amount(i))
	}
	if f.bank.made() != 4 {
		t.Errorf("got %d refunds of EUR 50.00 of a cap of EUR 200.07", f.bank.made())
	}
	for i, c := range []struct{ amount, want string }{
		{"EUR 0.08", "cap of EUR 200.07 has less left"}, {"EUR 0.07", `"amount":7`}, {"EUR 0.01", "begins anew at midnight UTC"},
	} {
		if a, _ := f.replicas[i].call(tool, refund("ch_big", c.amount)); !strings.Contains(a.text, c.want) {
			t.Errorf("%s: got %v, want %s", c.amount, a, c.want)
		}
	}
	f.bank.mu.Lock()
	defer f.bank.mu.Unlock()
	if got := f.bank.charges["ch_big"].Refunded; got != 20_007 {
		t.Errorf("%d cents were refunded", got)
	}
}
