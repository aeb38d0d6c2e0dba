package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// stripeResults are the chapter's steps and results: of a read, of what is repeated,
// of a live key, and of what was written.
var stripeResults = len(declined) + len(stripeAttacks) + 2 + 5 + 1 + 3

// The chapter on Stripe shows every step, with what was computed.
func TestTourStripe(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	err := stripe(t.Context(), tour.NewPrinter(&b), t.TempDir())
	out := b.String()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := strings.Count(out, "✓"); got != stripeResults || strings.Contains(out, "✗") {
		t.Errorf("%d steps went well, want %d", got, stripeResults)
	}
	text := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{"the model reads 9: no client_secret", "They say no.", "20 equal answers", "records verify", "No key, no card number"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if t.Failed() {
		t.Log(out)
	}
}

// spoiled names what a server of the chapter is without.
const spoiled = "TOUR_STRIPE_SPOILED"

// forgetful is a state in which nothing was done before.
type forgetful struct{ *state.Memory }

func (f forgetful) Claim(_ context.Context, key string, _ time.Duration) (state.Claim, error) {
	return state.Claim{Key: key, Status: state.Taken}, nil
}

func (forgetful) Complete(context.Context, state.Claim, []byte, time.Duration) error { return nil }
func (forgetful) Fail(context.Context, state.Claim) error                            { return nil }

// spoils take a protection from the server. The chapter must notice, in these words.
var spoils = map[string]struct {
	spoil func(*stripetool.Options)
	want  string
}{
	"nobody is asked":              {func(o *stripetool.Options) { o.Waive = []mcpsec.Waiver{insecure.Unconfirmed("a test")} }, "A refund, and the person says no: the server answered"},
	"a call may move more":         {func(o *stripetool.Options) { o.Caps[0].PerCall, o.Caps[0].PerDay = euros(60), euros(60) }, "more than a call may move: the server answered"},
	"a day may move more":          {func(o *stripetool.Options) { o.Caps[0].PerDay = euros(61) }, "more than is left of the day: the server answered"},
	"what was done is not known":   {func(o *stripetool.Options) { o.State = forgetful{new(state.Memory)} }, "the very same call once more: the server answered"},
	"live keys are taken":          {func(o *stripetool.Options) { o.Waive = []mcpsec.Waiver{insecure.LiveMode("a test")} }, "a server with a live key: "},
	"customers may be read":        {func(o *stripetool.Options) { o.Resources = append(o.Resources, "customers") }, "a customer's address: the server answered"},
	"there is a cap for the yen":   {func(o *stripetool.Options) { o.Caps = append(o.Caps, stripetool.Cap{PerCall: yen, PerDay: yen}) }, "two thousand yen, of euros: the server answered"},
	"no refunds, but may be asked": {func(o *stripetool.Options) { o.Permissions = nil }, "A refund, and the person says no: "},
}

var yen = stripetool.Money{Amount: 5000, Currency: "JPY"}

// Whatever protection is missing, the chapter ends with an error that names what it saw.
func TestTourStripeNotices(t *testing.T) {
	t.Parallel()
	for name, c := range spoils {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bank := httptest.NewServer(newBank(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))) // whatever is asked is well formed
			defer bank.Close()
			var out bytes.Buffer
			err := stripeAt(t.Context(), tour.NewPrinter(&out), bank.URL, t.TempDir(), []string{spoiled + "=" + name})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("it ends with %v, want %s\n%s", err, c.want, &out)
			}
		})
	}
}
