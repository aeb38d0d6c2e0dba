package mcpsectest_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
)

type none struct{}

type answered struct {
	Text string `json:"text"`
	N    int64  `json:"n"`
}

type addressForm struct {
	City    string `json:"city" validate:"required,max=80"`
	Confirm bool   `json:"confirm"`
}

// whoami tells who calls, with a number that a float does not hold.
func whoami() *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{Name: "whoami", Description: "For tests.", Effect: mcpsec.Read}, func(ctx context.Context, _ none) (answered, error) {
		return answered{mcpsec.PrincipalFrom(ctx).ID, math.MaxInt64}, nil
	})
}

// address asks its person for a form.
func address() *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{Name: "address", Description: "For tests.", Effect: mcpsec.Read}, func(ctx context.Context, _ none) (answered, error) {
		a, err := mcpsec.Elicit[addressForm](ctx, "address", "Where to?")
		return answered{Text: a.City}, err
	})
}

func newServer(t testing.TB, audit slog.Handler, tools ...*mcpsec.Tool) *mcpsec.Server {
	t.Helper()
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "test", Version: "1.0.0"}, mcpsec.Options{Audit: audit, Log: slog.DiscardHandler, Mode: mcpsec.Destroy})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(tools...)
	return srv
}

// Each client is its own principal, at one server, and nobody in particular is the
// server's.
func TestConnectSetsThePrincipal(t *testing.T) {
	t.Parallel()
	audit := &mcpsectest.Audit{}
	srv := newServer(t, audit, whoami())
	for _, id := range []string{"ada", "bob", ""} {
		client := mcpsectest.Connect(t, srv, mcpsectest.ClientOptions{Principal: mcpsec.Principal{ID: id}})
		want := id
		if id == "" {
			want = "local"
		}
		if got := mcpsectest.Call[answered](t, client, "whoami", nil); got.Text != want || got.N != math.MaxInt64 {
			t.Errorf("got %+v, want %s", got, want)
		}
	}
	var who []string
	for _, r := range audit.Records() {
		if r["msg"] == "decision" {
			who = append(who, r["principal"].(string))
		}
	}
	if got := strings.Join(who, " "); got != "ada bob local" {
		t.Errorf("recorded %s", got)
	}
}

// The client's person says what the functions say, to confirmations and forms.
func TestPerson(t *testing.T) {
	t.Parallel()
	yes := func(string) bool { return true }
	no := func(string) bool { return false }
	paris := func(string) map[string]any { return map[string]any{"city": "Paris"} }
	shop := newShop(new(mcpsectest.Audit))
	shop.Add(address())
	for name, tt := range map[string]struct {
		o          mcpsectest.ClientOptions
		tool, want string
	}{
		"yes":                  {mcpsectest.ClientOptions{Confirm: yes}, "order_cancel", ""},
		"no":                   {mcpsectest.ClientOptions{Confirm: no}, "order_cancel", "said no"},
		"a form":               {mcpsectest.ClientOptions{Fill: paris}, "address", ""},
		"both":                 {mcpsectest.ClientOptions{Confirm: no, Fill: paris}, "address", ""},
		"a form not filled in": {mcpsectest.ClientOptions{Fill: func(string) map[string]any { return nil }}, "address", "did not answer"},
		"a bad form":           {mcpsectest.ClientOptions{Fill: func(string) map[string]any { return map[string]any{"city": 7} }}, "address", "city"},
		"nobody":               {mcpsectest.ClientOptions{}, "order_cancel", "this client cannot ask"},
		"nobody for a form":    {mcpsectest.ClientOptions{}, "address", "elicitation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tt.o.Principal = ada
			client := mcpsectest.Connect(t, shop, tt.o)
			var in any = none{}
			if tt.tool == "order_cancel" {
				in = CancelIn{Order: "A-17"}
			}
			if tt.want != "" {
				if got := mcpsectest.Refused(t, client, tt.tool, in); !strings.Contains(got, tt.want) {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			} else if got := mcpsectest.Call[map[string]any](t, client, tt.tool, in); len(got) != 2 {
				t.Errorf("got %v", got)
			}
		})
	}
}

// A person who is asked what nobody has expected fails the test.
func TestUnexpectedQuestions(t *testing.T) {
	t.Parallel()
	shop := newShop(new(mcpsectest.Audit))
	shop.Add(address())
	for tool, o := range map[string]mcpsectest.ClientOptions{
		"order_cancel": {Principal: ada, Fill: func(string) map[string]any { return map[string]any{"confirm": true} }},
		"address":      {Principal: ada, Confirm: func(string) bool { return true }},
	} {
		r := &recorder{TB: t}
		client := mcpsectest.Connect(r, shop, o)
		var in any
		if tool == "order_cancel" {
			in = CancelIn{Order: "A-17"}
		}
		mcpsectest.Refused(t, client, tool, in)
		guilty(t, r, "nobody to ask")
	}
}

// What a test did not expect fails it.
func TestCallFails(t *testing.T) {
	t.Parallel()
	client := mcpsectest.Connect(t, newServer(t, new(mcpsectest.Audit), whoami()), mcpsectest.ClientOptions{})
	for want, call := range map[string]func(testing.TB){
		"whoami: refused: ": func(t testing.TB) {
			mcpsectest.Call[answered](t, client, "whoami", map[string]any{"more": 1})
		},
		"nothing: refused: unknown tool": func(t testing.TB) { mcpsectest.Call[answered](t, client, "nothing", nil) },
		`whoami: json: unknown field`:    func(t testing.TB) { mcpsectest.Call[none](t, client, "whoami", nil) },
		"whoami: not refused: {":         func(t testing.TB) { mcpsectest.Refused(t, client, "whoami", nil) },
	} {
		r := &recorder{TB: t}
		r.run(call)
		guilty(t, r, want)
	}
}

// Scopes of nobody would be dropped in silence.
func TestConnectNeedsAName(t *testing.T) {
	t.Parallel()
	r := &recorder{TB: t}
	r.run(func(tb testing.TB) {
		mcpsectest.Connect(tb, newServer(t, new(mcpsectest.Audit)), mcpsectest.ClientOptions{Principal: mcpsec.Principal{Scopes: []string{"x"}}})
	})
	guilty(t, r, "Scopes and no ID")
}

// Deadlines pass at once in a bubble, and nothing is left in it.
func TestConnectInBubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := mcpsec.NewTool(mcpsec.ToolSpec{Name: "slow", Description: "For tests.", Effect: mcpsec.Read, Timeout: 3 * time.Second}, func(ctx context.Context, _ none) (none, error) {
			<-ctx.Done()
			return none{}, ctx.Err()
		})
		client := mcpsectest.Connect(t, newServer(t, new(mcpsectest.Audit), slow), mcpsectest.ClientOptions{Principal: ada})
		start := time.Now()
		if got := mcpsectest.Refused(t, client, "slow", nil); !strings.Contains(got, "within 3s") || time.Since(start) != 3*time.Second {
			t.Errorf("got %q after %v", got, time.Since(start))
		}
	})
}

// Records are what a log would hold, whichever handler they came by.
func TestAuditHoldsRecords(t *testing.T) {
	t.Parallel()
	audit := &mcpsectest.Audit{}
	log := slog.New(audit)
	log.Debug("one", "n", 7)
	log.With("who", "ada").WithGroup("g").With("k", "v").Info("two", "n", 8)
	log.WithGroup("g").Info("three", "n", 9)
	got := audit.Records()
	if len(got) != 3 || got[0]["msg"] != "one" || got[0]["n"] != 7.0 || got[1]["who"] != "ada" || got[2]["g"].(map[string]any)["n"] != 9.0 {
		t.Fatalf("got %v", got)
	}
	if g, ok := got[1]["g"].(map[string]any); !ok || g["k"] != "v" || g["n"] != 8.0 {
		t.Errorf("got %v", got[1])
	}
	got[0]["msg"] = "changed"
	if audit.Records()[0]["msg"] != "one" {
		t.Error("the caller changes the log")
	}
}

// A record that Fail refuses is not kept, and what it told of does not happen.
func TestAuditFails(t *testing.T) {
	t.Parallel()
	for message, ran := range map[string]bool{"decision": false, "outcome": true} {
		audit := &mcpsectest.Audit{Fail: func(r map[string]any) error {
			defer func() { r["msg"] = "changed" }()
			if r["msg"] == message {
				return errors.New("disk full")
			}
			return nil
		}}
		did := false
		tool := mcpsec.NewTool(mcpsec.ToolSpec{Name: "x", Description: "For tests.", Effect: mcpsec.Read}, func(context.Context, none) (none, error) { did = true; return none{}, nil })
		text := mcpsectest.Refused(t, mcpsectest.Connect(t, newServer(t, audit, tool), mcpsectest.ClientOptions{}), "x", nil)
		if !strings.Contains(text, "could not be recorded") || did != ran {
			t.Errorf("%s: got %q, ran %t", message, text, did)
		}
		for _, r := range audit.Records() {
			if r["msg"] == message || r["msg"] == "changed" {
				t.Errorf("%s: kept %v", message, r)
			}
		}
	}
}

func TestStory(t *testing.T) {
	t.Parallel()
	audit := &mcpsectest.Audit{}
	client := mcpsectest.Connect(t, newServer(t, audit, whoami()), mcpsectest.ClientOptions{})
	mcpsectest.Call[answered](t, client, "whoami", nil)
	mcpsectest.Refused(t, client, "whoami", map[string]any{"more": 1})
	if got := audit.Story("whoami"); got != "allowed; ok; refused arguments" {
		t.Errorf("got %q", got)
	}
	if got := audit.Story("order_cancel"); got != "" {
		t.Errorf("got %q", got)
	}
}
