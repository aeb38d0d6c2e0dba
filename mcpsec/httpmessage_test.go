package mcpsec_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

const modernMeta = `"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}`

// modernBody is a request of the newest protocol. params are further ones.
func modernBody(method, params string) string {
	if params != "" {
		params += ","
	}
	return `{"jsonrpc":"2.0","id":1,"method":"` + method + `","params":{` + params + modernMeta + `}}`
}

func modernHeaders(method, name string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Mcp-Protocol-Version", "2026-07-28")
		r.Header.Set("Mcp-Method", method)
		if name != "" {
			r.Header.Set("Mcp-Name", name)
		}
	}
}

// A body that is not one well-formed message is answered with an error that
// holds nothing of it. (P6, P10, P16, P24)
func TestHTTPBadMessagesAreNotEchoed(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, nil, echo())
	for name, tc := range map[string]struct {
		body   string
		status int
		id     string
		want   string
	}{
		"garbage":           {secret, 400, "null", "-32700"},
		"empty":             {"", 400, "null", "-32700"},
		"blank":             {" \n\t ", 400, "null", "-32700"},
		"half a message":    {`{"jsonrpc":"2.0","id":7,"method":"` + secret, 400, "null", "-32700"},
		"two messages":      {pingBody + pingBody, 400, "1", "-32700"},
		"batch":             {"[" + pingBody + "]", 400, "null", "batches are not accepted"},
		"batch behind room": {" \n[" + pingBody + "]", 400, "null", "batches are not accepted"},
		"empty batch":       {"[]", 400, "null", "batches are not accepted"},
		"wrong version":     {`{"jsonrpc":"1.0","id":7,"method":"` + secret + `"}`, 400, "7", "-32600"},
		"float id":          {`{"jsonrpc":"2.0","id":2.7,"method":"ping"}`, 400, "null", "-32600"},
		"null id":           {`{"jsonrpc":"2.0","id":null,"method":"ping"}`, 400, "null", "-32600"},
		"duplicate method":  {`{"jsonrpc":"2.0","id":7,"method":"tools/list","method":"tools/call"}`, 400, "7", "a member occurs twice"},
		"duplicate argument": {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"x","text":"` + secret + `"}}}`,
			400, "7", "a member occurs twice"},
		"duplicate name":    {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","name":"` + secret + `"}}`, 400, "7", "a member occurs twice"},
		"unknown member":    {`{"jsonrpc":"2.0","id":7,"method":"ping","` + secret + `":1}`, 400, "7", "-32600"},
		"invalid UTF-8":     {"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"ping\",\"params\":{\"a\":\"\xff" + secret + "\"}}", 400, "7", "-32700"},
		"depth bomb":        {strings.Repeat(`{"a":`, 5000) + secret, 400, "null", "nested too deeply"},
		"name of a number":  {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":5,"arguments":{"t":"` + secret + `"}}}`, 400, "7", "-32602"},
		"meta of a string":  {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","_meta":"` + secret + `"}}`, 400, "7", "-32602"},
		"version of a list": {`{"jsonrpc":"2.0","id":7,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":["` + secret + `"]}}}`, 400, "7", "-32602"},
		"array arguments":   {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":["` + secret + `"]}}`, 200, "7", "invalid arguments"},
		"unknown method":    {`{"jsonrpc":"2.0","id":7,"method":"` + secret + `"}`, 200, "7", "-32601"},
		"unknown tool":      {`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + secret + `"}}`, 200, "7", "-32602"},
		"a made-up cursor":  {`{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"cursor":"` + secret + `"}}`, 200, "7", "-32602"},
		"a wrong resource":  {`{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"file:///` + secret + `"}}`, 200, "7", `"error"`},
		"a level":           {`{"jsonrpc":"2.0","id":7,"method":"logging/setLevel","params":{"level":"` + secret + `"}}`, 200, "7", `7`},
		"initialize badly":  {`{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"` + secret + `":1,"protocolVersion":5}}`, 200, "7", `"error"`},
		"an answer":         {`{"jsonrpc":"2.0","id":7,"result":{"` + secret + `":1}}`, 400, "null", "asked nothing"},
		"an error":          {`{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"` + secret + `"}}`, 400, "null", "asked nothing"},
		"too long":          {`{"jsonrpc":"2.0","id":7,"method":"` + strings.Repeat(secret, 200_000) + `"}`, 413, "null", "too long"},
	} {
		res, body := f.do(t, tc.body, nil)
		var a struct {
			JSONRPC string          `json:"jsonrpc"`
			ID      json.RawMessage `json:"id"`
		}
		if err := json.Unmarshal([]byte(body), &a); err != nil || a.JSONRPC != "2.0" || string(a.ID) != tc.id {
			t.Errorf("%s: got id %s, want %s: %s", name, a.ID, tc.id, body)
		}
		if res.StatusCode != tc.status || !strings.Contains(body, tc.want) || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %d %s, want %d %s", name, res.StatusCode, body, tc.status, tc.want)
		}
		if strings.Contains(body, secret) || strings.Contains(fmt.Sprint(res.Header), secret) {
			t.Errorf("%s: echoes %s", name, body)
		}
	}
	if strings.Contains(f.audit.String()+f.log.String(), secret) {
		t.Errorf("recorded %s %s", f.audit.String(), f.log.String())
	}
}

// Chunks and a length that lies make no difference to the bound. (P18)
func TestHTTPBodyIsBounded(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, func(o *mcpsec.Options) { o.Limits.MaxMessage = 1000 }, echo())
	pad := func(n int) string { return pingBody + strings.Repeat(" ", n-len(pingBody)) }
	for _, tc := range []struct{ size, length, want int }{{1000, 1000, 200}, {1000, -1, 200}, {1001, 1001, 413}, {1001, -1, 413}, {5_000_000, -1, 413}} {
		res, body := f.do(t, pad(tc.size), func(r *http.Request) { r.ContentLength = int64(tc.length) })
		if res.StatusCode != tc.want {
			t.Errorf("%d bytes, length %d: got %d %s", tc.size, tc.length, res.StatusCode, body)
		}
	}
}

// What the headers say of body and answer must be what MCP uses. (P28)
func TestHTTPMediaTypes(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, nil, echo())
	check := func(name, value string, want int) {
		t.Helper()
		res, body := f.do(t, pingBody, func(r *http.Request) {
			if r.Header.Set(name, value); value == "" {
				r.Header.Del(name)
			}
		})
		if res.StatusCode != want {
			t.Errorf("%s: %s: got %d %s, want %d", name, value, res.StatusCode, body, want)
		}
	}
	for _, ok := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "application/json;v=1"} {
		check("Content-Type", ok, 200)
	}
	for _, bad := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; application/json",
		"application/jsonp", "application/json; charset=utf-16", "application/json; charset", "application/json, text/plain", "*/*"} {
		check("Content-Type", bad, 415)
	}
	for _, bad := range []string{"gzip", "identity", "br"} {
		check("Content-Encoding", bad, 415)
	}
	for _, ok := range []string{"*/*", "application/json,text/event-stream", "text/event-stream;q=0.1, APPLICATION/JSON", "application/*, text/*"} {
		check("Accept", ok, 200)
	}
	for _, bad := range []string{"", "application/json", "text/event-stream", "text/html", "json, event-stream"} {
		check("Accept", bad, 406)
	}
	check("Last-Event-ID", "1_2", 400)
	check("Mcp-Session-Id", "someone-elses", 200) // there are none (P29)
}

// Headers that proxies decide by agree with the message. (HTTP-06, HTTP-07,
// HTTP-08, HTTP-09)
func TestHTTPHeadersAgreeWithMessage(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, nil, echo())
	const callParams = `"name":"echo","arguments":{"text":"x"}`
	for name, tc := range map[string]struct {
		body   string
		change func(http.Header)
		status int
		want   string
	}{
		"all agree":           {modernBody("tools/call", callParams), func(http.Header) {}, 200, `"structuredContent":{"text":"x"}`},
		"encoded name":        {modernBody("tools/call", callParams), func(h http.Header) { h.Set("Mcp-Name", "=?base64?ZWNobw==?=") }, 200, `"structuredContent"`},
		"wrongly encoded":     {modernBody("tools/call", callParams), func(h http.Header) { h.Set("Mcp-Name", "=?base64?ZWNobw?=") }, 400, "-32020"},
		"another name":        {modernBody("tools/call", callParams), func(h http.Header) { h.Set("Mcp-Name", "hunter2") }, 400, "-32020"},
		"no name":             {modernBody("tools/call", callParams), func(h http.Header) { h.Del("Mcp-Name") }, 400, "-32020"},
		"two names":           {modernBody("tools/call", callParams), func(h http.Header) { h.Add("Mcp-Name", "hunter2") }, 400, "-32020"},
		"another method":      {modernBody("tools/call", callParams), func(h http.Header) { h.Set("Mcp-Method", "hunter2") }, 400, "-32020"},
		"method in capitals":  {modernBody("tools/call", callParams), func(h http.Header) { h.Set("Mcp-Method", "Tools/Call") }, 400, "-32020"},
		"no method":           {modernBody("tools/call", callParams), func(h http.Header) { h.Del("Mcp-Method") }, 400, "-32020"},
		"two versions":        {modernBody("tools/call", callParams), func(h http.Header) { h.Add("Mcp-Protocol-Version", "2025-11-25") }, 400, "-32020"},
		"no version":          {modernBody("tools/call", callParams), func(h http.Header) { h.Del("Mcp-Protocol-Version") }, 400, "-32020"},
		"an older version":    {modernBody("tools/call", callParams), func(h http.Header) { h.Set("Mcp-Protocol-Version", "2025-11-25") }, 400, "-32020"},
		"unknown older":       {listBody, func(h http.Header) { h.Set("Mcp-Protocol-Version", "2020-01-01") }, 400, "-32022"},
		"no date at all":      {listBody, func(h http.Header) { h.Set("Mcp-Protocol-Version", "!hunter2") }, 400, `"requested":"unknown"`},
		"unknown newer":       {strings.ReplaceAll(modernBody("tools/list", ""), "2026-07-28", "2030-01-01"), func(h http.Header) { h.Set("Mcp-Protocol-Version", "2030-01-01"); h.Set("Mcp-Method", "tools/list") }, 400, `"requested":"2030-01-01"`},
		"modern without meta": {listBody, func(h http.Header) { h.Set("Mcp-Method", "tools/list") }, 400, "-32602"},
		"no capabilities": {`{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`,
			func(h http.Header) { h.Set("Mcp-Method", "tools/list") }, 400, "-32602"},
		"unknown method": {modernBody("hunter2/x", ""), func(h http.Header) { h.Set("Mcp-Method", "hunter2/x") }, 404, "-32601"},
		"an old method":  {modernBody("ping", ""), func(h http.Header) { h.Set("Mcp-Method", "ping") }, 404, "-32601"},
		"unknown tool":   {modernBody("tools/call", `"name":"hunter2"`), func(h http.Header) { h.Set("Mcp-Name", "hunter2") }, 400, "-32602"},
		"legacy":         {listBody, func(h http.Header) { h.Set("Mcp-Protocol-Version", "2025-06-18") }, 200, `"tools":[`},
		"oldest":         {listBody, func(h http.Header) { h.Del("Mcp-Protocol-Version") }, 200, `"tools":[`},
	} {
		res, body := f.do(t, tc.body, func(r *http.Request) {
			modernHeaders("tools/call", "echo")(r)
			tc.change(r.Header)
		})
		if res.StatusCode != tc.status || !strings.Contains(body, tc.want) || strings.Contains(body, "hunter2") {
			t.Errorf("%s: got %d %s, want %d %s", name, res.StatusCode, body, tc.status, tc.want)
		}
	}
}

// A notification has no answer, and does nothing. (HTTP-04)
func TestHTTPNotifications(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, func(o *mcpsec.Options) { o.Limits.CallsPerSecond = 10 }, echo())
	for _, body := range []string{
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`, `{"jsonrpc":"2.0","method":"notifications/hunter2"}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo"}}`,
	} {
		if res, answer := f.do(t, body, nil); res.StatusCode != 202 || answer != "" {
			t.Errorf("%s: got %d %q", body, res.StatusCode, answer)
		}
	}
	codes := map[int]int{}
	for range 100 {
		res, _ := f.do(t, `{"jsonrpc":"2.0","method":"notifications/initialized"}`, nil)
		codes[res.StatusCode]++
	}
	if codes[429] < 50 {
		t.Errorf("a flood: got %v", codes)
	}
}

// Whatever a principal sends takes of the same allowance, bad messages too, and
// nobody else's. (P23)
func TestHTTPRateIsPerPrincipal(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"answers": `{"jsonrpc":"2.0","id":1,"result":{}}`, "too long": strings.Repeat(" ", 1<<20+1),
		"unknown tools": strings.Replace(echoBody, "echo", "absent", 1),
		"lists":         listBody, "garbage": "{", "pings": pingBody,
		"initialize": `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`,
	} {
		f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, func(o *mcpsec.Options) { o.Limits.CallsPerSecond = 3 }, echo())
		codes := map[int]int{}
		for range 40 {
			res, _ := f.do(t, body, nil)
			if codes[res.StatusCode]++; res.StatusCode == 429 && res.Header.Get("Retry-After") == "" {
				t.Errorf("%s: 429 without Retry-After", name)
			}
		}
		if codes[429] < 20 {
			t.Errorf("%s: got %v", name, codes)
		}
		if res, _ := f.do(t, listBody, func(r *http.Request) { r.Header.Set("Authorization", "Bearer bob-token") }); res.StatusCode != 200 {
			t.Errorf("%s: somebody else gets %d", name, res.StatusCode)
		}
	}
}

// Who hangs up before the answer has taken of the allowance all the same.
func TestHTTPRateCountsWhoHangsUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *mcpsec.Options) { o.Limits.CallsPerSecond = 1 }, echo())
	h, err := f.HTTP(mcpsec.HTTPOptions{Verifier: verify})
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	codes := map[int]int{}
	for range 20 {
		codes[from(h, loopback, post("localhost", "{").WithContext(gone)).Code]++
	}
	if codes[http.StatusBadRequest] != 2 || codes[http.StatusTooManyRequests] != 18 {
		t.Errorf("got %v", codes)
	}
}

// panics is a body whose reader panics.
type panics struct{}

func (panics) Read([]byte) (int, error) { panic("hunter2") }
func (panics) Close() error             { return nil }

// A panic inside ends the request only, and is answered. (P2)
func TestHTTPPanicsEndTheRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil, echo())
	h, err := f.HTTP(mcpsec.HTTPOptions{Verifier: verify})
	if err != nil {
		t.Fatal(err)
	}
	r := post("localhost", "")
	r.Body, r.ContentLength = panics{}, 10
	if w := from(h, loopback, r); w.Code != 503 || strings.Contains(w.Body.String(), "hunter2") || !strings.Contains(f.log.String(), "panic") {
		t.Errorf("got %d %s, logged %s", w.Code, w.Body, f.log.String())
	}
	for range 100 { // it has left its place
		if w := from(h, loopback, post("localhost", pingBody)); w.Code != 200 {
			t.Fatalf("afterwards: got %d", w.Code)
		}
	}
}

// mutate damages a text somewhere.
func mutate(r *rand.Rand, s string) string {
	b := []byte(s)
	for range 1 + r.IntN(3) {
		i := r.IntN(len(b) + 1)
		switch r.IntN(5) {
		case 0:
			b = slices.Insert(b, i, byte(r.IntN(256)))
		case 1:
			b = b[:i]
		case 2:
			b = slices.Insert(b, i, []byte(hostilePieces[r.IntN(len(hostilePieces))])...)
		case 3:
			if i < len(b) {
				b[i] ^= 1 << r.IntN(8)
			}
		case 4:
			b = append(b, b[i:]...)
		}
	}
	return string(b)
}

var hostilePieces = []string{
	"hunter2", "\r\nX-Injected: 1", "\x00", "\"", "{", "[", "}", "]", ",", ":", "null", "1e999", "-0", "\\u0000", "\\ud800", "\xff\xfe", "../", "%2e%2e/", "%00",
	"tools/call", "admin", `"name":"admin"`, "2026-07-28", "2025-11-25", "Bearer ", "alice-token", "https://evil.example", "\u202e", "=?base64?", "?=", "*/*", "  ",
}

// Thousands of damaged requests get a constant answer each, run nothing that was
// not asked for properly, and the server lives on.
func TestHTTPHostileRequests(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *mcpsec.Options) { o.Limits.CallsPerSecond = 1e6 }, echo(), scoped("admin", "orders.admin"))
	o := protected()
	o.BehindProxy, o.Origins = true, []string{"https://chat.example.com"}
	h, err := f.HTTP(o)
	if err != nil {
		t.Fatal(err)
	}
	n := 6000
	if testing.Short() {
		n = 600
	}
	r := rand.New(rand.NewPCG(1, 2))
	statuses := map[int]int{}
	for i := range n {
		body, change := echoBody, func(*http.Request) {}
		if i%2 == 0 {
			body, change = modernBody("tools/call", `"name":"echo","arguments":{"text":"x"}`), modernHeaders("tools/call", "echo")
		}
		if r.IntN(2) == 0 {
			body = mutate(r, body)
		}
		req := post("mcp.example.com", body)
		change(req)
		req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.1", i/250, i%250))
		req.Header.Set("Origin", "https://chat.example.com")
		for name, v := range req.Header {
			if r.IntN(8) == 0 {
				v[0] = mutate(r, v[0])
			}
			if r.IntN(40) == 0 {
				req.Header.Add(name, v[0])
			}
		}
		if r.IntN(10) == 0 {
			req.Host = mutate(r, req.Host)
		}
		if r.IntN(10) == 0 {
			req.URL = &url.URL{Path: mutate(r, req.URL.Path), RawQuery: mutate(r, "")}
		}
		w := from(h, outside, req)
		statuses[w.Code]++
		if all := w.Body.String() + fmt.Sprint(w.Header()); strings.Contains(all, "hunter2") && !strings.Contains(all, `"structuredContent":{"text":"`) ||
			w.Header().Get("X-Injected") != "" || strings.Contains(all, "ran") || w.Code == 500 {
			t.Fatalf("request %d %q\n%v\ngot %d %s", i, body, req.Header, w.Code, all)
		}
		if w.Body.Len() > 0 && w.Code != 200 {
			if _, err := jsonrpc.DecodeMessage(w.Body.Bytes()); err != nil && !strings.Contains(w.Body.String(), `"id":null`) {
				t.Fatalf("got %s: %v", w.Body, err)
			}
		}
	}
	if statuses[200] < n/20 || statuses[400] < n/20 || statuses[401] == 0 || statuses[403] == 0 || statuses[404] == 0 || statuses[415] == 0 || statuses[503] > 0 {
		t.Errorf("got %v", statuses)
	}
	if strings.Contains(f.log.String(), "panic") {
		t.Errorf("logged %s", f.log.String())
	}
	if w := from(h, outside, post("mcp.example.com", echoBody)); w.Code != 200 {
		t.Errorf("afterwards: got %d %s", w.Code, w.Body)
	}
}

// No body brings the server to echo it, to fail inside, or to answer with what
// is no message.
func FuzzHTTP(f *testing.F) {
	fix := newFixture(f, func(o *mcpsec.Options) { o.Limits.CallsPerSecond = 1e6 }, echo())
	fix.AddPrompt(review(nil))
	fix.AddResource(page(nil), order(nil))
	h, err := fix.HTTP(mcpsec.HTTPOptions{Verifier: verify})
	if err != nil {
		f.Fatal(err)
	}
	for _, body := range []string{pingBody, listBody, echoBody, modernBody("server/discover", ""), modernBody("tools/call", `"name":"echo"`), "[]",
		modernBody("prompts/get", `"name":"review","arguments":{"language":"go"}`), modernBody("resources/read", `"uri":"test://orders/%2e/data"`),
		modernBody("completion/complete", `"ref":{"type":"ref/prompt","name":"review"},"argument":{"name":"focus","value":"x"}`), modernBody("resources/list", ""),
		modernBody("resources/subscribe", `"uri":"test://page"`), `{"jsonrpc":"2.0","method":"x"}`} {
		f.Add([]byte(body), "2025-11-25")
		f.Add([]byte(body), "2026-07-28")
	}
	f.Fuzz(func(t *testing.T, body []byte, version string) {
		r := post("localhost", string(body))
		r.Header.Set("Mcp-Protocol-Version", version)
		var m struct {
			Method string
			Params struct{ Name, URI string }
		}
		if json.Unmarshal(body, &m) == nil {
			r.Header.Set("Mcp-Method", m.Method)
			r.Header.Set("Mcp-Name", m.Params.Name+m.Params.URI)
		}
		if m.Method == "subscriptions/listen" { // it would last
			return
		}
		w := from(h, loopback, r)
		if w.Code >= 500 {
			t.Fatalf("%q: got %d %s", body, w.Code, w.Body)
		}
		if w.Code != http.StatusAccepted && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%q: got %d %s", body, w.Code, w.Body)
		}
	})
}

// An argument that stands in a header, too, is the same there, for proxies that
// decide by it. (HTTP-09)
func TestHTTPParamHeaders(t *testing.T) {
	t.Parallel()
	type regional struct {
		Region string `json:"region" validate:"max=40" mcpsec:"header=Region"`
		Level  int64  `json:"level" mcpsec:"header=Level"`
	}
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify, Origins: []string{"https://chat.example.com"}}, nil, tool("regional", func(_ context.Context, in regional) (echoOut, error) {
		return echoOut{in.Region}, nil
	}))
	for name, tc := range map[string]struct {
		arguments string
		headers   []string // names and values
		ok        bool
	}{
		"the same":            {`{"region":"eu","level":9007199254740993}`, []string{"Region", "eu", "Level", "9007199254740993"}, true},
		"rounded":             {`{"region":"eu","level":9007199254740993}`, []string{"Region", "eu", "Level", "9007199254740992"}, false},
		"none":                {`{}`, nil, true},
		"no such argument":    {`{}`, []string{"Region", "eu"}, false},
		"no header":           {`{"region":"eu"}`, nil, false},
		"another value":       {`{"region":"eu"}`, []string{"Region", "us"}, false},
		"two values":          {`{"region":"eu"}`, []string{"Region", "eu", "Region", "us"}, false},
		"in base64":           {`{"region":"Köln"}`, []string{"Region", "=?base64?S8O2bG4=?="}, true},
		"other base64":        {`{"region":"Köln"}`, []string{"Region", "=?base64?S8O2bG8=?="}, false},
		"loose base64":        {`{"region":"Köln"}`, []string{"Region", "=?base64?S8O2bG5=?="}, false},
		"bad base64":          {`{"region":"eu"}`, []string{"Region", "=?base64?!!?="}, false},
		"escapes in the body": {`{"region":"\u0065u"}`, []string{"Region", "eu"}, true},
		"empty":               {`{"region":""}`, []string{"Region", ""}, true},
		"empty, no header":    {`{"region":""}`, nil, false},
	} {
		res, body := f.do(t, modernBody("tools/call", `"name":"regional","arguments":`+tc.arguments), func(r *http.Request) {
			modernHeaders("tools/call", "regional")(r)
			for i := 0; i < len(tc.headers); i += 2 {
				r.Header.Add("Mcp-Param-"+tc.headers[i], tc.headers[i+1])
			}
		})
		if tc.ok != (res.StatusCode == 200) || !tc.ok && !strings.Contains(body, "-32020") {
			t.Errorf("%s: got %d %s", name, res.StatusCode, body)
		}
	}
	res, _ := f.do(t, "", func(r *http.Request) {
		r.Method = http.MethodOptions
		r.Header.Set("Origin", "https://chat.example.com")
	})
	if got := res.Header.Get("Access-Control-Allow-Headers"); !strings.HasSuffix(got, ", Mcp-Param-Level, Mcp-Param-Region") {
		t.Errorf("got %s", got)
	}
}
