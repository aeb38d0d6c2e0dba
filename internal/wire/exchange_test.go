package wire

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

// A recorder is the way that answers take.
type recorder struct {
	notified, answered []string
	code               int64
	refused            []string
}

func exchangeFor(t *testing.T, line string) (*recorder, *exchange) {
	t.Helper()
	m, refusal := Parse([]byte(line), 16)
	if refusal != nil {
		t.Fatal(refusal)
	}
	r := &recorder{}
	e := &Exchange{
		Request: m.(*jsonrpc.Request), Context: t.Context(),
		Notify:  func(b []byte) error { r.notified = append(r.notified, string(b)); return nil },
		Answer:  func(b []byte, code int64) error { r.answered, r.code = append(r.answered, string(b)), code; return nil },
		Refused: func(f *Refusal) { r.refused = append(r.refused, f.Text) },
	}
	conn, err := e.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r, conn.(*exchange)
}

// A request is read once, answered once, and nothing follows its answer.
func TestExchange(t *testing.T) {
	t.Parallel()
	r, e := exchangeFor(t, call("7"))
	m, err := e.Read(t.Context())
	if req, ok := m.(*jsonrpc.Request); err != nil || !ok || req.Method != "tools/call" {
		t.Fatalf("got %v, %v", m, err)
	}
	progress := &jsonrpc.Request{Method: "notifications/progress", Params: json.RawMessage(`{"progress":1}`)}
	if err := e.Write(t.Context(), progress); err != nil {
		t.Error(err)
	}
	if err := e.Write(t.Context(), &jsonrpc.Request{ID: e.Request.ID, Method: "sampling/createMessage"}); err == nil {
		t.Error("the client is asked")
	}
	answer := &jsonrpc.Response{ID: e.Request.ID, Result: json.RawMessage(`{}`)}
	if err := e.Write(t.Context(), answer); err != nil {
		t.Error(err)
	}
	for _, late := range []jsonrpc.Message{answer, progress} {
		if err := e.Write(t.Context(), late); err == nil {
			t.Errorf("%T after the answer is written", late)
		}
	}
	if _, err := e.Read(t.Context()); err != io.EOF {
		t.Errorf("got %v", err)
	}
	if len(r.notified) != 1 || len(r.answered) != 1 || r.answered[0] != `{"jsonrpc":"2.0","id":7,"result":{}}` || r.code != 0 {
		t.Errorf("got %+v", r)
	}
	for range 2 {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}

// An error leaves as a constant, and one of a call is told of.
func TestExchangeErrors(t *testing.T) {
	t.Parallel()
	for method, told := range map[string]int{"tools/call": 1, "tools/list": 0} {
		r, e := exchangeFor(t, strings.Replace(call("7"), "tools/call", method, 1))
		e.Write(t.Context(), &jsonrpc.Response{ID: e.Request.ID, Error: &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "hunter2"}})
		if len(r.answered) != 1 || strings.Contains(r.answered[0], "hunter2") || r.code != jsonrpc.CodeInvalidParams || len(r.refused) != told {
			t.Errorf("%s: got %+v", method, r)
		}
	}
}

// A question goes out under the id that Ask gives, and its answer comes in under
// the one that the server gave. (STD-03, HTTP-12)
func TestExchangeAsks(t *testing.T) {
	t.Parallel()
	r, e := exchangeFor(t, call("7"))
	var deliver func(*jsonrpc.Response)
	ended := 0
	e.Ask = func(d func(*jsonrpc.Response)) (jsonrpc.ID, func(), error) {
		deliver = d
		id, err := jsonrpc.MakeID("random")
		return id, func() { ended++ }, err
	}
	own, err := jsonrpc.MakeID(1.0)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Write(t.Context(), &jsonrpc.Request{ID: own, Method: "elicitation/create", Params: json.RawMessage(`{}`)}); err != nil {
		t.Fatal(err)
	}
	if len(r.notified) != 1 || !strings.Contains(r.notified[0], `"id":"random"`) {
		t.Errorf("got %s", r.notified)
	}
	given, _ := jsonrpc.MakeID("random")
	deliver(&jsonrpc.Response{ID: given, Result: json.RawMessage(`{"x":1}`)})
	for _, want := range []jsonrpc.ID{e.Request.ID, own} {
		m, err := e.Read(t.Context())
		switch m := m.(type) {
		case *jsonrpc.Request:
			if m.ID != want {
				t.Errorf("got %v", m.ID)
			}
		case *jsonrpc.Response:
			if m.ID != want || string(m.Result) != `{"x":1}` {
				t.Errorf("got %v %s", m.ID, m.Result)
			}
		default:
			t.Errorf("got %v, %v", m, err)
		}
	}
	if err := e.Write(t.Context(), &jsonrpc.Response{ID: e.Request.ID, Result: json.RawMessage(`{}`)}); err != nil || ended != 1 {
		t.Errorf("got %v, ended %d times", err, ended)
	}
	_, gone := exchangeFor(t, call("7"))
	gone.Ask = e.Ask
	if err := gone.Write(t.Context(), &jsonrpc.Request{ID: own, Method: "elicitation/create"}); err != nil {
		t.Fatal(err)
	}
	if err := gone.Close(); err != nil || ended != 2 {
		t.Errorf("closed: got %v, ended %d times", err, ended)
	}
	if err := gone.Write(t.Context(), &jsonrpc.Request{ID: own, Method: "elicitation/create"}); err == nil {
		t.Error("asked after the end")
	}
}
