package stripetool

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// A network stands before a bank and can be made to fail.
type network struct {
	*toxiproxy.Proxy
	t *testing.T
}

func newNetwork(t *testing.T, b *bank) *network {
	t.Helper()
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	n := &network{toxiproxy.NewProxy(api, t.Name(), "127.0.0.1:0", b.Listener.Addr().String()), t}
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.Stop()
		b.CloseClientConnections()
	})
	return n
}

func (n *network) url() string { return "http://" + n.Listen }

// toxic makes the network fail on the way from the bank.
func (n *network) toxic(kind, attributes string) { n.on("downstream", kind, attributes) }

func (n *network) calm() { n.Toxics.ResetToxics(context.Background()) }

// The connection is reset after the refund was made and before its answer: the
// request is sent again with its key, and there is one refund.
func TestResetAfterRefund(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	n := newNetwork(t, b)
	s := serve(t, options(n.url()))
	b.effect = func() { n.toxic("reset_peer", `"timeout": 0`) }
	b.fault = func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		if b.made() == 1 && r.Method == http.MethodPost {
			n.calm()
		}
		return false
	}
	s.ok(tool, refund("ch_one", "EUR 19.00"), `"id":"re_1"`)
	if b.made() != 1 || b.posts < 2 {
		t.Errorf("got %d refunds by %d requests", b.made(), b.posts)
	}
}

// No answer comes at all: it is said that nobody knows. An equal call, on another
// replica, sends the very same request, for which there was one refund; its caps are
// taken once. A person reads that it is a repetition.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	n := newNetwork(t, b)
	o := options(n.url())
	o.State, o.Timeout = new(state.Memory), 5*time.Second
	o.Caps = []stripetool.Cap{{PerCall: cents(4_400), PerDay: cents(4_400)}}
	s := serve(t, o)
	b.effect = func() { n.toxic("reset_peer", `"timeout": 0`) }
	s.deny("it is not known whether Stripe has done it", tool, refund("ch_one", "EUR 44.00"))
	if b.made() != 1 {
		t.Fatalf("got %d refunds", b.made())
	}
	n.calm()
	b.mu.Lock()
	b.effect = nil
	b.mu.Unlock()
	o.URL, o.Timeout = b.URL, 10*time.Second // another replica, another way
	replica := serve(t, o)
	replica.ok(tool, refund("ch_one", "EUR 44.00"), `"id":"re_1"`)
	q := replica.questions()
	if len(q) != 1 || !strings.Contains(q[0], "refund EUR 44.00 of EUR 49.00") || !strings.Contains(q[0], "done once in all") {
		t.Errorf("was asked %q", q)
	}
	replica.ok(tool, refund("ch_one", "EUR 44.00"), `"id":"re_1"`)
	if b.made() != 1 {
		t.Errorf("got %d refunds", b.made())
	}
}

// Stripe fails with 500: nobody knows, and the caps stay taken.
func TestServerError(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := options(b.URL)
	o.State = new(state.Memory)
	o.Caps = []stripetool.Cap{{PerCall: cents(1_000), PerDay: cents(1_000)}}
	s := serve(t, o)
	b.fault = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method != http.MethodPost {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, wrong("api_error", "", ""))
		return true
	}
	s.deny("it is not known whether Stripe has done it (status 500, type api_error)", tool, refund("ch_big", "EUR 10.00"))
	b.mu.Lock()
	b.fault = nil
	b.mu.Unlock()
	s.deny("has less left", tool, refund("ch_big", "EUR 0.01"))
	s.ok(tool, refund("ch_big", "EUR 10.00"), `"id":"re_1"`)
	s.deny("has less left", tool, refund("ch_big", "EUR 0.01"))
}

// A cut answer is none, and a slow one is given up in time.
func TestCutAnswer(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	n := newNetwork(t, b)
	o := options(n.url())
	o.Timeout = 2 * time.Second
	s := serve(t, o)
	s.ok("stripe_balance", `{}`)
	n.toxic("limit_data", `"bytes": 150`)
	if a := s.call("stripe_list", `{"resource":"events"}`); !a.refused {
		t.Errorf("a cut answer is taken: %s", a.text)
	}
	n.calm()
	n.toxic("timeout", `"timeout": 0`)
	s.deny("Stripe does not answer", "stripe_get", `{"resource":"charges","id":"ch_one"}`)
}
