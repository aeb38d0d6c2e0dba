package mcpsectest

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A Delivery is one webhook as a [Sender] has made it. To post it again is a replay. A
// Delivery of one's own making can be posted, and has no Forgeries.
type Delivery struct {
	Header http.Header
	Body   []byte

	from   Sender
	timed  bool   // when it was signed is signed, too
	signed bool   // the whole body is
	bare   string // the body without a signature, if it has one in it
	again  func(Sender) Delivery
}

// Post delivers to a handler, and returns the status that it answers with.
func (d Delivery) Post(t testing.TB, to http.Handler) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(d.Body))
	r.Header = d.Header.Clone()
	w := httptest.NewRecorder()
	to.ServeHTTP(w, r)
	return w.Code
}

// PostURL delivers to a server, and returns the status that it answers with. No answer
// ends the test.
func (d Delivery) PostURL(t testing.TB, url string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(d.Body))
	if err != nil {
		t.Fatalf("mcpsectest: %v", err)
	}
	r.Header = d.Header.Clone()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatalf("mcpsectest: %v", err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

// longer than any tolerance that a verifier of mcpsec/webhook takes.
const stale = 4 * 24 * time.Hour

// Forgeries are deliveries that must have no effect, by name: "unsigned", "wrong key";
// where the sender signs the body, "forged", which has one more space behind it; where
// it signs the time, "stale", from four days ago, and "early", from four days ahead.
// Members of Header that no Sender has set are in all of them.
func (d Delivery) Forgeries() iter.Seq2[string, Delivery] {
	if d.again == nil {
		return func(func(string, Delivery) bool) {}
	}
	now := d.from.At
	if now.IsZero() {
		now = time.Now()
	}
	return func(yield func(string, Delivery) bool) {
		_ = yield("unsigned", d.unsigned()) &&
			yield("wrong key", d.by(d.from.stranger())) &&
			(!d.signed || yield("forged", Delivery{Header: d.Header, Body: append(bytes.Clone(d.Body), ' ')})) &&
			(!d.timed || yield("stale", d.by(d.from.in(now.Add(-stale))))) &&
			(!d.timed || yield("early", d.by(d.from.in(now.Add(stale)))))
	}
}

func (s Sender) in(at time.Time) Sender { s.At = at; return s }

// by is the delivery as another sender makes it.
func (d Delivery) by(s Sender) Delivery {
	other := d.again(s)
	for name, values := range d.Header {
		if other.Header[name] == nil {
			other.Header[name] = values
		}
	}
	return other
}

func (d Delivery) unsigned() Delivery {
	h := header()
	made := d.again(d.from).Header
	for name, values := range d.Header {
		if made[name] == nil {
			h[name] = values
		}
	}
	return Delivery{Header: h, Body: []byte(cmp.Or(d.bare, string(d.Body)))}
}

// stranger is a sender that has none of the keys.
func (s Sender) stranger() Sender {
	s.Secret = redact.NewSecret("whsec_" + b64(random(24)))
	if s.Key != nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic("mcpsectest: " + err.Error())
		}
		s.Key = key
	}
	return s
}

// Check fails the test unless the handler of an endpoint does what it should: each of
// the Forgeries is refused, with no status that would tell its sender that it is done
// (2xx) and without an effect; the genuine delivery, which comes eight times at once,
// has one effect; and a later one is told that it is done, without another. effects
// counts the effects that there were until now, and must be safe for concurrent use.
func (d Delivery) Check(t testing.TB, h http.Handler, effects func() int) {
	t.Helper()
	if d.again == nil {
		t.Fatal("mcpsectest: a Delivery that no Sender has made has no Forgeries to check")
	}
	before := effects()
	for name, forgery := range d.Forgeries() {
		if status := forgery.Post(t, h); done(status) {
			t.Errorf("%s: answered with %d", name, status)
		}
		if now := effects(); now != before {
			t.Errorf("%s: had an effect", name)
			before = now
		}
	}
	statuses := d.atOnce(t, h)
	if n := effects() - before; n != 1 {
		t.Errorf("delivered %d times at once: %d effects, answered with %d", len(statuses), n, statuses)
	}
	before = effects()
	if status := d.Post(t, h); !done(status) || effects() != before {
		t.Errorf("replayed: answered with %d, %d effects more", status, effects()-before)
	}
}

func (d Delivery) atOnce(t testing.TB, h http.Handler) []int {
	statuses := make([]int, 8)
	var wg sync.WaitGroup
	for i := range statuses {
		wg.Go(func() { statuses[i] = d.Post(t, h) })
	}
	wg.Wait()
	return statuses
}

func done(status int) bool { return status/100 == 2 }
