package mailtool

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mailtool"
)

// person connects a client of an era, whose person is asked.
func person(t *testing.T, version string, says func(question string) bool) (*session, *mcp.ClientSession, *office) {
	t.Helper()
	o, s := newOffice(t), &session{t: t}
	s.Session = mcptest.Pipe(t, s.server(options(o.port), nil), nil)
	cs, err := mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, &mcp.ClientOptions{ElicitationHandler: func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.asked = append(s.asked, r.Params.Message)
		return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": says(r.Params.Message)}}, nil
	}}).Connect(t.Context(), &mcp.IOTransport{Reader: s.Conn, Writer: s.Conn}, &mcp.ClientSessionOptions{ProtocolVersion: version})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cs.Close() })
	return s, cs, o
}

// A person is asked by clients of both eras: where the question is an answer to the call,
// which is made once more with the yes, and where it is a request of the server's. The
// message that they were asked about, by its digest, is the one that is sent.
func TestMailSendAsksAPerson(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2025-06-18", "2026-07-28"} {
		for _, yes := range []bool{true, false} {
			t.Run(version, func(t *testing.T) {
				t.Parallel()
				s, cs, o := person(t, version, func(string) bool { return yes })
				res, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: "mail_send", Arguments: letterTo("ann@customer.example")})
				if err != nil {
					t.Fatal(err)
				}
				text := res.Content[0].(*mcp.TextContent).Text
				if q := s.questions(); len(q) != 1 || !strings.Contains(q[0], "to ann@customer.example") || res.IsError == yes || len(o.got()) > 1 || (len(o.got()) == 1) != yes {
					t.Fatalf("asked %q, got %s, and %d letters", q, text, len(o.got()))
				}
				var r mailtool.Receipt
				if yes && (json.Unmarshal([]byte(text), &r) != nil || !strings.Contains(s.questions()[0], "[message "+r.Digest+"]")) {
					t.Errorf("asked %q, sent %+v", s.questions(), r)
				}
			})
		}
	}
}

const meta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{}}}`

// pass calls mail_send in a pass of a call, with what the client answers.
func (s *session) pass(in args, members string) string {
	raw, err := json.Marshal(in)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(s.Request("tools/call", `{"name":"mail_send","arguments":`+string(raw)+`,`+members+meta+`}`))
}

// A yes is of one message: with another argument in the pass that has it, or a second
// time, nothing is sent.
func TestMailSendPasses(t *testing.T) {
	t.Parallel()
	o, s := newOffice(t), &session{t: t}
	s.Session = mcptest.Pipe(t, s.server(options(o.port), nil), nil)
	ask := func(in args) string {
		t.Helper()
		answer := s.pass(in, "")
		var m struct {
			Result struct{ ResultType, RequestState string }
		}
		if err := json.Unmarshal([]byte(answer), &m); err != nil || m.Result.ResultType != "input_required" || !strings.Contains(answer, "[message ") {
			t.Fatalf("does not ask: %s", answer)
		}
		return `"requestState":"` + m.Result.RequestState + `","inputResponses":{"confirm":{"action":"accept","content":{"confirm":true}}},`
	}
	for name, change := range map[string]func(args){
		"to":         func(a args) { a["to"] = []string{"ann@customer.example"} },
		"cc":         func(a args) { a["cc"] = []string{"ann@customer.example"} },
		"subject":    func(a args) { a["subject"] = "Other" },
		"text":       func(a args) { a["text"] = "Other" },
		"html":       func(a args) { a["html"] = "<p>Other</p>" },
		"attachment": func(a args) { a["attachments"] = []args{{"name": "a.txt", "content": []byte("x")}} },
		"references": func(a args) { a["references"] = []string{"<a@example.com>"} },
		"key":        func(a args) { a["idempotency_key"] = "2" },
	} {
		in := letterTo("bob@example.com")
		yes := ask(in)
		change(in)
		if answer := s.pass(in, yes); strings.Contains(answer, `sent\"`) || len(o.got()) != 0 {
			t.Errorf("%s: %s, and %d letters", name, answer, len(o.got()))
		}
	}
	in := letterTo("bob@example.com")
	yes := ask(in)
	if answer := s.pass(in, yes); !strings.Contains(answer, `\"status\":\"sent\"`) || len(o.got()) != 1 {
		t.Errorf("%s, and %d letters", answer, len(o.got()))
	}
	in["idempotency_key"] = "2"
	if answer := s.pass(in, yes); len(o.got()) != 1 {
		t.Errorf("%s, and %d letters", answer, len(o.got()))
	}
}
