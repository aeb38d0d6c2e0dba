package mcpsectest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// A test of an example: it prints what it fails for.
type exampleT struct {
	testing.TB
	cleanups []func()
}

func (*exampleT) Helper()                           {}
func (*exampleT) Context() context.Context          { return context.Background() }
func (t *exampleT) Cleanup(f func())                { t.cleanups = append(t.cleanups, f) }
func (*exampleT) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (*exampleT) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }

func (t *exampleT) end() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
}

type CancelIn struct {
	Order string `json:"order" validate:"required,max=20" jsonschema:"the order's id"`
}

type Cancelled struct {
	Order string `json:"order"`
	By    string `json:"by"`
}

// newShop is the server under test.
func newShop(audit slog.Handler) *mcpsec.Server {
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "shop", Version: "1.0.0"}, mcpsec.Options{
		Audit: audit,
		Log:   slog.DiscardHandler,
		Mode:  mcpsec.Destroy,
	})
	if err != nil {
		log.Fatal(err)
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{
		Name:        "order_cancel",
		Description: "Cancel an order.",
		Effect:      mcpsec.Destroy,
		Scopes:      []string{"orders.cancel"},
		Guards: []mcpsec.Guard{mcpsec.Preview(func(_ context.Context, in CancelIn) (string, error) {
			return fmt.Sprintf("cancels order %q", in.Order), nil
		})},
	}, func(ctx context.Context, in CancelIn) (Cancelled, error) {
		return Cancelled{in.Order, mcpsec.PrincipalFrom(ctx).ID}, nil
	}))
	return srv
}

var ada = mcpsec.Principal{ID: "ada", Scopes: []string{"orders.cancel"}}

// The person at the client reads the question, and says yes.
func ExampleConnect() {
	t := &exampleT{} // in a test: its *testing.T
	defer t.end()

	client := mcpsectest.Connect(t, newShop(new(mcpsectest.Audit)), mcpsectest.ClientOptions{
		Principal: ada,
		Confirm: func(question string) bool {
			fmt.Println(question)
			return true
		},
	})
	got := mcpsectest.Call[Cancelled](t, client, "order_cancel", CancelIn{Order: "A-17"})
	fmt.Println("cancelled", got.Order)
	// Output:
	// Allow shop to run order_cancel? It cannot be undone.
	// • cancels order "A-17"
	// cancelled A-17
}

func ExampleCall() {
	t := &exampleT{} // in a test: its *testing.T
	defer t.end()

	client := mcpsectest.Connect(t, newShop(new(mcpsectest.Audit)), mcpsectest.ClientOptions{
		Principal: ada,
		Confirm:   func(string) bool { return true },
	})
	got := mcpsectest.Call[Cancelled](t, client, "order_cancel", CancelIn{Order: "A-17"})
	if want := (Cancelled{Order: "A-17", By: "ada"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	fmt.Printf("%+v\n", got)
	// Output: {Order:A-17 By:ada}
}

// Whoever lacks the scope is told that there is no such tool.
func ExampleRefused() {
	t := &exampleT{} // in a test: its *testing.T
	defer t.end()

	client := mcpsectest.Connect(t, newShop(new(mcpsectest.Audit)), mcpsectest.ClientOptions{
		Principal: mcpsec.Principal{ID: "bob", Scopes: []string{"orders.read"}},
	})
	fmt.Println(mcpsectest.Refused(t, client, "order_cancel", CancelIn{Order: "A-17"}))
	// Output: unknown tool: tools/list names those that exist
}

// What became of each call is on record.
func ExampleAudit() {
	t := &exampleT{} // in a test: its *testing.T
	defer t.end()

	audit := &mcpsectest.Audit{}
	yes := true
	client := mcpsectest.Connect(t, newShop(audit), mcpsectest.ClientOptions{
		Principal: ada,
		Confirm:   func(string) bool { return yes },
	})
	mcpsectest.Call[Cancelled](t, client, "order_cancel", CancelIn{Order: "A-17"})
	fmt.Println(audit.Story("order_cancel"))

	yes = false
	mcpsectest.Refused(t, client, "order_cancel", CancelIn{Order: "A-18"})
	fmt.Println(audit.Story("order_cancel"))
	// Output:
	// asked mrtr; allowed mrtr; ok
	// asked mrtr; allowed mrtr; ok; asked mrtr; refused declined
}

// What cannot be recorded does not happen.
func ExampleAudit_fail() {
	t := &exampleT{} // in a test: its *testing.T
	defer t.end()

	audit := &mcpsectest.Audit{Fail: func(record map[string]any) error {
		if record["decision"] == "asked" {
			return errors.New("disk full")
		}
		return nil
	}}
	client := mcpsectest.Connect(t, newShop(audit), mcpsectest.ClientOptions{
		Principal: ada,
		Confirm: func(string) bool {
			t.Errorf("a person was asked")
			return true
		},
	})
	text := mcpsectest.Refused(t, client, "order_cancel", CancelIn{Order: "A-17"})
	fmt.Println(strings.HasPrefix(text, "not allowed: the call could not be recorded"))
	// Output: true
}

// A captured event that comes again later is not taken.
func ExampleSender() {
	t := &exampleT{} // in a test: its *testing.T

	secret := redact.NewSecret("whsec_" + strings.Repeat("aB3d", 8))
	verifier, err := webhook.Stripe(secret)
	if err != nil {
		log.Fatal(err)
	}
	endpoint := webhook.NewReceiver(verifier, nil, func(_ context.Context, ev webhook.Event) error {
		fmt.Println("handled", ev.ID)
		return nil
	}, webhook.Options{Log: slog.New(slog.DiscardHandler)})

	event := mcpsectest.Sender{Secret: secret}.Stripe(`{"id":"evt_1","type":"invoice.paid"}`)
	fmt.Println(event.Post(t, endpoint))
	event.Body = []byte(`{"id":"evt_2","type":"invoice.paid"}`)
	fmt.Println(event.Post(t, endpoint))
	// Output:
	// handled evt_1
	// 200
	// 401
}

// Your own endpoint has to pass: forgeries have no effect, and an event has one, however
// often it comes.
func ExampleDelivery_Check() {
	t := &exampleT{} // in a test: its *testing.T

	secret := redact.NewSecret("whsec_" + strings.Repeat("aB3d", 8))
	var paid atomic.Int64
	endpoint := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // forgets to look at the signature
		if body, err := io.ReadAll(r.Body); err == nil && strings.Contains(string(body), "invoice.paid") {
			paid.CompareAndSwap(0, 1)
		}
	})
	mcpsectest.Sender{Secret: secret}.Stripe(`{"id":"evt_1","type":"invoice.paid"}`).
		Check(t, endpoint, func() int { return int(paid.Load()) })
	// Output:
	// unsigned: answered with 200
	// unsigned: had an effect
	// wrong key: answered with 200
	// forged: answered with 200
	// stale: answered with 200
	// early: answered with 200
	// delivered 8 times at once: 0 effects, answered with [200 200 200 200 200 200 200 200]
}
