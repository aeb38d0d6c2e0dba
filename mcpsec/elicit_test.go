//lint:file-ignore SA1019 the protocol has deprecated it, and clients of both eras have it

package mcpsec_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type addressForm struct {
	Street string `json:"street" validate:"required,max=40"`
	Zip    int64  `json:"zip" validate:"min=1,max=99999"`
}

// A clerk is a tool that asks for an address, and counts how often it was begun.
type clerk struct {
	*mcpsec.Tool
	begun atomic.Int32
}

func newClerk(change func(*mcpsec.ToolSpec)) *clerk {
	c := &clerk{}
	spec := mcpsec.ToolSpec{Name: "ship", Description: "For tests.", Effect: mcpsec.Write}
	if change != nil {
		change(&spec)
	}
	c.Tool = mcpsec.NewTool(spec, func(ctx context.Context, in removeIn) (echoOut, error) {
		c.begun.Add(1)
		a, err := mcpsec.Elicit[addressForm](ctx, "address", "Where does "+in.Name+" live?")
		return echoOut{fmt.Sprintf("to %s %d", a.Street, a.Zip)}, err
	})
	return c
}

var home = map[string]any{"street": "Elm", "zip": 12345}

// ways are those in which clients of each era are asked, as SDK clients do it by
// themselves.
var ways = map[string]func(testing.TB, *httpFixture, *mcp.ClientOptions) *mcp.ClientSession{
	"mrtr": func(t testing.TB, f *httpFixture, o *mcp.ClientOptions) *mcp.ClientSession {
		return connectWith(t, f, o, true, false)
	},
	"mrtr http": func(t testing.TB, f *httpFixture, o *mcp.ClientOptions) *mcp.ClientSession {
		return connectWith(t, f, o, true, true)
	},
	"elicitation": func(t testing.TB, f *httpFixture, o *mcp.ClientOptions) *mcp.ClientSession {
		return connectWith(t, f, o, false, false)
	},
	"elicitation http": func(t testing.TB, f *httpFixture, o *mcp.ClientOptions) *mcp.ClientSession {
		return connectWith(t, f, o, false, true)
	},
}

func connectWith(t testing.TB, f *httpFixture, o *mcp.ClientOptions, modern, overHTTP bool) *mcp.ClientSession {
	t.Helper()
	var transport mcp.Transport = &mcp.StreamableClientTransport{
		Endpoint: f.URL + "/mcp", HTTPClient: &http.Client{Transport: as{"alice-token", f.Client().Transport}},
	}
	if !overHTTP {
		conn := f.serve(t, t.Context())
		transport = &mcp.IOTransport{Reader: conn, Writer: conn}
	}
	cs, err := mcp.NewClient(impl, o).Connect(t.Context(), transport, &mcp.ClientSessionOptions{ProtocolVersion: versionOf(modern)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cs.Close() })
	return cs
}

var withSessions = mcpsec.HTTPOptions{Verifier: verify, Sessions: true}

func writeMode(o *mcpsec.Options) { o.Mode = mcpsec.Write }

// What a person may enter, and what the handler gets of it, over every way to
// ask. (ELI-04)
func TestElicit(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		person answerer
		text   string
		story  string
	}{
		"accept":   {answers("accept", home), `{"text":"to Elm 12345"}`, "allowed; asked input; allowed; ok"},
		"decline":  {answers("decline", nil), "did not answer", "allowed; asked input; allowed; refused declined"},
		"cancel":   {answers("cancel", nil), "did not answer", "allowed; asked input; allowed; refused declined"},
		"too much": {answers("accept", map[string]any{"street": "Elm", "zip": 12345, "more": "x"}), "to Elm 12345", "allowed; asked input; allowed; ok"},
	} {
		for way, connect := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				t.Parallel()
				c := newClerk(nil)
				f := newHTTP(t, withSessions, writeMode, c.Tool)
				cs := connect(t, f, &mcp.ClientOptions{ElicitationHandler: tc.person})
				if text := attempt(t, cs, "ship", removeIn{Name: "ada"}); !strings.Contains(text, tc.text) || c.begun.Load() != 2 {
					t.Errorf("got %q, begun %d times", text, c.begun.Load())
				}
				kind, _, _ := strings.Cut(way, " ")
				if got, want := f.story(t), strings.Replace(tc.story, "asked", kind+" asked", 1); got != want {
					t.Errorf("recorded %q, want %q", got, want)
				}
			})
		}
	}
}

// The form is what its type says, and the message has no more to it than the
// person sees.
func TestElicitShowsTheForm(t *testing.T) {
	t.Parallel()
	secret := "sk_live_" + strings.Repeat("a1B2", 8)
	for way, connect := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			c := newClerk(nil)
			f := newHTTP(t, withSessions, writeMode, c.Tool)
			var asked mcp.ElicitParams
			cs := connect(t, f, &mcp.ClientOptions{ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
				asked = *r.Params
				return &mcp.ElicitResult{Action: "decline"}, nil
			}})
			attempt(t, cs, "ship", removeIn{Name: "ada\u202e\n" + secret})
			if m := asked.Message; strings.Contains(m, secret) || strings.ContainsAny(m, "\n\u202e") {
				t.Errorf("got %q", m)
			}
			attempt(t, cs, "ship", removeIn{Name: "ada\u202e"})
			b, err := json.Marshal(asked.RequestedSchema)
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			const form = `{"type":"object","properties":{"street":{"type":"string","minLength":1,"maxLength":40},"zip":{"type":"integer","minimum":1,"maximum":99999}},"required":["street","zip"]}`
			if json.Unmarshal(b, &got) != nil || json.Unmarshal([]byte(form), &want) != nil || fmt.Sprint(got) != fmt.Sprint(want) || asked.Mode != "form" {
				t.Errorf("got %s", b)
			}
			if m := asked.Message; m != "Where does ada[U+202E] live?" {
				t.Errorf("got %q", m)
			}
		})
	}
}

// Only what a client has declared is asked for: the handler learns it, and the
// client what it lacks. (BASE-04, MRTR-04)
func TestAskingNeedsCapabilities(t *testing.T) {
	t.Parallel()
	sample := tool("sample", func(ctx context.Context, _ none) (echoOut, error) {
		s, err := mcpsec.Sample(ctx, "s", "Go on", 10)
		return echoOut{s}, err
	})
	roots := tool("roots", func(ctx context.Context, _ none) (echoOut, error) {
		_, err := mcpsec.Roots(ctx)
		return echoOut{}, fmt.Errorf("listing: %w", err)
	})
	without := tool("without", func(ctx context.Context, _ none) (echoOut, error) {
		_, err := mcpsec.Elicit[addressForm](ctx, "address", "Where?")
		return echoOut{fmt.Sprint(errors.Is(err, mcpsec.ErrCannotAsk))}, nil
	})
	f := newHTTP(t, withSessions, writeMode, newClerk(nil).Tool, sample, roots, without)
	for name, capability := range map[string]string{"ship": "elicitation", "sample": "sampling", "roots": "roots"} {
		args := `"arguments":{}`
		if name == "ship" {
			args = ada
		}
		body := strings.Replace(callBody(name, args), askingMeta, modernMeta, 1)
		res, text := f.do(t, body, modernHeaders("tools/call", name))
		if want := `"code":-32021,"message":"not done: it needs a client with the capability ` + capability + `","data":{"requiredCapabilities":{"` + capability + `":{}}}`; res.StatusCode != 400 || !strings.Contains(text, want) {
			t.Errorf("%s: got %d %s", name, res.StatusCode, text)
		}
	}
	none := &mcp.ClientOptions{Capabilities: &mcp.ClientCapabilities{}}
	for way, connect := range ways {
		if text := attempt(t, connect(t, f, none), "without", struct{}{}); text != `{"text":"true"}` {
			t.Errorf("%s: got %s", way, text)
		}
		if strings.HasPrefix(way, "elicitation") {
			if text := attempt(t, connect(t, f, none), "sample", struct{}{}); text != "not done: it needs a client with the capability sampling" {
				t.Errorf("%s: got %s", way, text)
			}
		}
	}
}

// inputState takes the state out of an answer that asks for one thing.
func inputState(t testing.TB, answer, name string) string {
	t.Helper()
	var m struct {
		Result struct {
			ResultType    string
			InputRequests map[string]json.RawMessage
			RequestState  string
		}
	}
	if err := json.Unmarshal([]byte(answer), &m); err != nil || m.Result.ResultType != "input_required" || m.Result.InputRequests[name] == nil || m.Result.RequestState == "" {
		t.Fatalf("does not ask for %s: %v: %s", name, err, answer)
	}
	return m.Result.RequestState
}

const atHome = `"inputResponses":{"address":{"action":"accept","content":{"street":"Elm","zip":12345}}}`

// An answer counts for what was asked, of whom it was asked, once, and for
// nothing else. STATE is that of the question. (MRTR-01 to 03, ELI-02)
func TestForgedInputs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		token, tool, members string
		want                 string
	}{
		"good":                   {"alice-token", "ship", ada + `,STATE,` + atHome, "to Elm 12345"},
		"good, and others":       {"alice-token", "ship", ada + `,STATE,` + strings.Replace(atHome, `"address"`, `"x":{"action":"accept"},"address"`, 1), "to Elm 12345"},
		"no state":               {"alice-token", "ship", ada + `,` + atHome, "input_required"},
		"a changed state":        {"alice-token", "ship", ada + `,"requestState":"AAAA",` + atHome, `"code":-32602,"message":"not allowed: the requestState is not one of this server's`},
		"another caller":         {"bob-token", "ship", ada + `,STATE,` + atHome, "of another caller"},
		"another tool":           {"alice-token", "send", ada + `,STATE,` + atHome, "of another tool"},
		"other arguments":        {"alice-token", "ship", eve + `,STATE,` + atHome, "of other arguments"},
		"nothing":                {"alice-token", "ship", ada + `,STATE`, "input_required"},
		"another name":           {"alice-token", "ship", ada + `,STATE,"inputResponses":{"x":{"action":"accept","content":{"street":"Elm","zip":1}}}`, "input_required"},
		"another kind":           {"alice-token", "ship", ada + `,STATE,"inputResponses":{"address":{"roots":[]}}`, "input_required"},
		"against the rules":      {"alice-token", "ship", ada + `,STATE,"inputResponses":{"address":{"action":"accept","content":{"street":"Elm","zip":0}}}`, "input_required"},
		"of the wrong type":      {"alice-token", "ship", ada + `,STATE,"inputResponses":{"address":{"action":"accept","content":{"street":["Elm"],"zip":1}}}`, "input_required"},
		"incomplete":             {"alice-token", "ship", ada + `,STATE,"inputResponses":{"address":{"action":"accept","content":{"zip":1}}}`, "input_required"},
		"beyond what is exact":   {"alice-token", "count", ada + `,STATE,"inputResponses":{"address":{"action":"accept","content":{"n":9007199254740993}}}`, "input_required"},
		"up to what is exact":    {"alice-token", "count", ada + `,STATE,"inputResponses":{"address":{"action":"accept","content":{"n":9007199254740991}}}`, "9007199254740991"},
		"an unknown action":      {"alice-token", "ship", ada + `,STATE,"inputResponses":{"address":{"action":"yes","content":{"street":"Elm","zip":1}}}`, "input_required"},
		"two actions":            {"alice-token", "ship", ada + `,STATE,"inputResponses":{"address":{"action":"decline","Action":"accept","content":{"street":"Elm","zip":1}}}`, "inputResponses must hold"},
		"a decline is no answer": {"alice-token", "ship", ada + `,STATE,"inputResponses":{"address":{"action":"decline","content":{"street":"Elm","zip":1}}}`, "did not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newHTTP(t, withSessions, writeMode, newClerk(nil).Tool, newClerk(func(s *mcpsec.ToolSpec) { s.Name = "send" }).Tool, counts)
			asked := tc.tool
			if asked == "send" {
				asked = "ship"
			}
			state := inputState(t, f.sender("alice-token")(t, asked, ada), "address")
			got := f.sender(tc.token)(t, tc.tool, strings.Replace(tc.members, "STATE", withState(state), 1))
			if !strings.Contains(got, tc.want) {
				t.Errorf("got %s", got)
			}
			if !strings.Contains(tc.members, "STATE") || strings.Contains(tc.want, "of ") || strings.Contains(tc.want, "must hold") {
				return
			}
			if again := f.sender("alice-token")(t, asked, ada+","+withState(state)+","+atHome); !strings.Contains(again, "used already") {
				t.Errorf("used twice: got %s", again)
			}
		})
	}
}

var counts = tool("count", func(ctx context.Context, _ removeIn) (echoOut, error) {
	c, err := mcpsec.Elicit[struct {
		N int64 `json:"n"`
	}](ctx, "address", "How many?")
	return echoOut{fmt.Sprint(c.N)}, err
})

// What a program does wrong in asking is an internal error, and a form with hidden
// text is wrong.
func TestWrongWaysToAsk(t *testing.T) {
	t.Parallel()
	var kept error
	keeps := tool("keeps", func(ctx context.Context, in echoIn) (echoOut, error) {
		if in.Text == "ask" {
			if _, err := mcpsec.Roots(ctx); err != nil {
				kept = err
			}
			_, err := mcpsec.Elicit[addressForm](ctx, "a", "Where?")
			return echoOut{}, err
		}
		return echoOut{}, kept
	})
	hidden := tool("hidden", func(ctx context.Context, _ none) (echoOut, error) {
		_, err := mcpsec.Elicit[struct {
			S string `json:"s" validate:"required,oneof=a b" titles:"One|T\u202ewo"`
		}](ctx, "a", "Which?")
		return echoOut{}, err
	})
	wrong := tool("wrong", func(ctx context.Context, in echoIn) (echoOut, error) {
		var err error
		switch in.Text {
		case "secret":
			_, err = mcpsec.Elicit[struct{ Password string }](ctx, "a", "What is it?")
		case "name":
			_, err = mcpsec.Elicit[addressForm](ctx, "a b", "Where?")
		case "empty":
			_, err = mcpsec.Elicit[addressForm](ctx, "a", "")
		case "long":
			_, err = mcpsec.Elicit[addressForm](ctx, "a", strings.Repeat("x", 4001))
		case "no prompt":
			_, err = mcpsec.Sample(ctx, "a", "", 1)
		case "no tokens":
			_, err = mcpsec.Sample(ctx, "a", "x", 0)
		}
		return echoOut{}, err
	})
	f := newHTTP(t, withSessions, nil, keeps, hidden, wrong)
	all := &mcp.ClientOptions{ElicitationHandler: answers("decline", nil), CreateMessageHandler: func(context.Context, *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
		return nil, errors.New("asked")
	}}
	cs := connectWith(t, f, all, true, false)
	attempt(t, cs, "keeps", echoIn{"ask"})
	for _, tc := range []struct{ tool, text string }{
		{"keeps", "again"}, {"hidden", ""}, {"wrong", "secret"}, {"wrong", "name"}, {"wrong", "empty"}, {"wrong", "long"}, {"wrong", "no prompt"}, {"wrong", "no tokens"},
	} {
		var args any = echoIn{tc.text}
		if tc.tool == "hidden" {
			args = none{}
		}
		if text := attempt(t, cs, tc.tool, args); !strings.HasPrefix(text, "internal error") {
			t.Errorf("%s %s: got %s", tc.tool, tc.text, text)
		}
	}
}

// The record says what was asked for, by name, and which call goes on from which.
func TestAskingIsRecorded(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, withSessions, writeMode, newClerk(nil).Tool)
	send := f.sender("alice-token")
	send(t, "ship", ada+","+withState(inputState(t, send(t, "ship", ada), "address"))+","+atHome)
	recs := f.records(t)
	if len(recs) != 4 || recs[1]["outcome"] != "asked" || recs[1]["asked"] != "address" || recs[1]["way"] != "mrtr" || recs[2]["resumes"] != recs[0]["call"] || recs[0]["resumes"] != nil {
		t.Errorf("recorded %v", recs)
	}
	if strings.Contains(f.audit.String(), "Elm") {
		t.Error("an answer is on record")
	}
	send(t, "ship", ada+","+atHome)
	if recs = f.records(t); recs[4]["decision"] != "refused" || recs[4]["rule"] != "input" || recs[4]["tool"] != "ship" {
		t.Errorf("answers without a state: recorded %v", recs[4])
	}
}

// An answer to another question than the handler asks now is none.
func TestAnswersAreToTheQuestion(t *testing.T) {
	t.Parallel()
	var price atomic.Int64
	f := newHTTP(t, withSessions, nil, tool("buy", func(ctx context.Context, _ none) (echoOut, error) {
		_, err := mcpsec.Elicit[addressForm](ctx, "address", fmt.Sprintf("Where to, for %d EUR?", price.Load()))
		return echoOut{"bought"}, err
	}))
	send := f.sender("alice-token")
	state := inputState(t, send(t, "buy", `"arguments":{}`), "address")
	price.Store(1000)
	state = inputState(t, send(t, "buy", `"arguments":{},`+withState(state)+`,`+atHome), "address")
	if got := send(t, "buy", `"arguments":{},`+withState(state)+`,`+atHome); !strings.Contains(got, "bought") {
		t.Errorf("got %s", got)
	}
}

// A yes to a tool that asks for more counts until the call has ended, and no
// longer; and the person is asked for it again if what would happen changes.
func TestElicitAfterConfirmation(t *testing.T) {
	t.Parallel()
	rows := new(atomic.Int64)
	destroys := func(s *mcpsec.ToolSpec) {
		s.Effect = mcpsec.Destroy
		s.Guards = []mcpsec.Guard{mcpsec.Preview(func(context.Context, removeIn) (string, error) { return fmt.Sprintf("%d rows", rows.Load()), nil })}
	}
	for way, connect := range ways {
		asked := []string{}
		f := newHTTP(t, withSessions, destroyMode, newClerk(destroys).Tool)
		cs := connect(t, f, &mcp.ClientOptions{ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			if strings.HasPrefix(r.Params.Message, "Allow") {
				asked = append(asked, "yes?")
				return &mcp.ElicitResult{Action: "accept", Content: yes}, nil
			}
			asked = append(asked, "where?")
			return &mcp.ElicitResult{Action: "accept", Content: home}, nil
		}})
		for range 2 {
			if text := attempt(t, cs, "ship", removeIn{Name: "ada"}); !strings.Contains(text, "to Elm") {
				t.Errorf("%s: got %s", way, text)
			}
		}
		if got := strings.Join(asked, " "); got != "yes? where? yes? where?" {
			t.Errorf("%s: asked %s", way, got)
		}
	}
	f := newHTTP(t, withSessions, destroyMode, newClerk(destroys).Tool)
	send := f.sender("alice-token")
	state := stateOf(t, send(t, "ship", ada))
	state = inputState(t, send(t, "ship", ada+","+withState(state)+","+accept), "address")
	rows.Store(7)
	state = inputState(t, send(t, "ship", ada+","+withState(state)+","+atHome), "confirm")
	if got := send(t, "ship", ada+","+withState(state)+","+accept); !strings.Contains(got, "to Elm") {
		t.Errorf("the answer was lost: %s", got)
	}
}

// A handler asks for several things at once, and a call only so often and for so
// much.
func TestAskingIsBounded(t *testing.T) {
	t.Parallel()
	type note struct {
		Text string `json:"text" validate:"max=4000"`
	}
	long := map[string]any{"text": strings.Repeat("x", 4000)}
	wizard := func(pages int) func(context.Context, none) (echoOut, error) {
		return func(ctx context.Context, _ none) (echoOut, error) {
			for i := range pages {
				if _, err := mcpsec.Elicit[note](ctx, fmt.Sprint("page", i), "Go on"); err != nil {
					return echoOut{}, err
				}
			}
			return echoOut{"done"}, nil
		}
	}
	many := tool("many", func(ctx context.Context, _ none) (echoOut, error) {
		var errs []error
		for i := range 17 {
			_, err := mcpsec.Elicit[note](ctx, fmt.Sprint("q", i), "Go on")
			errs = append(errs, err)
		}
		return echoOut{}, errors.Join(errs[16])
	})
	twice := tool("twice", func(ctx context.Context, _ none) (echoOut, error) {
		_, err1 := mcpsec.Elicit[note](ctx, "q", "One?")
		_, err2 := mcpsec.Elicit[note](ctx, "q", "Two?")
		_ = err1
		return echoOut{}, err2
	})
	for way, connect := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			f := newHTTP(t, withSessions, nil, tool("eight", wizard(8)), tool("nine", wizard(9)), tool("seven", wizard(7)), many, twice)
			cs := func(content map[string]any) *mcp.ClientSession {
				return connect(t, f, &mcp.ClientOptions{ElicitationHandler: answers("accept", content)})
			}
			short, much := cs(map[string]any{"text": "x"}), cs(long)
			for _, tc := range []struct {
				cs         *mcp.ClientSession
				tool, want string
			}{
				{short, "eight", `{"text":"done"}`}, {short, "nine", "has not answered as it was asked"},
				{much, "nine", "too long"}, {much, "seven", `{"text":"done"}`}, {cs(map[string]any{"text": strings.Repeat("x", 4001)}), "seven", "not"},
				{short, "many", "internal error"}, {short, "twice", "internal error"},
			} {
				if text := attempt(t, tc.cs, tc.tool, struct{}{}); !strings.Contains(text, tc.want) {
					t.Errorf("%s: got %s", tc.tool, text)
				}
			}
		})
	}
}
