package wire

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	hello  = `{"jsonrpc":"2.0","id":"h","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`
	modern = `"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}`
)

// A taken is a call as it arrives behind [Restore].
type taken struct {
	params *mcp.CallToolParamsRaw
	era    string
	short  bool
}

// session is an SDK server behind the wire, with a tool that notes its calls.
type session struct {
	client  net.Conn
	answers *bufio.Reader
	calls   chan taken
}

func newSession(t testing.TB) *session {
	t.Helper()
	s := &session{calls: make(chan taken, 1)}
	srv := mcp.NewServer(&mcp.Implementation{Name: "s", Version: "1"}, nil)
	srv.AddTool(&mcp.Tool{Name: "tool", InputSchema: map[string]any{"type": "object"}}, func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{}, nil
	})
	srv.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			sent := method
			method, req = Restore(method, req)
			if call, ok := req.(*mcp.CallToolRequest); ok {
				s.calls <- taken{call.Params, call.ProtocolVersion(), sent != method}
			}
			return next(ctx, method, req)
		}
	})
	client, server := net.Pipe()
	s.client, s.answers = client, bufio.NewReader(client)
	ss, err := srv.Connect(context.Background(), New(server, server, config()), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); _ = ss.Wait() })
	return s
}

// ask returns the answer to a line.
func (s *session) ask(t testing.TB, line string) string {
	t.Helper()
	go io.WriteString(s.client, line+"\n")
	answer, err := s.answers.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// call makes a call with params, and reports how it arrived; nil if it did not.
func (s *session) call(t testing.TB, params string) (string, *taken) {
	t.Helper()
	answer := s.ask(t, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":`+params+`}`)
	select {
	case c := <-s.calls:
		return answer, &c
	default:
		return answer, nil
	}
}

// What takes the shortcut is what the SDK has taken before, and arrives as the SDK
// would have decoded it.
func TestShortcut(t *testing.T) {
	t.Parallel()
	const plain = `{"name":"tool","arguments":{"a":1}}`
	with := func(meta string) string { return `{"name":"tool","arguments":{},"_meta":{` + meta + `}}` }
	level := modern + `,"io.modelcontextprotocol/logLevel":"info"`
	for name, tc := range map[string]struct {
		before, params string
		short          bool
	}{
		"the same":                {plain, plain, true},
		"other arguments":         {plain, `{"arguments":{"b":[2,"x"]},"name":"tool"}`, true},
		"no arguments":            {plain, `{"name":"tool"}`, true},
		"a name with escapes":     {plain, `{"name":"t\u006fol"}`, true},
		"a name that is none":     {plain, `{"name":"other"}`, true},
		"a progress token":        {plain, with(`"progressToken":7,"vendor":{"a":[1,null]}`), true},
		"modern":                  {with(modern), with(modern), true},
		"modern, and more":        {with(modern), with(`"progressToken":"x",` + modern), true},
		"never before":            {"", plain, false},
		"refused before":          {`{"name":"other"}`, plain, false},
		"another era":             {plain, with(modern), false},
		"back to the first era":   {with(modern), plain, false},
		"another version":         {with(modern), with(strings.Replace(modern, "2026-07-28", "2027-07-28", 1)), false},
		"other capabilities":      {with(modern), with(strings.Replace(modern, `ties":{}`, `ties":{"elicitation":{}}`, 1)), false},
		"without the version":     {with(modern), with(modern[strings.Index(modern, ",")+1:]), false},
		"a level for each call":   {with(level), with(level), false},
		"an unknown member":       {plain, `{"name":"tool","other":1}`, false},
		"a member in other case":  {plain, `{"name":"tool","Arguments":{}}`, false},
		"an escaped member":       {plain, `{"name":"tool","\u0061rguments":{}}`, false},
		"a state":                 {plain, `{"name":"tool","requestState":"s"}`, false},
		"arguments that are none": {plain, `{"name":"tool","arguments":[]}`, false},
		"null as arguments":       {plain, `{"name":"tool","arguments":null}`, false},
		"no name":                 {plain, `{"arguments":{}}`, false},
		"null as a name":          {plain, `{"name":null}`, false},
		"null as _meta":           {plain, `{"name":"tool","_meta":null}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slow, fast := newSession(t), newSession(t)
			slow.ask(t, hello)
			fast.ask(t, hello)
			if tc.before != "" {
				fast.call(t, tc.before)
			}
			wantAnswer, want := slow.call(t, tc.params)
			answer, got := fast.call(t, tc.params)
			if got != nil && got.short != tc.short || got == nil && tc.short {
				t.Fatalf("took the shortcut: %v, want %v", !tc.short, tc.short)
			}
			agree(t, want, got)
			if answer = strings.Replace(answer, `,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s","version":"1"}}`, "", 1); tc.before == plain && answer != wantAnswer {
				t.Errorf("answered %s, want %s", answer, wantAnswer)
			}
		})
	}
}

func agree(t testing.TB, want, got *taken) {
	t.Helper()
	if (want == nil) != (got == nil) {
		t.Fatalf("arrived as %v, want %v", got, want)
	}
	if want != nil && (!reflect.DeepEqual(got.params, want.params) || got.era != want.era) {
		t.Fatalf("arrived as %s %+v, want %s %+v", got.era, got.params, want.era, want.params)
	}
}

// A session that has not begun refuses a call however it is sent.
func TestShortcutNeedsASession(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	for range 2 {
		if answer, c := s.call(t, `{"name":"tool"}`); c != nil || !strings.Contains(answer, OutOfOrder) {
			t.Errorf("answered %s", answer)
		}
	}
}

// Of a ping that a client sends nothing becomes a call.
func TestPingStaysAPing(t *testing.T) {
	t.Parallel()
	s := newSession(t)
	s.ask(t, hello)
	s.call(t, `{"name":"tool"}`)
	for _, params := range []string{`{}`, `{"name":"tool","arguments":{}}`, `{"_meta":{"tools/call":{"name":"tool"}}}`} {
		answer := s.ask(t, `{"jsonrpc":"2.0","id":2,"method":"ping","params":`+params+`}`)
		if !strings.Contains(answer, `"result":{}`) || len(s.calls) != 0 {
			t.Errorf("ping with %s answered %s", params, answer)
		}
	}
}

// However a call is written, the shortcut and the SDK's decoder read it alike.
func FuzzShortcut(f *testing.F) {
	f.Add(`{"name":"tool","arguments":{"a":[1,2.5,null,"\u00e9"]}}`)
	f.Add(`{"name":"tool","_meta":{"progressToken":1e2,"x":{"y":-0.0}},"arguments":{ }}`)
	f.Add(`{"_meta":{` + modern + `},"name":"\u0074ool"}`)
	f.Fuzz(func(t *testing.T, params string) {
		if strings.ContainsAny(params, "\n\r") || len(params) > 2000 {
			return
		}
		s := newSession(t)
		s.ask(t, hello)
		s.call(t, `{"name":"tool"}`)
		first := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":%s}`, params)
		m, _, r := parse([]byte(first), 16)
		if r != nil || m == nil || !strings.HasPrefix(params, "{") {
			return
		}
		slow := newSession(t)
		slow.ask(t, hello)
		_, want := slow.call(t, params)
		_, got := s.call(t, params)
		agree(t, want, got)
		_, again := s.call(t, params)
		agree(t, want, again)
	})
}
