package stripetool

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// of is an object's member, as the account has it.
func (b *bank) of(path, member string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprint(b.account.objects[path][member])
}

// did are the effects that were had, but for refunds.
func (b *bank) did() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.account.done)
}

// wasAsked checks the last question.
func (s *session) wasAsked(want string) {
	s.t.Helper()
	if q := s.questions(); len(q) == 0 || !strings.Contains(q[len(q)-1], want) {
		s.t.Errorf("was asked %q, want %q", q[max(0, len(q)-1):], want)
	}
}

// had checks the effects.
func (b *bank) had(want ...string) {
	b.t.Helper()
	if got := b.did(); !slices.Equal(got, want) {
		b.t.Errorf("had the effects %q, want %q", got, want)
	}
}

// Every tool that writes is answered with usual arguments, and asks before.
func TestEveryChangeIsAsked(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	s.approve = func(mcpsec.Question) bool { return false }
	for name, args := range usual {
		s.deny("", name, args)
	}
	if got := len(s.questions()); got != len(usual) || b.posts > 0 {
		t.Errorf("got %d questions of %d tools, and %d requests that write", got, len(usual), b.posts)
	}
	s.approve = nil
	for name, args := range usual {
		s.ok(name, args, `"id":"`)
	}
	if got := len(b.did()); got != len(usual) {
		t.Errorf("got %d effects of %d tools", got, len(usual))
	}
}

// Only what can be undone, moves no money and reaches nobody outside can do without a
// person.
func TestUnasked(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	may := map[string][]string{"customers": {"create", "update"}, "products": {"create"}, "prices": {"create"}, "payment_intents": {"create"}, "setup_intents": {"create"}, "payment_methods": {"attach"}, "coupons": {"create"}}
	o := options(b.URL)
	o.Unasked = may
	s := serve(t, o)
	n := 0
	for resource, actions := range permissions {
		for _, action := range actions {
			name := "stripe_" + action + "_" + strings.TrimSuffix(resource, "s")
			if slices.Contains(may[resource], action) {
				n++
				s.ok(name, usual[name])
				continue
			}
			o := options(b.URL)
			o.Unasked = map[string][]string{resource: {action}}
			if _, err := stripetool.New(o); err == nil {
				t.Errorf("%s may be unasked", name)
			}
		}
	}
	if len(s.questions()) != 0 || len(b.did()) != n || n != 8 {
		t.Errorf("got %d questions and %d effects of %d", len(s.questions()), len(b.did()), n)
	}
	s.ok("stripe_update_customer", `{"id":"cus_Ann","email":"x@shop.example"}`)
	s.wasAsked(`email "x@shop.example" in place of "cus_ann@shop.example"`)
	s.ok("stripe_update_customer", `{"id":"cus_Ann","default_payment_method":"pm_ann"}`)
	s.wasAsked(`"pm_ann" in place of ""`)
	s.ok("stripe_delete_customer", usual["stripe_delete_customer"])
	s.wasAsked("delete customer cus_Gone")
}

// What was sent with a person's yes, and has had no answer, is sent again with another.
func TestLostIsAskedAgain(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := options(b.URL)
	o.Unasked = map[string][]string{"customers": {"update"}}
	s := serve(t, o)
	b.fault = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodPost {
			w.Header().Set("Retry-After", "3600") // so that it is not sent again
			w.WriteHeader(http.StatusInternalServerError)
		}
		return r.Method == http.MethodPost
	}
	for i := range 3 {
		s.deny("it is not known whether Stripe has done it", "stripe_update_customer", `{"id":"cus_Ann","email":"x@shop.example"}`)
		if got := len(s.questions()); got != i+1 {
			t.Errorf("got %d questions of %d calls", got, i+1)
		}
	}
}

// Who may change what may not be read is told nothing of it that was there before.
func TestChangesShowWhatMayBeRead(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	for _, resources := range [][]string{{"charges"}, {"customers"}} {
		o := options(b.URL)
		o.Resources, o.Unasked = resources, map[string][]string{"customers": {"update"}}
		s := serve(t, o)
		for range 2 { // done, and repeated
			if got := s.ok("stripe_update_customer", `{"id":"cus_Ann","description":"`+resources[0]+`"}`, `"id":"cus_Ann"`); strings.Contains(got, "@") != (resources[0] == "customers") || strings.Contains(got, "description") != (resources[0] == "customers") {
				t.Errorf("with %s to be read: got %s", resources[0], got)
			}
		}
	}
}

// What sets a state is done anew when others have set another since, whoever asks, and
// an equal call before that does nothing more. The answer is what there is.
func TestStateIsSetAnew(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := options(b.URL)
	o.State = new(state.Memory)
	o.Unasked = map[string][]string{"customers": {"update"}}
	all := []*session{serve(t, o), serve(t, o)}
	name := func(i int, to string) {
		t.Helper()
		all[i%2].ok("stripe_update_customer", fmt.Sprintf(`{"id":"cus_Ann","name":%q}`, to), fmt.Sprintf(`"name":%q`, to))
		if got := b.of("customers/cus_Ann", "name"); got != to {
			t.Errorf("it was set to %s and is %s", to, got)
		}
	}
	for i, to := range []string{"A", "B", "A", "A", "B", "B", "A", "B"} {
		name(i, to)
	}
	if got := len(b.did()); got != 6 {
		t.Errorf("got %d effects, want 6", got)
	}
	all[0].ok("stripe_update_customer", `{"id":"cus_Ann","email":"b@shop.example"}`)
	all[1].ok("stripe_update_customer", `{"id":"cus_Ann","name":"B"}`, `"email":"b@shop.example"`) // and not what it was before
	if got := len(b.did()); got != 7 {
		t.Errorf("got %d effects, want 7", got)
	}
}

// Twenty equal calls at once, on as many replicas, over a network that resets: one
// effect and twenty equal answers; and again, after the state was changed.
func TestStateIsSetOnceAtOnce(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	n := newNetwork(t, b)
	o := options(n.url())
	o.State = new(state.Memory)
	o.Unasked = map[string][]string{"customers": {"update"}}
	var all []*session
	for range 20 {
		all = append(all, serve(t, o))
	}
	b.effect = func() { n.toxic("reset_peer", `"timeout": 0`) }
	for round := 1; round <= 3; round++ {
		answers := make([]answer, len(all))
		atOnce(all, func(i int, s *session) {
			for range 4 { // a reset may hit every attempt
				if answers[i] = s.call("stripe_update_customer", `{"id":"cus_Ann","name":"A"}`); !answers[i].refused {
					return
				}
				n.calm()
			}
		})
		for i, a := range answers {
			if a.refused || a != answers[0] {
				t.Errorf("round %d: answer %d is %v, the first %v", round, i, a, answers[0])
			}
		}
		if got := len(b.did()); got != round {
			t.Errorf("round %d: got %d effects", round, got)
		}
		b.mu.Lock()
		b.account.objects["customers/cus_Ann"]["name"] = "B" // by others
		b.mu.Unlock()
	}
}

// A state that was set by a call whose answer was lost, and by others since, is not
// said to be set.
func TestLostStateIsLookedAt(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	n := newNetwork(t, b)
	o := options(n.url())
	o.State = new(state.Memory)
	o.Unasked = map[string][]string{"customers": {"update"}}
	s := serve(t, o)
	b.effect = func() { n.toxic("reset_peer", `"timeout": 0`) }
	s.deny("it is not known whether Stripe has done it", "stripe_update_customer", `{"id":"cus_Ann","name":"A"}`)
	b.mu.Lock()
	b.effect = nil
	b.account.objects["customers/cus_Ann"]["name"] = "B"
	b.mu.Unlock()
	n.calm()
	s.deny("changed by others since", "stripe_update_customer", `{"id":"cus_Ann","name":"A"}`)
	if got := b.of("customers/cus_Ann", "name"); got != "B" {
		t.Errorf("it is %s", got)
	}
	s.ok("stripe_update_customer", `{"id":"cus_Ann","name":"A"}`, `"name":"A"`)
	if got := b.of("customers/cus_Ann", "name"); got != "A" || len(b.did()) != 2 {
		t.Errorf("it is %s after %d effects", got, len(b.did()))
	}
}

// Texts that people read otherwise than programs do get nowhere.
func TestTextsAreVisible(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	for _, bad := range []string{`a\u202eb`, `a\u200bb`, `a\nb`, `a\tb`, `a\u0007b`, `a\u2028b`, `a\udb40\udc41b`} {
		s.deny("", "stripe_create_product", `{"name":"`+bad+`"}`)
		s.deny("", "stripe_create_product", `{"name":"Tea","metadata":{"a":"`+bad+`"}}`)
		s.deny("", "stripe_create_product", `{"name":"Tea","metadata":{"`+bad+`":"a"}}`)
	}
	s.deny("", "stripe_create_product", `{"name":"`+strings.Repeat("x", 251)+`"}`)
	var many []string
	for i := range 51 {
		many = append(many, fmt.Sprintf(`"k%d":"v"`, i))
	}
	s.deny("", "stripe_create_product", `{"name":"Tea","metadata":{`+strings.Join(many, ",")+`}}`)
	s.deny("a name in metadata", "stripe_create_product", `{"name":"Tea","metadata":{"a][b":"x"}}`)
	s.deny("a name in metadata", "stripe_create_product", `{"name":"Tea","metadata":{"client_secret":"x"}}`)
	if b.posts != 0 {
		t.Errorf("got %d requests that write", b.posts)
	}
	s.ok("stripe_create_product", `{"name":"چای\u200cخانه 👩\u200d🍳","metadata":{`+strings.Join(many[1:], ",")+`}}`)
}

// Callers at one moment capture and charge no more than the day's cap together.
func TestCapsOfPayments(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	o := options(b.URL)
	o.State = new(state.Memory)
	o.Caps = []stripetool.Cap{{PerCall: cents(5_000), PerDay: cents(10_000)}}
	o.Waive = []mcpsec.Waiver{insecure.Unconfirmed("what is asked changes with each capture")}
	var all []*session
	b.mu.Lock()
	for i := range 10 {
		all = append(all, serve(t, o))
		b.account.objects[fmt.Sprintf("payment_intents/pi_h%d", i)] = merged(intent(4_000, "eur", "requires_capture", "manual", "pm_ann"), object{"id": fmt.Sprintf("pi_h%d", i)})
		b.account.objects[fmt.Sprintf("payment_intents/pi_c%d", i)] = merged(intent(1_000, "eur", "requires_confirmation", "automatic", "pm_ann"), object{"id": fmt.Sprintf("pi_c%d", i)})
	}
	b.mu.Unlock()
	all[0].deny("at most EUR 50.00", "stripe_capture_payment_intent", `{"id":"pi_big"}`)
	all[0].deny("decline code insufficient_funds", "stripe_confirm_payment_intent", `{"id":"pi_new","payment_method":"pm_declined"}`) // takes nothing
	all[0].ok("stripe_confirm_payment_intent", `{"id":"pi_hold"}`)                                                                    // holds, and takes nothing
	atOnce(all, func(i int, s *session) { s.call("stripe_capture_payment_intent", fmt.Sprintf(`{"id":"pi_h%d"}`, i)) })
	if got := len(b.did()); got != 1+2 {
		t.Errorf("%d captures of EUR 40.00 of a cap of EUR 100.00", got-1)
	}
	atOnce(all, func(i int, s *session) { s.call("stripe_confirm_payment_intent", fmt.Sprintf(`{"id":"pi_c%d"}`, i)) })
	if got := len(b.did()); got != 1+2+2 {
		t.Errorf("%d charges of EUR 10.00 of EUR 20.00 that were left", got-3)
	}
	all[1].deny("has less left", "stripe_capture_payment_intent", `{"id":"pi_hold","amount":"EUR 0.01"}`)
}

// Whatever Stripe says to a request that writes, no word of it leaves.
func TestErrorsOfChanges(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	status := []int{400, 401, 402, 403, 404, 500, 418, 200}
	text := []string{wrong(secretMail, secretMail, secretMail), secretMail + secretWord, `{"x":"` + secretWord + `"}`}
	n := 0
	b.fault = func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodGet {
			return false
		}
		w.Header().Set("Request-Id", secretMail)
		w.Header().Set("Retry-After", "3600") // so that it is not sent again
		w.WriteHeader(status[n%len(status)])
		_, _ = io.WriteString(w, text[n%len(text)])
		return true
	}
	for name, args := range usual {
		for range len(status) * len(text) {
			n++
			if a := s.call(name, strings.TrimSuffix(args, "}")+fmt.Sprintf(`,"idempotency_key":"%d"}`, n)); !a.refused && a.text != `{"deleted":true,"id":"cus_Gone"}` { // 404: it is gone
				t.Errorf("%s: got %s", name, a.text)
			}
		}
	}
	for where, said := range map[string]string{"answers and questions": s.said.String(), "the log": s.log.String()} {
		for _, secret := range []string{secretMail, secretWord, keyBody, "_secret_"} {
			if strings.Contains(said, secret) {
				t.Errorf("%s has %s", where, secret)
			}
		}
	}
	if b.posts < n/2 {
		t.Errorf("got %d requests that write of %d calls", b.posts, n)
	}
}
