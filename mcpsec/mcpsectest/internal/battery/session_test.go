package battery

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// talk is a session with a server that answers each line with others.
func talk(t *testing.T, answers func(line string) []string) *Session {
	t.Helper()
	target := Target{Serve: func(_ context.Context, r io.ReadCloser, w io.WriteCloser) error {
		d := json.NewDecoder(r)
		for {
			var m json.RawMessage
			if err := d.Decode(&m); err != nil {
				return err
			}
			for _, a := range answers(string(m)) {
				fmt.Fprintln(w, a)
			}
		}
	}}
	s, err := target.dial(io.Discard, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSession(t *testing.T) {
	t.Parallel()
	const result = `{"jsonrpc":"2.0","id":1,"result":{}}`
	for name, tt := range map[string]struct {
		answers []string
		outcome Outcome
		noise   int
	}{
		"a result":                 {[]string{result}, Answered, 0},
		"an error":                 {[]string{`{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"no"}}`}, Answered, 0},
		"an error without an id":   {[]string{`{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"no"}}`}, Answered, 0},
		"a result without an id":   {[]string{`{"jsonrpc":"2.0","id":null,"result":{}}`}, Silent, 0},
		"another's":                {[]string{`{"jsonrpc":"2.0","id":2,"result":{}}`}, Silent, 0},
		"a notification first":     {[]string{`{"jsonrpc":"2.0","method":"notifications/message"}`, result}, Answered, 0},
		"a request first":          {[]string{`{"jsonrpc":"2.0","id":1,"method":"roots/list"}`, result}, Answered, 0},
		"a line that is no JSON":   {[]string{"listening", result}, Answered, 1},
		"JSON that is no JSON-RPC": {[]string{`{"level":"info"}`, "null", "[1]", result}, Answered, 2},
		"nothing":                  {nil, Silent, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := talk(t, func(line string) []string {
					if strings.Contains(line, `"error"`) { // what is said to a request of the server
						return nil
					}
					return tt.answers
				})
				if r := s.Request(t.Context(), "ping", "{}"); r.Outcome != tt.outcome || len(s.Noise()) != tt.noise {
					t.Errorf("got %+v and %q", r, s.Noise())
				}
			})
		})
	}
}

func TestParams(t *testing.T) {
	t.Parallel()
	s := &Session{Version: modern}
	for _, params := range []string{"{}", `{ }`, `{"a":1}`, `{"a":1,"a":2}`} {
		var got map[string]json.RawMessage
		if err := json.Unmarshal([]byte(s.params(params)), &got); err != nil || got["_meta"] == nil || strings.Contains(params, "a") && got["a"] == nil {
			t.Errorf("%s: %v: %s", params, err, s.params(params))
		}
	}
	if got := (&Session{Version: legacy}).params(`{"a":1}`); got != `{"a":1}` {
		t.Errorf("got %s", got)
	}
}

// Events come in any form that the standard for them allows.
func TestEvents(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n",
		": comment\r\nevent: message\r\nid: 7\r\ndata:{\"jsonrpc\":\"2.0\",\r\ndata: \"id\":1,\"result\":{}}\r\n\r\n",
		"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n",
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			_, _ = io.WriteString(w, body)
		}))
		s, err := Target{URL: srv.URL}.dial(io.Discard, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if r := s.Request(t.Context(), "ping", "{}"); !r.Accepted() {
			t.Errorf("%q: got %+v", body, r)
		}
		s.Close()
		srv.Close()
	}
}

func FuzzSession(f *testing.F) {
	f.Add(`{"jsonrpc":"2.0","id":1,"result":{}}`)
	f.Add(`[{"jsonrpc":"2.0","id":1,"result":{}}]`)
	f.Add(`{"jsonrpc":"2.0","id":{},"error":{"code":1e9,"message":"\ud800"}}`)
	f.Fuzz(func(t *testing.T, line string) {
		var m message
		if json.Unmarshal([]byte(line), &m) == nil {
			r := m.reply([]byte(line))
			_ = r.Text()
			if r.Accepted() && r.Denied() {
				t.Error("accepted, and denied")
			}
		}
		_ = isMessage([]byte(line))
	})
}
