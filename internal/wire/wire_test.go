package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
)

func config() Config {
	return Config{MaxLine: 4096, MaxDepth: 16, MaxInFlight: 3, Grace: time.Minute, Refused: func(*Refusal) {}}
}

// A peer is a connection under test with a client on its other end.
type peer struct {
	*conn
	tr      *Transport
	client  net.Conn
	input   io.Closer
	answers *bufio.Reader
}

func newPeer(t testing.TB, cfg Config) *peer {
	t.Helper()
	client, server := net.Pipe()
	tr := New(server, server, cfg)
	if _, err := tr.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); tr.conn.Close() })
	return &peer{tr.conn, tr, client, client, bufio.NewReader(client)}
}

func (p *peer) send(lines ...string) {
	for _, l := range lines {
		io.WriteString(p.client, l+"\n")
	}
}

func (p *peer) answer(t testing.TB) string {
	t.Helper()
	l, err := p.answers.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(l)
}

// Every bad line is answered, with an error that holds nothing of it, and the
// good line after it still arrives.
func TestBadLinesAreAnsweredAndSurvived(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	for name, tc := range map[string]struct{ line, id, want string }{
		"garbage":               {secret, "null", "-32700"},
		"half a message":        {`{"jsonrpc":"2.0","id":7,"method":"` + secret, "null", "-32700"},
		"trailing data":         {`{"jsonrpc":"2.0","id":7,"method":"ping"} ` + secret, "7", "-32700"},
		"two messages":          {`{"jsonrpc":"2.0","id":7,"method":"ping"}{"jsonrpc":"2.0","id":8,"method":"ping"}`, "7", "-32700"},
		"batch":                 {`[{"jsonrpc":"2.0","id":7,"method":"ping"}]`, "null", "batches are not accepted"},
		"empty batch":           {`[]`, "null", "batches are not accepted"},
		"a string":              {`"` + secret + `"`, "null", "-32600"},
		"null":                  {`null`, "null", "-32600"},
		"wrong version":         {`{"jsonrpc":"1.0","id":7,"method":"ping"}`, "7", `jsonrpc must be \"2.0\"`},
		"no version":            {`{"id":7,"method":"ping"}`, "7", `jsonrpc must be`},
		"float id":              {`{"jsonrpc":"2.0","id":2.7,"method":"ping"}`, "null", "id must be"},
		"integral float id":     {`{"jsonrpc":"2.0","id":2.0,"method":"ping"}`, "null", "id must be"},
		"exponent id":           {`{"jsonrpc":"2.0","id":1e3,"method":"ping"}`, "null", "id must be"},
		"null id":               {`{"jsonrpc":"2.0","id":null,"method":"ping"}`, "null", "id must be"},
		"bool id":               {`{"jsonrpc":"2.0","id":true,"method":"ping"}`, "null", "id must be"},
		"object id":             {`{"jsonrpc":"2.0","id":{"a":"` + secret + `"},"method":"ping"}`, "null", "id must be"},
		"rounded id":            {`{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}`, "null", "id must be"},
		"endless id":            {`{"jsonrpc":"2.0","id":"` + strings.Repeat("i", 257) + `","method":"ping"}`, "null", "id must be"},
		"duplicate method":      {`{"jsonrpc":"2.0","id":7,"method":"tools/list","method":"tools/call"}`, "7", "a member occurs twice"},
		"duplicate id":          {`{"jsonrpc":"2.0","id":7,"id":8,"method":"ping"}`, "null", "a member occurs twice"},
		"duplicate in depth":    {`{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"arguments":{"x":1,"x":"` + secret + `"}}}`, `"a"`, "a member occurs twice"},
		"escaped duplicate":     {`{"jsonrpc":"2.0","id":7,"method":"ping","\u006dethod":"tools/call"}`, "7", "a member occurs twice"},
		"escaped name":          {`{"jsonrpc":"2.0","id":7,"\u006dethod":"ping"}`, "7", "not a JSON-RPC"},
		"case variant":          {`{"jsonrpc":"2.0","id":7,"Method":"ping"}`, "7", "not a JSON-RPC"},
		"unknown member":        {`{"jsonrpc":"2.0","id":7,"method":"ping","` + secret + `":1}`, "7", "not a JSON-RPC"},
		"both ways":             {`{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}`, "7", "a request or a response"},
		"neither":               {`{"jsonrpc":"2.0","id":7}`, "7", "a message needs"},
		"result and error":      {`{"jsonrpc":"2.0","id":7,"result":{},"error":{"code":1,"message":"m"}}`, "7", "a message needs"},
		"error of wrong shape":  {`{"jsonrpc":"2.0","id":7,"error":{"code":"x"}}`, "7", "error must have"},
		"method of wrong type":  {`{"jsonrpc":"2.0","id":7,"method":5}`, "7", "method must be"},
		"endless method":        {`{"jsonrpc":"2.0","id":7,"method":"` + strings.Repeat("m", 129) + `"}`, "7", "method must be"},
		"array as params":       {`{"jsonrpc":"2.0","id":7,"method":"ping","params":["` + secret + `"]}`, "7", "params must be"},
		"null as params":        {`{"jsonrpc":"2.0","id":7,"method":"ping","params":null}`, "7", "params must be"},
		"invalid UTF-8":         {"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\",\"params\":{\"a\":\"\xff" + secret + "\"}}", "7", "-32700"},
		"lone surrogate":        {`{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":"\ud800"}}`, "7", "-32700"},
		"depth bomb":            {strings.Repeat(`{"a":`, 500) + secret, "null", "nested too deeply: at most 16"},
		"object as token":       {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"_meta":{"progressToken":{}}}}`, "7", "progressToken must be"},
		"rounded token":         {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"_meta":{"progressToken":9007199254740993}}}`, "7", "progressToken must be"},
		"endless token":         {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"_meta":{"progressToken":"` + strings.Repeat("t", 300) + `"}}}`, "7", "progressToken must be"},
		"escaped token":         {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"_meta":{"progress\u0054oken":{}}}}`, "7", "progressToken must be"},
		"answer in two cases":   {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"inputResponses":{"q":{"action":"decline","Action":"accept"}}}}`, "7", "inputResponses must hold"},
		"answer by escapes":     {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"input\u0052esponses":{"q":{"action":"decline","\u0041ction":"accept"}}}}`, "7", "inputResponses must hold"},
		"answer without action": {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"inputResponses":{"q":{"content":{}}}}}`, "7", "inputResponses must hold"},
		"answer of a model":     {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"inputResponses":{"q":{"role":"user","` + secret + `":1}}}}`, "7", "inputResponses must hold"},
		"answers as a list":     {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"inputResponses":["` + secret + `"]}}`, "7", "inputResponses must hold"},
		"array depth bomb":      {`{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}}", "null", "nested too deeply"},
		"too long":              {`{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":"` + strings.Repeat("x", 4096) + `"}}`, "null", "too long: at most 4096 bytes"},
		"many times too long":   {strings.Repeat(secret, 100_000), "null", "too long: at most 4096 bytes"},
		"byte order mark":       {"\uFEFF" + `{"jsonrpc":"2.0","id":7,"method":"ping"}`, "null", "-32700"},
		"control characters":    {"\x00\x01\x02", "null", "-32700"},
		"a comment":             {`{"jsonrpc":"2.0",/*` + secret + `*/"id":7,"method":"ping"}`, "null", "-32700"},
		"a name of odd letters": {"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\\u0000\":\"ping\"}", "7", "not a JSON-RPC"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var told []string
			cfg := config()
			cfg.Refused = func(r *Refusal) { told = append(told, r.Text) }
			p := newPeer(t, cfg)
			go p.send(tc.line, `{"jsonrpc":"2.0","id":"next","method":"ping"}`)
			got := p.answer(t)
			var a struct {
				JSONRPC string          `json:"jsonrpc"`
				ID      json.RawMessage `json:"id"`
				Error   jsonrpc.Error   `json:"error"`
			}
			if err := json.Unmarshal([]byte(got), &a); err != nil || a.JSONRPC != "2.0" || a.Error.Code == 0 {
				t.Fatalf("got %s (%v)", got, err)
			}
			if string(a.ID) != tc.id {
				t.Errorf("id: got %s, want %s", a.ID, tc.id)
			}
			if !strings.Contains(got, tc.want) {
				t.Errorf("got %s, want %s in it", got, tc.want)
			}
			if strings.Contains(got, secret) {
				t.Errorf("%s echoes the line", got)
			}
			m, err := p.Read(t.Context())
			if req, ok := m.(*jsonrpc.Request); err != nil || !ok || req.ID.Raw() != "next" {
				t.Errorf("the next message: got %v, %v", m, err)
			}
			if len(told) != 1 {
				t.Errorf("told of %q", told)
			}
		})
	}
}

// Notifications have no answer: what the server has no use for is dropped.
func TestUselessNotificationsAreDropped(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"a call without id":      `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"x"}}`,
		"unknown":                `{"jsonrpc":"2.0","method":"notifications/x"}`,
		"cancel of a float":      `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2.7}}`,
		"cancel of nothing":      `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{}}`,
		"cancel without params":  `{"jsonrpc":"2.0","method":"notifications/cancelled"}`,
		"cancel in two cases":    `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2.7,"REQUESTID":1}}`,
		"cancel of no request":   `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`,
		"progress":               `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"x"}}`,
		"roots":                  `{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}`,
		"cancel of wrong shape":  `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{}}}`,
		"wrong version, no id":   `{"jsonrpc":"1.0","method":"notifications/initialized"}`,
		"blank":                  "   \t ",
		"carriage return, blank": "\r",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, config())
			go p.send(line, `{"jsonrpc":"2.0","method":"notifications/initialized","params":{"x":"dropped"}}`)
			m, err := p.Read(t.Context())
			if req, ok := m.(*jsonrpc.Request); err != nil || !ok || req.Method != "notifications/initialized" || req.Params != nil {
				t.Errorf("got %v, %v", m, err)
			}
		})
	}
}

func TestGoodMessagesPassExactly(t *testing.T) {
	t.Parallel()
	p := newPeer(t, config())
	go p.send(
		"  {\"jsonrpc\":\"2.0\",\"id\":9007199254740991,\"method\":\"tools/call\",\"params\":{ \"n\" : 9223372036854775807 }}\r",
		`{"jsonrpc":"2.0","id":"é\u0041","method":"tools\/list"}`,
		`{"jsonrpc":"2.0","id":4,"result":{"a":1}}`,
		`{"jsonrpc":"2.0","id":5,"error":{"code":-1,"message":"no"}}`,
	)
	read := func() jsonrpc.Message {
		m, err := p.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if r := read().(*jsonrpc.Request); r.ID.Raw() != int64(maxIntID) || r.Method != "tools/call" || string(r.Params) != `{ "n" : 9223372036854775807 }` {
		t.Errorf("got %v %s %s", r.ID.Raw(), r.Method, r.Params)
	}
	if r := read().(*jsonrpc.Request); r.ID.Raw() != "éA" || r.Method != "tools/list" || r.Params != nil {
		t.Errorf("got %v %s %s", r.ID.Raw(), r.Method, r.Params)
	}
	if r := read().(*jsonrpc.Response); r.ID.Raw() != int64(4) || string(r.Result) != `{"a":1}` {
		t.Errorf("got %v %s", r.ID.Raw(), r.Result)
	}
	if r := read().(*jsonrpc.Response); r.Error == nil || r.Error.Error() != "no" {
		t.Errorf("got %v", r.Error)
	}
}

func call(id string) string { return `{"jsonrpc":"2.0","id":` + id + `,"method":"tools/call"}` }

func TestInFlightIsBounded(t *testing.T) {
	t.Parallel()
	p := newPeer(t, config())
	go p.send(call("1"), call("2"), call("2"), call("3"), call("4"))
	for _, want := range []int64{1, 2} {
		if m, _ := p.Read(t.Context()); m.(*jsonrpc.Request).ID.Raw() != want {
			t.Fatalf("got %v", m)
		}
	}
	if got := p.answer(t); !strings.Contains(got, `"id":null`) || !strings.Contains(got, "a request with this id is in flight") {
		t.Errorf("same id twice: got %s", got)
	}
	three, _ := p.Read(t.Context())
	if got := p.answer(t); !strings.Contains(got, `"id":4`) || !strings.Contains(got, "4290") {
		t.Errorf("over the limit: got %s", got)
	}
	// An answer makes room, and frees the id.
	go p.Write(t.Context(), &jsonrpc.Response{ID: three.(*jsonrpc.Request).ID, Result: json.RawMessage(`{}`)})
	if got := p.answer(t); got != `{"jsonrpc":"2.0","id":3,"result":{}}` {
		t.Errorf("got %s", got)
	}
	go p.send(call("3"))
	if m, err := p.Read(t.Context()); err != nil || m.(*jsonrpc.Request).ID.Raw() != int64(3) {
		t.Errorf("got %v, %v", m, err)
	}
}

// Notifications are queued without a bound by the SDK: only the first
// initialized passes, and one cancellation for each request in flight.
func TestNotificationsAreBounded(t *testing.T) {
	t.Parallel()
	p := newPeer(t, config())
	const cancel = `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"reason":"x","requestId":1}}`
	const initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	go p.send(cancel, initialized, initialized, call("1"), cancel, cancel, initialized, call("2"))
	var got []string
	for range 4 {
		m, err := p.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r := m.(*jsonrpc.Request)
		got = append(got, strings.TrimPrefix(r.Method, "notifications/")+string(r.Params))
	}
	if want := `initialized tools/call cancelled{"requestId":1} tools/call`; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSubscriptionsHaveABoundOfTheirOwn(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.MaxInFlight = 100
	p := newPeer(t, cfg)
	go func() {
		for i := range maxListens + 1 {
			p.send(`{"jsonrpc":"2.0","id":` + strconv.Itoa(i) + `,"method":"subscriptions/listen"}`)
		}
	}()
	for range maxListens {
		if _, err := p.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.answer(t); !strings.Contains(got, "4290") {
		t.Errorf("got %s", got)
	}
}

// A peer that reads nothing does not keep the connection open for ever.
func TestUnreadAnswersDoNotBlockTheEnd(t *testing.T) {
	t.Parallel()
	for name, finish := range map[string]func(*peer){
		"stop": func(p *peer) { p.tr.Stop() },
		"eof":  func(p *peer) { p.input.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in, input := io.Pipe()
				unread, out := io.Pipe()
				tr := New(in, out, config())
				tr.Connect(t.Context())
				p := &peer{conn: tr.conn, tr: tr, input: input}
				go io.WriteString(input, call("1")+"\n")
				m, err := p.Read(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				written := make(chan error, 1)
				go func() {
					written <- p.Write(t.Context(), &jsonrpc.Response{ID: m.(*jsonrpc.Request).ID, Result: json.RawMessage(`{}`)})
				}()
				synctest.Wait()
				finish(p)
				p.Read(t.Context())
				if err := <-written; err == nil {
					t.Error("written to nobody")
				}
				<-tr.GaveUp()
				unread.Close()
				input.Close()
			})
		})
	}
}

// Only our own constants leave in an error.
func TestErrorTextsAreConstants(t *testing.T) {
	t.Parallel()
	const leak = "open /etc/shadow: hunter2"
	wrap := func(code int64, text string) error { return &jsonrpc.Error{Code: code, Message: text} }
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"plain":            {errors.New(leak), `{"code":-32600,"message":"` + OutOfOrder + `"}`},
		"code zero":        {wrap(0, leak), `{"code":-32600,"message":"` + OutOfOrder + `"}`},
		"invalid params":   {wrap(jsonrpc.CodeInvalidParams, leak), `{"code":-32602,"message":"invalid params: they do not have the shape that the method takes"}`},
		"internal":         {wrap(jsonrpc.CodeInternalError, leak), `{"code":-32603,"message":"internal error"}`},
		"unknown tool":     {&Vetted{jsonrpc.CodeInvalidParams, "unknown tool", nil}, `{"code":-32602,"message":"unknown tool"}`},
		"vetted, wrapped":  {fmt.Errorf("hunter2: %w", &Vetted{CodeRefused, "no", nil}), `{"code":4030,"message":"no"}`},
		"vetted, odd code": {&Vetted{-1, "hunter2", nil}, `{"code":-32600,"message":"` + OutOfOrder + `"}`},
		"undefined code":   {wrap(-1, leak), `{"code":-32603,"message":"internal error"}`},
		"data is dropped":  {&jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Data: json.RawMessage(`"hunter2"`)}, `{"code":-32602,"message":"invalid params: they do not have the shape that the method takes"}`},
		"data by the spec": {&jsonrpc.Error{Code: -32022, Message: leak, Data: json.RawMessage(`{"supported":["2025-11-25"],"requested":"2020-01-01"}`)}, `{"code":-32022,"message":"unsupported protocol version","data":{"supported":["2025-11-25"],"requested":"2020-01-01"}}`},
		"data that echoes": {&jsonrpc.Error{Code: -32022, Data: json.RawMessage(`{"supported":["2025-11-25"],"requested":"` + leak + `"}`)}, `{"code":-32022,"message":"unsupported protocol version","data":{"supported":["2025-11-25"],"requested":"unknown"}}`},
		"endless data":     {&jsonrpc.Error{Code: -32022, Data: json.RawMessage(`"` + strings.Repeat("x", 2000) + `"`)}, `{"code":-32022,"message":"unsupported protocol version"}`},
		"nil":              {nil, `{"code":-32600,"message":"` + OutOfOrder + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPeer(t, config())
			id, _ := jsonrpc.MakeID("x")
			go p.Write(t.Context(), &jsonrpc.Response{ID: id, Error: tc.err})
			if got, want := p.answer(t), `{"jsonrpc":"2.0","id":"x","error":`+tc.want+`}`; got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

// At the end of the stream, calls in flight may finish; those that do not are
// given the grace period and no more.
func TestEndOfStream(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, method string) (*peer, chan error) {
		p := newPeer(t, config())
		go p.send(`{"jsonrpc":"2.0","id":1,"method":"` + method + `"}`)
		if _, err := p.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		end := make(chan error, 1)
		go func() {
			_, err := p.Read(context.Background())
			end <- err
		}()
		return p, end
	}
	ended := func(end chan error) bool {
		synctest.Wait()
		select {
		case <-end:
			return true
		default:
			return false
		}
	}
	answer := func(p *peer) {
		id, _ := jsonrpc.MakeID(1.0)
		go p.Write(context.Background(), &jsonrpc.Response{ID: id, Result: json.RawMessage(`{}`)})
	}
	for name, finish := range map[string]func(*peer){
		"stop": func(p *peer) { p.tr.Stop() },
		"eof":  func(p *peer) { p.client.Close() },
	} {
		t.Run(name+" waits for the answer", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, end := start(t, "tools/call")
				if finish(p); ended(end) {
					t.Fatal("ended with a call in flight")
				}
				answer(p)
				if name == "stop" {
					p.answer(t)
				}
				if !ended(end) {
					t.Error("did not end after the last answer")
				}
			})
		})
		t.Run(name+" has a limit", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, end := start(t, "tools/call")
				finish(p)
				time.Sleep(time.Minute - time.Second)
				if ended(end) {
					t.Fatal("ended before the grace period")
				}
				time.Sleep(2 * time.Second)
				if !ended(end) {
					t.Error("did not end after the grace period")
				}
			})
		})
	}
	t.Run("subscriptions are not waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p, end := start(t, "subscriptions/listen")
			p.tr.Stop()
			if !ended(end) {
				t.Error("waits for a subscription")
			}
		})
	})
	t.Run("requests after the stop are turned away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newPeer(t, config())
			p.tr.Stop()
			if _, err := p.Read(t.Context()); !errors.Is(err, io.EOF) {
				t.Errorf("got %v", err)
			}
			go p.send(call("9"))
			if got := p.answer(t); !strings.Contains(got, `"id":9`) || !strings.Contains(got, stopping) {
				t.Errorf("got %s", got)
			}
		})
	})
}

// Concurrent answers are whole lines.
func TestWritesDoNotMix(t *testing.T) {
	t.Parallel()
	p := newPeer(t, config())
	var wg sync.WaitGroup
	payload := json.RawMessage(`"` + strings.Repeat("x", 3000) + `"`)
	for i := range 20 {
		wg.Go(func() {
			id, _ := jsonrpc.MakeID(float64(i))
			p.Write(t.Context(), &jsonrpc.Response{ID: id, Result: payload})
		})
	}
	for range 20 {
		if l := p.answer(t); !json.Valid([]byte(l)) {
			t.Errorf("broken line %.80s", l)
		}
	}
	wg.Wait()
}

// What the filter passes on, the SDK's decoder reads in the same way.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":[1,2.5,null]}}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":"a","result":{}}`))
	f.Add([]byte(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"\u0061"}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if len(line) == 0 {
			return
		}
		m, _, r := parse(line, 16)
		if r != nil {
			if len(line) > 8 && strings.Contains(r.Text, string(line)) {
				t.Fatalf("%q echoes %q", r.Text, line)
			}
			return
		}
		want, err := jsonrpc.DecodeMessage(line)
		if err != nil {
			t.Fatalf("passed %q, which the SDK refuses: %v", line, err)
		}
		got, ok := m.(*jsonrpc.Request)
		req, ok2 := want.(*jsonrpc.Request)
		if ok != ok2 {
			t.Fatalf("%q: got %T, the SDK reads %T", line, m, want)
		}
		if ok && (got.Method != req.Method || got.ID != req.ID || got.IsCall() && string(got.Params) != string(req.Params)) {
			t.Fatalf("%q: got %v %q %s, the SDK reads %v %q %s", line, got.ID, got.Method, got.Params, req.ID, req.Method, req.Params)
		}
	})
}
