package mcpsec_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
)

type removeIn struct {
	Name string `json:"name" validate:"required,max=100"`
	Note string `json:"note" validate:"max=9000"`
	Rows int64  `json:"rows"`
}

// A remover is a tool that cannot be undone, and counts how often it ran.
type remover struct {
	*mcpsec.Tool
	ran atomic.Int32
}

func newRemover(change func(*mcpsec.ToolSpec)) *remover {
	r := &remover{}
	spec := mcpsec.ToolSpec{Name: "remove", Title: "Remove a customer", Description: "For tests.", Effect: mcpsec.Destroy}
	if change != nil {
		change(&spec)
	}
	r.Tool = mcpsec.NewTool(spec, func(_ context.Context, in removeIn) (echoOut, error) {
		r.ran.Add(1)
		return echoOut{"removed " + in.Name}, nil
	})
	return r
}

func destroyMode(o *mcpsec.Options) { o.Mode = mcpsec.Destroy }

// An answerer is the person at a client.
type answerer func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error)

func answers(action string, content map[string]any) answerer {
	return func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		return &mcp.ElicitResult{Action: action, Content: maps.Clone(content)}, nil // the client writes defaults into it
	}
}

var yes = map[string]any{"confirm": true}

// connectAs attaches a client of either era. person may be nil: it cannot ask.
func (f *fixture) connectAs(t testing.TB, modern bool, person answerer) *mcp.ClientSession {
	t.Helper()
	conn := f.serve(t, t.Context())
	cs, err := mcp.NewClient(impl, &mcp.ClientOptions{ElicitationHandler: person}).
		Connect(t.Context(), &mcp.IOTransport{Reader: conn, Writer: conn}, &mcp.ClientSessionOptions{ProtocolVersion: versionOf(modern)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return cs
}

func versionOf(modern bool) string {
	if modern {
		return "2026-07-28"
	}
	return "2025-11-25"
}

func (f *httpFixture) connectAs(t testing.TB, modern bool, person answerer) *mcp.ClientSession {
	t.Helper()
	cs, err := mcp.NewClient(impl, &mcp.ClientOptions{ElicitationHandler: person}).Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: f.URL + "/mcp", HTTPClient: &http.Client{Transport: as{"alice-token", f.Client().Transport}},
	}, &mcp.ClientSessionOptions{ProtocolVersion: versionOf(modern)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return cs
}

// attempt calls a tool, and returns what the model reads or the error.
func attempt(t testing.TB, cs *mcp.ClientSession, tool string, args any) string {
	t.Helper()
	res, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		return "error: " + err.Error()
	}
	return res.Content[0].(*mcp.TextContent).Text
}

// story tells the decisions and outcomes on record, without the requests that
// older clients try over HTTP.
func (f *fixture) story(t testing.TB) string {
	t.Helper()
	var out []string
	for _, r := range f.records(t) {
		var parts []string
		if r["rule"] == "method" {
			continue
		}
		for _, k := range []string{"decision", "way", "confirmed", "outcome", "rule", "by"} {
			if v, ok := r[k].(string); ok {
				parts = append(parts, v)
			}
		}
		out = append(out, strings.Join(parts, " "))
	}
	return strings.Join(out, "; ")
}

// What a person may answer, and what comes of it, over every way to ask. Each
// way is what SDK clients of its era do by themselves.
func TestConfirmation(t *testing.T) {
	t.Parallel()
	over := map[string]func(testing.TB, *httpFixture, answerer) *mcp.ClientSession{
		"mrtr": func(t testing.TB, f *httpFixture, p answerer) *mcp.ClientSession {
			return f.fixture.connectAs(t, true, p)
		},
		"mrtr http": func(t testing.TB, f *httpFixture, p answerer) *mcp.ClientSession { return f.connectAs(t, true, p) },
		"elicitation": func(t testing.TB, f *httpFixture, p answerer) *mcp.ClientSession {
			return f.fixture.connectAs(t, false, p)
		},
		"elicitation http": func(t testing.TB, f *httpFixture, p answerer) *mcp.ClientSession { return f.connectAs(t, false, p) },
	}
	for name, tc := range map[string]struct {
		person answerer
		ran    bool
		text   string
		rule   string
	}{
		"yes":             {answers("accept", yes), true, `{"text":"removed ada"}`, ""},
		"box not ticked":  {answers("accept", map[string]any{"confirm": false}), false, "said no", "declined"},
		"decline":         {answers("decline", nil), false, "said no", "declined"},
		"decline and yes": {answers("decline", yes), false, "said no", "declined"},
		"cancel":          {answers("cancel", nil), false, "did not decide", "declined"},
		"no content":      {answers("accept", nil), false, "does not have the form", "confirmation"},
		"extra content":   {answers("accept", map[string]any{"confirm": true, "also": "x"}), false, "does not have the form", "confirmation"},
		"unknown action":  {answers("yes", yes), false, "does not have the form", "confirmation"},
	} {
		for way, connect := range over {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				r := newRemover(nil)
				f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify, Sessions: way == "elicitation http"}, destroyMode, r.Tool)
				text := attempt(t, connect(t, f, tc.person), "remove", removeIn{Name: "ada"})
				if !strings.Contains(text, tc.text) || (r.ran.Load() == 1) != tc.ran || r.ran.Load() > 1 {
					t.Errorf("got %q, ran %d times", text, r.ran.Load())
				}
				kind, _, _ := strings.Cut(way, " ")
				want := "asked " + kind + "; refused " + tc.rule
				if tc.ran {
					want = "asked " + kind + "; allowed " + kind + "; ok"
				}
				if got := f.story(t); got != want {
					t.Errorf("recorded %q, want %q", got, want)
				}
			})
		}
	}
}

// A client that fails to ask has no yes.
func TestConfirmationWithoutAnswer(t *testing.T) {
	t.Parallel()
	r := newRemover(nil)
	f := newFixture(t, destroyMode, r.Tool)
	cs := f.connectAs(t, false, func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		return nil, errors.New("no window")
	})
	if text := attempt(t, cs, "remove", removeIn{Name: "ada"}); !strings.Contains(text, "did not answer the question") || r.ran.Load() != 0 {
		t.Errorf("got %q, ran %d times", text, r.ran.Load())
	}
	if got := f.story(t); got != "asked elicitation; refused confirmation" {
		t.Errorf("recorded %q", got)
	}
}

// An Approver decides where the client cannot ask, and nowhere else.
func TestApprover(t *testing.T) {
	t.Parallel()
	approves := func(by string, yes bool, err error) mcpsec.Approver {
		return func(context.Context, mcpsec.Question) (string, bool, error) { return by, yes, err }
	}
	for name, tc := range map[string]struct {
		approver mcpsec.Approver
		text     string
		story    string
	}{
		"none":        {nil, "this client cannot ask one", "refused confirmation"},
		"yes":         {approves("eve", true, nil), "removed ada", "asked approver; allowed approver eve; ok"},
		"yes, hidden": {approves("e\u202eve", true, nil), "removed ada", "asked approver; allowed approver eve; ok"},
		"no":          {approves("eve", false, nil), "said no", "asked approver; refused declined eve"},
		"error":       {approves("eve", true, errors.New("hunter2")), "could not be asked", "asked approver; refused confirmation"},
		"panic":       {func(context.Context, mcpsec.Question) (string, bool, error) { panic("hunter2") }, "internal error", "asked approver; refused panic"},
		"goexit":      {func(context.Context, mcpsec.Question) (string, bool, error) { runtime.Goexit(); return "", true, nil }, "could not be asked", "asked approver; refused confirmation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eras(t, func(t *testing.T, modern bool) {
				for _, overHTTP := range []bool{false, true} {
					r := newRemover(nil)
					f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, func(o *mcpsec.Options) { o.Mode, o.Approver = mcpsec.Destroy, tc.approver }, r.Tool)
					cs := f.fixture.connectAs(t, modern, nil)
					if overHTTP {
						cs = f.connectAs(t, modern, nil)
					}
					text := attempt(t, cs, "remove", removeIn{Name: "ada"})
					if !strings.Contains(text, tc.text) || r.ran.Load() != 0 != strings.HasPrefix(name, "yes") {
						t.Errorf("got %q, ran %d times", text, r.ran.Load())
					}
					if got := f.story(t); got != tc.story {
						t.Errorf("recorded %q, want %q", got, tc.story)
					}
					if strings.Contains(text+f.audit.String(), "hunter2") {
						t.Error("the Approver's error got out")
					}
				}
			})
		})
	}
}

func TestApproverIsNotAskedWhenTheClientCanAsk(t *testing.T) {
	t.Parallel()
	eras(t, func(t *testing.T, modern bool) {
		r := newRemover(nil)
		f := newFixture(t, func(o *mcpsec.Options) {
			o.Mode = mcpsec.Destroy
			o.Approver = func(context.Context, mcpsec.Question) (string, bool, error) {
				t.Error("asked")
				return "", true, nil
			}
		}, r.Tool)
		if text := attempt(t, f.connectAs(t, modern, answers("decline", nil)), "remove", removeIn{Name: "ada"}); !strings.Contains(text, "said no") {
			t.Errorf("got %q", text)
		}
	})
}

// A client of the older protocol over HTTP cannot be asked, whatever it claims,
// and is told what would help.
func TestConfirmationOfLegacyHTTP(t *testing.T) {
	t.Parallel()
	r := newRemover(nil)
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, destroyMode, r.Tool)
	if text := attempt(t, f.connectAs(t, false, answers("accept", yes)), "remove", removeIn{Name: "ada"}); !strings.Contains(text, "over HTTP one of protocol version 2026-07-28") || r.ran.Load() != 0 {
		t.Errorf("got %q", text)
	}
}

// The question is computed: it changes with what it is about, is sealed with
// the state, and a yes to another one asks again and says so.
func TestChangedQuestionIsAskedAgain(t *testing.T) {
	t.Parallel()
	eras(t, func(t *testing.T, modern bool) {
		var rows atomic.Int32
		rows.Store(2)
		r := newRemover(func(s *mcpsec.ToolSpec) {
			s.Guards = []mcpsec.Guard{mcpsec.Preview(func(_ context.Context, in removeIn) (string, error) {
				return fmt.Sprintf("removes %q with %d orders", in.Name, rows.Load()), nil
			})}
		})
		f := newFixture(t, destroyMode, r.Tool)
		var asked []string
		text := attempt(t, f.connectAs(t, modern, func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			if asked = append(asked, req.Params.Message); len(asked) == 1 {
				rows.Store(3)
			}
			return &mcp.ElicitResult{Action: "accept", Content: yes}, nil
		}), "remove", removeIn{Name: "ada"})
		if text != `{"text":"removed ada"}` || r.ran.Load() != 1 {
			t.Errorf("got %q, ran %d times", text, r.ran.Load())
		}
		want := []string{
			"Allow test to run remove (Remove a customer)? It cannot be undone.\n• removes \"ada\" with 2 orders",
			"What would happen has changed since the last question.\nAllow test to run remove (Remove a customer)? It cannot be undone.\n• removes \"ada\" with 3 orders",
		}
		if strings.Join(asked, "\n\n") != strings.Join(want, "\n\n") {
			t.Errorf("asked %q, want %q", asked, want)
		}
	})
}

// What never stands still is not asked for ever.
func TestQuestionsEnd(t *testing.T) {
	t.Parallel()
	var n, asked atomic.Int32
	r := newRemover(func(s *mcpsec.ToolSpec) {
		s.Guards = []mcpsec.Guard{func(context.Context, *mcpsec.Call) error { return mcpsec.Ask(fmt.Sprint(n.Add(1))) }}
	})
	f := newFixture(t, destroyMode, r.Tool)
	text := attempt(t, f.connectAs(t, false, func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		asked.Add(1)
		return &mcp.ElicitResult{Action: "accept", Content: yes}, nil
	}), "remove", removeIn{Name: "ada"})
	if !strings.Contains(text, "changes faster than a person can answer: call again later") || r.ran.Load() != 0 || asked.Load() != 3 {
		t.Errorf("got %q, asked %d times, ran %d times", text, asked.Load(), r.ran.Load())
	}
	if got := f.story(t); got != "asked elicitation; asked elicitation; asked elicitation; refused confirmation" {
		t.Errorf("recorded %q", got)
	}
}

// Who asks what: guards of tools of any effect, several of them, and those that
// refuse.
func TestAsk(t *testing.T) {
	t.Parallel()
	says := func(err error) mcpsec.Guard { return func(context.Context, *mcpsec.Call) error { return err } }
	waived := []mcpsec.Waiver{insecure.Unconfirmed("for a test")}
	const head = "Allow test to run remove (Remove a customer)?"
	for name, tc := range map[string]struct {
		effect        mcpsec.Effect
		waive         []mcpsec.Waiver
		server, tools []mcpsec.Guard
		question      string // "" for none
		refusal       string
	}{
		"nobody, of a read":           {effect: mcpsec.Read},
		"nobody, of a write":          {effect: mcpsec.Write},
		"its effect":                  {effect: mcpsec.Destroy, question: head + ` It cannot be undone.` + "\n• name: \"ada\"\n• note: \"\"\n• rows: 0"},
		"its effect, waived":          {effect: mcpsec.Destroy, waive: waived},
		"a guard of a read":           {effect: mcpsec.Read, tools: []mcpsec.Guard{says(mcpsec.Ask("reads all"))}, question: head + "\n• reads all"},
		"a guard, waived":             {effect: mcpsec.Destroy, waive: waived, tools: []mcpsec.Guard{says(mcpsec.Ask("x"))}},
		"the server, though waived":   {effect: mcpsec.Destroy, waive: waived, server: []mcpsec.Guard{says(mcpsec.Ask("s"))}, tools: []mcpsec.Guard{says(mcpsec.Ask("t"))}, question: head + " It cannot be undone.\n• s\n• t"},
		"the server does not preview": {effect: mcpsec.Write, server: []mcpsec.Guard{says(mcpsec.Ask("s"))}, question: head + "\n• s\n• name: \"ada\"\n• note: \"\"\n• rows: 0"},
		"without a text":              {effect: mcpsec.Read, tools: []mcpsec.Guard{says(mcpsec.Ask(""))}, question: head + "\n• name: \"ada\"\n• note: \"\"\n• rows: 0"},
		"several, in order":           {effect: mcpsec.Read, tools: []mcpsec.Guard{says(mcpsec.Ask("one")), says(nil), says(mcpsec.Ask("two"))}, question: head + "\n• one\n• two"},
		"one asks, the next refuses":  {effect: mcpsec.Read, tools: []mcpsec.Guard{says(mcpsec.Ask("x")), says(&mcpsec.Error{Message: "closed"})}, refusal: "not allowed: closed"},
		"wrapped":                     {effect: mcpsec.Read, tools: []mcpsec.Guard{says(fmt.Errorf("hm: %w", mcpsec.Ask("x")))}, refusal: "not allowed"},
		"with a refusal":              {effect: mcpsec.Read, tools: []mcpsec.Guard{says(errors.Join(mcpsec.Ask("x"), errors.New("closed")))}, refusal: "not allowed"},
		"a preview of another type":   {effect: mcpsec.Read, tools: []mcpsec.Guard{mcpsec.Preview(func(context.Context, echoIn) (string, error) { return "x", nil })}, refusal: "not allowed"},
		"a preview that fails":        {effect: mcpsec.Destroy, tools: []mcpsec.Guard{mcpsec.Preview(func(context.Context, removeIn) (string, error) { return "x", errors.New("db down") })}, refusal: "not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRemover(func(s *mcpsec.ToolSpec) { s.Effect, s.Guards, s.Waive = tc.effect, tc.tools, tc.waive })
			f := newFixture(t, func(o *mcpsec.Options) { o.Mode, o.Guards = mcpsec.Destroy, tc.server }, r.Tool)
			question := ""
			text := attempt(t, f.connectAs(t, true, func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
				question = req.Params.Message
				return &mcp.ElicitResult{Action: "accept", Content: yes}, nil
			}), "remove", removeIn{Name: "ada"})
			if question != tc.question {
				t.Errorf("asked %q, want %q", question, tc.question)
			}
			if want := tc.refusal; want == "" && r.ran.Load() != 1 || want != "" && (text != want || r.ran.Load() != 0) {
				t.Errorf("got %q, ran %d times", text, r.ran.Load())
			}
			if tc.waive != nil && !strings.Contains(f.audit.String(), `"waived_unconfirmed":"for a test"`) {
				t.Error("the waiver is not on record")
			}
		})
	}
}

// An Ask from a handler, where it is too late, tells nobody anything.
func TestAskIsForGuards(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, failing(func(context.Context) error { return mcpsec.Ask("hunter2") }))
	if text, isErr := call(t, f.connect(t), "x", none{}); !isErr || !strings.HasPrefix(text, "internal error") || strings.Contains(f.log.String(), "hunter2") {
		t.Errorf("got %q", text)
	}
}

// What an Approver is told.
func TestQuestionForApprover(t *testing.T) {
	t.Parallel()
	var got mcpsec.Question
	r := newRemover(nil)
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, func(o *mcpsec.Options) {
		o.Mode = mcpsec.Destroy
		o.Approver = func(ctx context.Context, q mcpsec.Question) (string, bool, error) {
			if got = q; mcpsec.CallID(ctx) != q.Call || mcpsec.PrincipalFrom(ctx).ID != "alice" {
				t.Error("the context is not the call's")
			}
			return "eve", true, nil
		}
	}, r.Tool)
	attempt(t, f.connectAs(t, true, nil), "remove", json.RawMessage(`{"rows":9007199254740993,"name":"ada"}`))
	if r.ran.Load() != 1 || got.Tool != "remove" || got.Effect != mcpsec.Destroy || got.Principal.ID != "alice" || len(got.Principal.Scopes) != 2 || len(got.Arguments) != 64 ||
		got.Text != "Allow test to run remove (Remove a customer)? It cannot be undone.\n• name: \"ada\"\n• rows: 9007199254740993" {
		t.Errorf("got %+v", got)
	}
	for _, rec := range f.records(t) {
		if rec["call"] != got.Call {
			t.Errorf("another call's record: %v", rec)
		}
	}
}
