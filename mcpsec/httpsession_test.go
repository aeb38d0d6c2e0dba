//lint:file-ignore SA1019 the protocol has deprecated it, and clients of both eras have it

package mcpsec_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

const initBody = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}}}`

// session initializes one, and returns its id.
func (f *httpFixture) session(t testing.TB, token string) string {
	t.Helper()
	res, body := f.do(t, initBody, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
	if res.StatusCode != 200 {
		t.Fatalf("got %d %s", res.StatusCode, body)
	}
	return res.Header.Get("Mcp-Session-Id")
}

// in is a request of a session.
func in(session, token, method string) func(*http.Request) {
	return func(r *http.Request) {
		r.Method = method
		if method != http.MethodPost {
			r.Body, r.ContentLength = nil, 0
		}
		r.Header.Set("Mcp-Session-Id", session)
		r.Header.Set("Mcp-Protocol-Version", "2025-11-25")
		r.Header.Set("Authorization", "Bearer "+token)
	}
}

// A session is its principal's, is random, ends when it is ended, and is none
// where the operator wants none. (SBP-02, SBP-03)
func TestSessions(t *testing.T) {
	t.Parallel()
	logs := func(o *mcpsec.Options) { o.ClientLog = true }
	for on, want := range map[bool]bool{true: true, false: false} { // a level lasts only within a session
		_, body := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify, Sessions: on}, logs, echo()).do(t, initBody, nil)
		if got := strings.Contains(body, `"logging":{}`); got != want {
			t.Errorf("sessions %v: got %s", on, body)
		}
	}
	off := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify}, nil, echo())
	if id := off.session(t, "alice-token"); id != "" {
		t.Errorf("got a session: %s", id)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		if res, _ := off.do(t, "", in("x", "alice-token", method)); res.StatusCode != 405 {
			t.Errorf("%s: got %d", method, res.StatusCode)
		}
	}
	f := newHTTP(t, withSessions, nil, echo())
	one, two := f.session(t, "alice-token"), f.session(t, "alice-token")
	if len(one) != 26 || one == two {
		t.Errorf("got %q and %q", one, two)
	}
	for name, tc := range map[string]struct {
		session, token, method string
		want                   int
	}{
		"own":               {one, "alice-token", "POST", 200},
		"another's":         {one, "bob-token", "POST", 404},
		"another's end":     {one, "bob-token", "DELETE", 404},
		"another's stream":  {one, "bob-token", "GET", 404},
		"unknown":           {"x", "alice-token", "POST", 404},
		"no token":          {one, "", "POST", 400},
		"none":              {"", "alice-token", "POST", 200},
		"the end of none":   {"", "alice-token", "DELETE", 404},
		"another HTTP verb": {one, "alice-token", "PUT", 405},
	} {
		if res, body := f.do(t, echoBody, in(tc.session, tc.token, tc.method)); res.StatusCode != tc.want {
			t.Errorf("%s: got %d %s", name, res.StatusCode, body)
		} else if got := res.Header.Get("Mcp-Session-Id"); got != "" {
			t.Errorf("%s: begins the session %s", name, got)
		}
	}
	if res, _ := f.do(t, modernBody("tools/list", ""), func(r *http.Request) {
		modernHeaders("tools/list", "")(r)
		r.Header.Set("Mcp-Session-Id", "x")
	}); res.StatusCode != 200 {
		t.Errorf("the newest version: got %d", res.StatusCode)
	}
	if res, _ := f.do(t, "", in(one, "alice-token", http.MethodDelete)); res.StatusCode != 204 {
		t.Errorf("got %d", res.StatusCode)
	}
	for want, session := range map[int]string{404: one, 200: two} {
		if res, _ := f.do(t, echoBody, in(session, "alice-token", http.MethodPost)); res.StatusCode != want {
			t.Errorf("after the end: got %d, want %d", res.StatusCode, want)
		}
	}
}

// A principal's sessions are few: one more ends its oldest, and nobody else's.
func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, withSessions, nil, echo())
	bob, first, second := f.session(t, "bob-token"), f.session(t, "alice-token"), f.session(t, "alice-token")
	for range 31 {
		f.session(t, "alice-token")
	}
	for session, want := range map[string]int{first: 404, second: 200} {
		if res, _ := f.do(t, echoBody, in(session, "alice-token", http.MethodPost)); res.StatusCode != want {
			t.Errorf("got %d, want %d", res.StatusCode, want)
		}
	}
	if res, _ := f.do(t, echoBody, in(bob, "bob-token", http.MethodPost)); res.StatusCode != 200 {
		t.Errorf("another's: got %d", res.StatusCode)
	}
}

// open sends a request of a session whose answer is a stream.
func (f *httpFixture) open(t testing.TB, body string, change func(*http.Request)) (*http.Response, *bufio.Reader) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	res, err := f.Client().Transport.RoundTrip(f.request(t, body, change).WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res, bufio.NewReader(res.Body)
}

// event returns the next message of a stream.
func event(t testing.TB, br *bufio.Reader) string {
	t.Helper()
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			return strings.TrimSpace(data)
		}
	}
}

// The answer to a question on a call's stream counts once, from whom it was asked
// of, under the id that nobody can guess, and while the call waits.
func TestAnswersOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRemover(nil)
	f := newHTTP(t, withSessions, destroyMode, r.Tool)
	session := f.session(t, "alice-token")
	answer := func(id, token string) int {
		t.Helper()
		res, _ := f.do(t, `{"jsonrpc":"2.0","id":`+id+`,"result":{"action":"accept","content":{"confirm":true}}}`, in(session, token, http.MethodPost))
		return res.StatusCode
	}
	_, stream := f.open(t, legacyRemove, in(session, "alice-token", http.MethodPost))
	id := requestID(t, event(t, stream))
	if len(id) != 28 {
		t.Errorf("the id is %s", id)
	}
	other := f.session(t, "bob-token")
	for name, got := range map[string]int{
		"a guess":      answer("1", "alice-token"),
		"another text": answer(`"x"`, "alice-token"),
	} {
		if got != 400 {
			t.Errorf("%s: got %d", name, got)
		}
	}
	if res, _ := f.do(t, `{"jsonrpc":"2.0","id":`+id+`,"result":{"action":"accept","content":{"confirm":true}}}`, in(other, "bob-token", http.MethodPost)); res.StatusCode != 400 || r.ran.Load() != 0 {
		t.Errorf("another's: got %d, ran %d times", res.StatusCode, r.ran.Load())
	}
	if got := answer(id, "alice-token"); got != 202 {
		t.Errorf("got %d", got)
	}
	if got := event(t, stream); !strings.Contains(got, "removed ada") || r.ran.Load() != 1 {
		t.Errorf("got %s, ran %d times", got, r.ran.Load())
	}
	if got := answer(id, "alice-token"); got != 400 {
		t.Errorf("again: got %d", got)
	}
	_, stream = f.open(t, legacyRemove, in("", "alice-token", http.MethodPost))
	if b, err := io.ReadAll(stream); err != nil || !strings.Contains(string(b), "cannot ask one") {
		t.Errorf("without a session: %s, %v", b, err)
	}
}

// Of many answers at one moment, one counts.
func TestAnswersOverHTTPRace(t *testing.T) {
	t.Parallel()
	r := newRemover(nil)
	f := newHTTP(t, withSessions, destroyMode, r.Tool)
	session := f.session(t, "alice-token")
	_, stream := f.open(t, legacyRemove, in(session, "alice-token", http.MethodPost))
	id := requestID(t, event(t, stream))
	var taken atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			res, _ := f.do(t, `{"jsonrpc":"2.0","id":`+id+`,"result":{"action":"accept","content":{"confirm":`+strconv.FormatBool(i%2 == 0)+`}}}`, in(session, "alice-token", http.MethodPost))
			if res.StatusCode == 202 {
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	if event(t, stream); taken.Load() != 1 || r.ran.Load() > 1 {
		t.Errorf("%d answers were taken, ran %d times", taken.Load(), r.ran.Load())
	}
}

// What a session has subscribed to comes on its stream, as long as its principal
// may read it; a second stream ends the first.
func TestSessionStream(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, withSessions, nil, echo())
	var revoked atomic.Bool
	for _, name := range []string{"a", "b", "d"} {
		spec := mcpsec.ResourceSpec{Name: name, Description: "For tests.", URI: "test://" + name}
		if name == "b" {
			spec.Scopes = []string{"orders.delete"}
		}
		if name == "d" {
			spec.Guards = []mcpsec.Guard{func(context.Context, *mcpsec.Call) error {
				if revoked.Load() {
					return &mcpsec.Error{Message: "no more"}
				}
				return nil
			}}
		}
		f.AddResource(mcpsec.NewResource(spec, func(context.Context, none) (mcpsec.Content, error) { return mcpsec.Content{}, nil }))
	}
	session := f.session(t, "alice-token")
	for method, want := range map[string]string{
		`"resources/subscribe","params":{"uri":"test://a"}`: `"result":{}`,
		`"resources/subscribe","params":{"uri":"test://d"}`: `"result":{}`,
		`"resources/subscribe","params":{"uri":"test://b"}`: "unknown resource",
		`"resources/subscribe","params":{"uri":"test://c"}`: "unknown resource",
	} {
		if _, body := f.do(t, `{"jsonrpc":"2.0","id":1,"method":`+method+`}`, in(session, "alice-token", http.MethodPost)); !strings.Contains(body, want) {
			t.Errorf("got %s", body)
		}
	}
	revoked.Store(true)
	get := in(session, "alice-token", http.MethodGet)
	if res, _ := f.do(t, "", func(r *http.Request) { get(r); r.Header.Set("Last-Event-Id", "1") }); res.StatusCode != 400 {
		t.Errorf("resumed: got %d", res.StatusCode)
	}
	if res, _ := f.do(t, "", func(r *http.Request) { get(r); r.Header.Set("Accept", "application/json") }); res.StatusCode != 406 {
		t.Errorf("no stream accepted: got %d", res.StatusCode)
	}
	_, first := f.open(t, "", get)
	res, second := f.open(t, "", get)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("got %d %s", res.StatusCode, res.Header)
	}
	if b, err := io.ReadAll(first); len(b) > 0 && strings.Contains(string(b), "updated") {
		t.Errorf("the first stream: %s, %v", b, err)
	}
	heard := make(chan string, 1)
	go func() {
		for {
			line, err := second.ReadString('\n')
			if err != nil || strings.Contains(line, "resources/updated") {
				heard <- line
				return
			}
		}
	}()
	for said := ""; said == ""; { // the stream subscribes when it has been opened
		for _, uri := range []string{"test://b", "test://d", "test://a"} {
			if err := f.ResourceUpdated(uri); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case said = <-heard:
		default:
			continue
		}
		if !strings.Contains(said, `"uri":"test://a"`) {
			t.Errorf("heard %q", said)
		}
	}
}

// A stream outlives the time that a client has to send a request.
func TestSessionStreamLasts(t *testing.T) {
	t.Parallel()
	const timeout = 50 * time.Millisecond
	f := newHTTP(t, mcpsec.HTTPOptions{Verifier: verify, Sessions: true, Timeout: timeout}, nil, tool("slow", func(context.Context, none) (echoOut, error) {
		<-time.After(3 * timeout)
		return echoOut{}, nil
	}))
	session := f.session(t, "alice-token")
	_, stream := f.open(t, "", in(session, "alice-token", http.MethodGet))
	f.do(t, strings.Replace(echoBody, `"echo","arguments":{"text":"x"}`, `"slow","arguments":{}`, 1), in(session, "alice-token", http.MethodPost))
	f.Add(echo())
	if got := event(t, stream); !strings.Contains(got, "tools/list_changed") {
		t.Errorf("got %s", got)
	}
}

// The SDK's own client, of an older version, in a session: it sets a level, hears
// what handlers say, and is told of changes.
func TestSessionsOfTheSDK(t *testing.T) {
	t.Parallel()
	f := newHTTP(t, withSessions, func(o *mcpsec.Options) { o.ClientLog = true }, tool("talks", func(ctx context.Context, _ none) (echoOut, error) {
		mcpsec.LogToClient(ctx, 0, "hello")
		return echoOut{"ok"}, nil
	}))
	said, changed := make(chan string, 8), make(chan struct{}, 8)
	cs := connectWith(t, f, &mcp.ClientOptions{
		LoggingMessageHandler: func(_ context.Context, r *mcp.LoggingMessageRequest) {
			said <- fmt.Sprint(r.Params.Level, r.Params.Data)
		},
		ToolListChangedHandler: func(context.Context, *mcp.ToolListChangedRequest) { changed <- struct{}{} },
	}, false, true)
	attempt(t, cs, "talks", none{})
	for level, want := range map[mcp.LoggingLevel]bool{"error": false, "info": true} {
		if err := cs.SetLoggingLevel(t.Context(), &mcp.SetLoggingLevelParams{Level: level}); err != nil {
			t.Fatal(err)
		}
		attempt(t, cs, "talks", none{})
		if want {
			if got := <-said; got != "infohello" {
				t.Errorf("got %s", got)
			}
		}
		select {
		case got := <-said:
			t.Errorf("at level %s: got %s", level, got)
		default:
		}
	}
	if err := cs.SetLoggingLevel(t.Context(), &mcp.SetLoggingLevelParams{Level: "loud"}); err == nil {
		t.Error("an unknown level is taken")
	}
	f.Add(echo())
	<-changed
}
