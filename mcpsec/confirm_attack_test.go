package mcpsec_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// askingMeta is the metadata of a client of the newest protocol that can ask.
var askingMeta = strings.Replace(modernMeta, `clientCapabilities":{}`, `clientCapabilities":{"elicitation":{}}`, 1)

const accept = `"inputResponses":{"confirm":{"action":"accept","content":{"confirm":true}}}`

// A sender sends one tools/call, made by hand, and returns the answer.
type sender func(t testing.TB, tool, members string) string

func callBody(tool, members string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `",` + members + `,` + askingMeta + `}}`
}

func (f *fixture) sender(t testing.TB) sender {
	r := newRaw(t, f.serve(t, t.Context()))
	return func(t testing.TB, tool, members string) string { return r.ask(callBody(tool, members)) }
}

func (f *httpFixture) sender(token string) sender {
	return func(t testing.TB, tool, members string) string {
		_, body := f.do(t, callBody(tool, members), func(r *http.Request) {
			modernHeaders("tools/call", tool)(r)
			r.Header.Set("Authorization", "Bearer "+token)
		})
		return body
	}
}

// stateOf takes the state out of an answer that asks.
func stateOf(t testing.TB, answer string) string {
	t.Helper()
	var m struct {
		Result struct {
			ResultType    string
			InputRequests map[string]struct {
				Method string
				Params struct {
					Mode, Message   string
					RequestedSchema json.RawMessage
				}
			}
			RequestState string
		}
	}
	if err := json.Unmarshal([]byte(answer), &m); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	q := m.Result.InputRequests["confirm"]
	if m.Result.ResultType != "input_required" || len(m.Result.InputRequests) != 1 || q.Method != "elicitation/create" || q.Params.Mode != "form" || q.Params.Message == "" ||
		string(q.Params.RequestedSchema) != `{"type":"object","properties":{"confirm":{"type":"boolean","title":"Yes, do it"}},"required":["confirm"]}` || m.Result.RequestState == "" {
		t.Fatalf("does not ask: %s", answer)
	}
	return m.Result.RequestState
}

const (
	ada  = `"arguments":{"name":"ada","rows":9007199254740993}`
	eve  = `"arguments":{"name":"eve","rows":9007199254740993}`
	bits = `"arguments":{"name":"ada","rows":9007199254740992}` // the same to a double
)

func withState(state string) string { return `"requestState":"` + state + `"` }

// Every way to have a yes that no person gave, over both transports. STATE is
// one that was given for ada's removal. (P14, MRTR-01 to 04)
func TestForgedConfirmations(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		tool, members string
		allowed       bool
		refusal       string
	}{
		"the honest answer":             {"remove", ada + `,STATE,` + accept, true, ""},
		"the same, written otherwise":   {"remove", `"arguments":{ "rows":9007199254740993, "name":"\u0061da" },STATE,` + accept, true, ""},
		"a yes to a first call":         {"remove", ada + `,` + accept, false, "nothing was asked"},
		"a yes and a made-up state":     {"remove", ada + `,"requestState":"step=1",` + accept, false, "not one of this server's"},
		"an empty state":                {"remove", ada + `,"requestState":"",` + accept, false, "nothing was asked"},
		"a huge state":                  {"remove", ada + `,"requestState":"` + strings.Repeat("A", 100_000) + `",` + accept, false, "not one of this server's"},
		"other arguments":               {"remove", eve + `,STATE,` + accept, false, "of other arguments"},
		"arguments that round alike":    {"remove", bits + `,STATE,` + accept, false, "of other arguments"},
		"further arguments":             {"remove", `"arguments":{"name":"ada","rows":9007199254740993,"note":"x"},STATE,` + accept, false, "of other arguments"},
		"another tool":                  {"erase", ada + `,STATE,` + accept, false, "of another tool"},
		"a tool that asks nothing":      {"touch", ada + `,STATE,` + accept, false, "of another tool"},
		"a state alone":                 {"remove", ada + `,STATE`, false, "must hold the answer"},
		"no answers":                    {"remove", ada + `,STATE,"inputResponses":{}`, false, "must hold the answer"},
		"the answer to something else":  {"remove", ada + `,STATE,"inputResponses":{"other":{"action":"accept","content":{"confirm":true}}}`, false, "must hold the answer"},
		"one answer more":               {"remove", ada + `,STATE,"inputResponses":{"confirm":{"action":"accept","content":{"confirm":true}},"x":{"action":"accept"}}`, false, "must hold the answer"},
		"a list of roots":               {"remove", ada + `,STATE,"inputResponses":{"confirm":{"roots":[]}}`, false, "inputResponses must hold"},
		"a sampled message":             {"remove", ada + `,STATE,"inputResponses":{"confirm":{"role":"user","content":{"type":"text","text":"yes"},"model":"m"}}`, false, "inputResponses must hold"},
		"no box":                        {"remove", ada + `,STATE,"inputResponses":{"confirm":{"action":"accept"}}`, false, "does not have the form"},
		"the box as a text":             {"remove", ada + `,STATE,"inputResponses":{"confirm":{"action":"accept","content":{"confirm":"true"}}}`, false, "does not have the form"},
		"the box as a number":           {"remove", ada + `,STATE,"inputResponses":{"confirm":{"action":"accept","content":{"confirm":1}}}`, false, "does not have the form"},
		"another box":                   {"remove", ada + `,STATE,"inputResponses":{"confirm":{"action":"accept","content":{"Confirm":true}}}`, false, "does not have the form"},
		"a box more":                    {"remove", ada + `,STATE,"inputResponses":{"confirm":{"action":"accept","content":{"confirm":true,"all":true}}}`, false, "does not have the form"},
		"the box not ticked":            {"remove", ada + `,STATE,"inputResponses":{"confirm":{"action":"accept","content":{"confirm":false}}}`, false, "said no"},
		"a no":                          {"remove", ada + `,STATE,"inputResponses":{"confirm":{"action":"decline","content":{"confirm":true}}}`, false, "said no"},
		"no decision":                   {"remove", ada + `,STATE,"inputResponses":{"confirm":{"action":"cancel"}}`, false, "did not decide"},
		"an action in capitals":         {"remove", ada + `,STATE,"inputResponses":{"confirm":{"action":"ACCEPT","content":{"confirm":true}}}`, false, "does not have the form"},
		"two actions for two readers":   {"remove", ada + `,STATE,"inputResponses":{"confirm":{"action":"decline","Action":"accept","content":{"confirm":true}}}`, false, "inputResponses must hold"},
		"the same, spelled by escapes":  {"remove", ada + `,STATE,"\u0069nput\u0052esponses":{"confirm":{"action":"decline","\u0041ction":"accept","content":{"confirm":true}}}`, false, "inputResponses must hold"},
		"answers that are null":         {"remove", ada + `,STATE,"inputResponses":null`, false, "must hold the answer"},
		"a state with a further member": {"remove", ada + `,"requestState":{"sealed":true},` + accept, false, "error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			remove, touch := newRemover(nil), newRemover(func(s *mcpsec.ToolSpec) { s.Name, s.Effect = "touch", mcpsec.Write })
			erase := newRemover(func(s *mcpsec.ToolSpec) { s.Name = "erase" })
			f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, destroyMode, remove.Tool, erase.Tool, touch.Tool)
			for i, send := range []sender{f.fixture.sender(t), f.sender("alice-token")} {
				state := stateOf(t, send(t, "remove", ada))
				before := len(f.records(t))
				answer := send(t, tc.tool, strings.Replace(tc.members, "STATE", withState(state), 1))
				ran := remove.ran.Load() + erase.ran.Load() + touch.ran.Load()
				if tc.allowed && ran != int32(i+1) || !tc.allowed && ran != 0 || !strings.Contains(answer, tc.refusal) {
					t.Errorf("got %s, ran %d times", answer, ran)
				}
				if rec := f.records(t)[before]; !tc.allowed && rec["decision"] != "refused" || tc.allowed && rec["confirmed"] != "mrtr" {
					t.Errorf("recorded %v", rec)
				}
			}
		})
	}
}

// A state is good once, whatever came of it. (MRTR-03)
func TestConfirmationIsUsedOnce(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"yes": accept, "no": `"inputResponses":{"confirm":{"action":"decline"}}`, "nonsense": `"inputResponses":{"x":{"action":"accept"}}`, "nothing": `"inputResponses":{}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRemover(nil)
			f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, destroyMode, r.Tool)
			send := f.sender("alice-token")
			state := withState(stateOf(t, send(t, "remove", ada)))
			send(t, "remove", ada+","+state+","+first)
			ran := r.ran.Load()
			for range 3 {
				if got := send(t, "remove", ada+","+state+","+accept); !strings.Contains(got, "used already") || r.ran.Load() != ran {
					t.Errorf("got %s, ran %d times", got, r.ran.Load())
				}
			}
			if got := f.story(t); !strings.HasSuffix(got, "refused confirmation; refused confirmation; refused confirmation") {
				t.Errorf("recorded %q", got)
			}
		})
	}
}

// Of many who use a state at one moment, one has it.
func TestConfirmationRace(t *testing.T) {
	t.Parallel()
	r := newRemover(nil)
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, destroyMode, r.Tool)
	send := f.sender("alice-token")
	state := withState(stateOf(t, send(t, "remove", ada)))
	done := make(chan string)
	const n = 8
	for range n {
		go func() { done <- send(t, "remove", ada+","+state+","+accept) }()
	}
	for range n {
		<-done
	}
	if r.ran.Load() != 1 {
		t.Errorf("ran %d times", r.ran.Load())
	}
}

// A state belongs to the caller whose call was asked about. (MRTR-02, ELI-02)
func TestConfirmationOfAnotherCaller(t *testing.T) {
	t.Parallel()
	r := newRemover(nil)
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, destroyMode, r.Tool)
	state := withState(stateOf(t, f.sender("alice-token")(t, "remove", ada)))
	if got := f.sender("bob-token")(t, "remove", ada+","+state+","+accept); !strings.Contains(got, "of another caller") || r.ran.Load() != 0 {
		t.Errorf("got %s", got)
	}
	if got := f.sender("alice-token")(t, "remove", ada+","+state+","+accept); r.ran.Load() != 1 {
		t.Errorf("bob has used alice's state up: %s", got)
	}
}

func TestConfirmationExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRemover(nil)
		f := newFixture(t, func(o *mcpsec.Options) { o.Mode, o.Limits.Confirm = mcpsec.Destroy, time.Minute }, r.Tool)
		conn := newRaw(t, f.serve(t, t.Context()))
		try := func(wait time.Duration, want string, ran int32) {
			t.Helper()
			state := withState(stateOf(t, conn.ask(callBody("remove", ada))))
			time.Sleep(wait)
			if got := conn.ask(callBody("remove", ada+","+state+","+accept)); !strings.Contains(got, want) || r.ran.Load() != ran {
				t.Errorf("after %s: got %s, ran %d times", wait, got, r.ran.Load())
			}
			time.Sleep(time.Hour) // the use of it is forgotten, and it is still no good
			if got := conn.ask(callBody("remove", ada+","+state+","+accept)); !strings.Contains(got, "has expired") || r.ran.Load() != ran {
				t.Errorf("later: got %s, ran %d times", got, r.ran.Load())
			}
		}
		try(59*time.Second, "removed ada", 1)
		try(time.Minute, "has expired", 1)
		conn.w.(interface{ Close() error }).Close()
		<-f.served
	})
}

// madeKey is a random key for tests, put together at run time.
func madeKey(b byte) mcpsec.Secret {
	raw := make([]byte, 32)
	for i := range raw {
		raw[i] = byte(i)*37 ^ byte(i*i)*11 ^ b*91
	}
	return newSecret(base64.StdEncoding.EncodeToString(raw))
}

// States between servers: replicas, rotated keys, other servers.
func TestSealKeys(t *testing.T) {
	t.Parallel()
	server := func(name string, keys ...mcpsec.Secret) (*fixture, *remover) {
		r := newRemover(nil)
		f := newFixture(t, nil)
		srv, err := mcpsec.NewServer(&mcp.Implementation{Name: name, Version: "1"}, mcpsec.Options{Audit: mcpsec.NewAuditLog(&f.audit), Log: slog.DiscardHandler, Mode: mcpsec.Destroy, SealKeys: keys})
		if err != nil {
			t.Fatal(err)
		}
		srv.Add(r.Tool)
		f.Server = srv
		return f, r
	}
	a, b := madeKey(1), madeKey(2)
	for name, tc := range map[string]struct {
		asks, runs []mcpsec.Secret
		name       string
		want       string
	}{
		"a replica with the key":       {[]mcpsec.Secret{a}, []mcpsec.Secret{a}, "orders", ""},
		"the key was replaced":         {[]mcpsec.Secret{a}, []mcpsec.Secret{b, a}, "orders", ""},
		"the key is gone":              {[]mcpsec.Secret{a}, []mcpsec.Secret{b}, "orders", "other keys"},
		"replicas without keys":        {nil, nil, "orders", "other keys"},
		"another server with the keys": {[]mcpsec.Secret{a}, []mcpsec.Secret{a}, "billing", "other keys"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, _ := server("orders", tc.asks...)
			second, r := server(tc.name, tc.runs...)
			state := withState(stateOf(t, first.sender(t)(t, "remove", ada)))
			got := second.sender(t)(t, "remove", ada+","+state+","+accept)
			if allowed := r.ran.Load() == 1; allowed != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("got %s, ran %d times", got, r.ran.Load())
			}
			if tc.want != "" && !strings.HasSuffix(second.story(t), "refused confirmation") {
				t.Errorf("recorded %q", second.story(t))
			}
		})
	}
}

func TestSealKeysAreChecked(t *testing.T) {
	t.Parallel()
	good := madeKey(1)
	for name, key := range map[string]mcpsec.Secret{
		"empty": {}, "placeholder": newSecret("change" + "me"), "words": newSecret(strings.Repeat("correct horse ", 5)), "short": newSecret(good.Reveal()[:31]),
	} {
		for _, keys := range [][]mcpsec.Secret{{key}, {good, key}} {
			_, err := mcpsec.NewServer(impl, mcpsec.Options{Audit: mcpsec.NewAuditLog(&mcptest.Buffer{}), SealKeys: keys})
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("SealKeys[%d]", len(keys)-1)) {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
}

// Every bit of a state counts.
func TestTamperedStates(t *testing.T) {
	t.Parallel()
	r := newRemover(nil)
	f := newFixture(t, func(o *mcpsec.Options) { o.Mode, o.Limits.CallsPerSecond = mcpsec.Destroy, 1e6 }, r.Tool)
	send := f.sender(t)
	state := stateOf(t, send(t, "remove", ada))
	for i := range state {
		for _, c := range []byte("Az9_") {
			bad := state[:i] + string(c) + state[i+1:]
			if bad == state {
				continue
			}
			if got := send(t, "remove", ada+","+withState(bad)+","+accept); !strings.Contains(got, "is not one of this server's") && !strings.Contains(got, "other keys") {
				t.Fatalf("byte %d as %c: got %s", i, c, got)
			}
		}
	}
	if r.ran.Load() != 0 {
		t.Errorf("ran %d times", r.ran.Load())
	}
}

// Claims of a version that the session does not speak open no way to ask.
func TestConfirmationAcrossEras(t *testing.T) {
	t.Parallel()
	r := newRemover(nil)
	f := newFixture(t, destroyMode, r.Tool)
	state := withState(stateOf(t, f.sender(t)(t, "remove", ada)))
	conn := f.dial(t) // of 2025-11-25, and cannot ask
	for name, body := range map[string]string{
		"answers in an older session":     `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"remove",` + ada + `,` + state + `,` + accept + `}}`,
		"capabilities of a newer request": callBody("remove", ada),
		"a newer request with an answer":  callBody("remove", ada+`,`+state+`,`+accept),
	} {
		if got := conn.ask(body); strings.Contains(got, "inputRequests") || strings.Contains(got, "elicitation/create") || !strings.Contains(got, "rror") || r.ran.Load() != 0 {
			t.Errorf("%s: got %s", name, got)
		}
	}
	if n := strings.Count(f.audit.String(), `"decision":"asked"`); n != 1 { // by the honest one
		t.Errorf("asked %d times", n)
	}
}

// A person who was asked is no way around guards: they decide again.
func TestGuardsDecideAgain(t *testing.T) {
	t.Parallel()
	closed := false
	r := newRemover(func(s *mcpsec.ToolSpec) {
		s.Guards = []mcpsec.Guard{func(context.Context, *mcpsec.Call) error {
			if closed {
				return &mcpsec.Error{Message: "closed", Rule: "hours"}
			}
			return nil
		}}
	})
	f := newFixture(t, destroyMode, r.Tool)
	send := f.sender(t)
	state := withState(stateOf(t, send(t, "remove", ada)))
	closed = true
	if got := send(t, "remove", ada+","+state+","+accept); !strings.Contains(got, "not allowed: closed") || r.ran.Load() != 0 {
		t.Errorf("got %s", got)
	}
}

// A client that asked and then cannot ask any more does not keep an Approver's
// yes to the changed question from counting.
func TestApproverAfterAChangedQuestion(t *testing.T) {
	t.Parallel()
	text := "removes 2 orders"
	r := newRemover(func(s *mcpsec.ToolSpec) {
		s.Guards = []mcpsec.Guard{func(context.Context, *mcpsec.Call) error { return mcpsec.Ask(text) }}
	})
	f := newFixture(t, func(o *mcpsec.Options) {
		o.Mode = mcpsec.Destroy
		o.Approver = func(_ context.Context, q mcpsec.Question) (string, bool, error) {
			return "eve", strings.HasPrefix(q.Text, "What would happen has changed"), nil
		}
	}, r.Tool)
	conn := newRaw(t, f.serve(t, t.Context()))
	state := withState(stateOf(t, conn.ask(callBody("remove", ada))))
	text = "removes 3 orders"
	got := conn.ask(strings.Replace(callBody("remove", ada+","+state+","+accept), askingMeta, modernMeta, 1))
	if !strings.Contains(got, "removed ada") || r.ran.Load() != 1 {
		t.Errorf("got %s", got)
	}
	if got := f.story(t); got != "asked mrtr; asked approver; allowed approver eve; ok" {
		t.Errorf("recorded %q", got)
	}
}
