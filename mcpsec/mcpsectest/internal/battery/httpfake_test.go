package battery

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A front serves a fake over HTTP and does all right, but for one flaw. It has
// sessions, and asks for a token.
type front struct {
	flaw string
	url  string

	mu       sync.Mutex
	sessions map[string]bool
	last     int
}

// token is a JWT whose signature is a word.
func token() string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"HS256"}`) + "." + part(`{"sub":"ann"}`) + "." + part("signature-of-ann")
}

func startFront(t *testing.T, flaw string) (Target, Options) {
	t.Helper()
	f := &front{flaw: flaw, sessions: map[string]bool{}}
	srv := httptest.NewUnstartedServer(f)
	o := Options{unpaced: true}
	switch flaw {
	case "":
		srv.Config.ReadTimeout = 2 * time.Second
	case "http/slow":
		o.Timeout = time.Second
	}
	srv.Start()
	t.Cleanup(srv.Close)
	f.url = srv.URL + "/mcp"
	target := Target{URL: f.url, Header: http.Header{"Authorization": {"Bearer " + token()}}}
	if f.is("http/open") {
		target.Header = nil
	}
	return target, o
}

func (f *front) has(flaw string) bool { return f.flaw == flaw || strings.HasPrefix(f.flaw, flaw+" ") }

// is reports whether one of the flaws is to be had without credentials.
func (f *front) is(flaw string) bool { return strings.Contains(f.flaw, flaw) }

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.has("http/banner") {
		w.Header().Set("Server", "fake/1.2.3")
	}
	switch {
	case r.URL.Path == "/.well-known/oauth-protected-resource/mcp":
		resource, as := f.url, "https://as.example.com"
		if f.is("other resource") {
			resource = "https://other.example.com/mcp"
		}
		if f.is("plain issuer") {
			as = "http://as.example.com"
		}
		fmt.Fprintf(w, `{"resource":%q,"authorization_servers":[%q]}`, resource, as)
	case !f.mayPass(w, r):
		http.Error(w, "not from there", http.StatusForbidden)
	case r.Method == http.MethodTrace && f.has("http/method trace"):
		_ = r.Header.Write(w)
	case r.Method == http.MethodOptions && f.is("cors"):
	case r.Method == http.MethodDelete:
		f.end(w, r)
	case r.Method != http.MethodPost && f.flaw != "http/method":
		http.Error(w, "only POST", http.StatusMethodNotAllowed)
	case !f.knows(r):
		f.challenge(w, r)
	default:
		f.message(w, r)
	}
}

func (f *front) mayPass(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasSuffix(f.url, "//"+r.Host+"/mcp") && !f.has("http/host") {
		return false
	}
	origin := r.Header.Get("Origin")
	switch {
	case origin == "", origin == "http://"+r.Host:
		return true
	case f.is("http/origin null"):
		return origin == "null"
	case f.is("cors"):
		w.Header().Set("Access-Control-Allow-Origin", "*")
	}
	return f.is("http/origin")
}

func (f *front) knows(r *http.Request) bool {
	given := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	parts := strings.Split(given, ".")
	switch {
	case f.is("http/open"), given == token(), f.is("http/token any") && given != "", f.has("http/token-query") && r.URL.Query().Get("access_token") == token():
		return true
	case f.has("http/session-auth"):
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.sessions[r.Header.Get("Mcp-Session-Id")]
	case len(parts) == 3 && f.is("http/token none"):
		header, _ := base64.RawURLEncoding.DecodeString(parts[0])
		return strings.Contains(strings.ToLower(string(header)), `"none"`)
	case len(parts) == 3 && f.is("http/token unsigned"):
		return strings.HasPrefix(token(), parts[0]+"."+parts[1]) && parts[2] != ""
	}
	return false
}

func (f *front) challenge(w http.ResponseWriter, r *http.Request) {
	at := strings.TrimSuffix(f.url, "/mcp") + "/.well-known/oauth-protected-resource/mcp"
	switch {
	case f.is("http/challenge none"):
	case f.is("http/challenge host"):
		w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="https://other.example.com/"`)
	case f.is("http/challenge missing"):
		w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="`+at+`/none"`)
	default:
		w.Header().Set("WWW-Authenticate", `Bearer resource_metadata="`+at+`"`)
	}
	status, text := http.StatusUnauthorized, "who are you"
	if f.is("http/challenge status") {
		status = http.StatusForbidden
	}
	if f.has("http/echo") {
		text = "not valid: " + r.Header.Get("Authorization")
	}
	http.Error(w, text, status)
}

func (f *front) end(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.has("http/session-ended") {
		delete(f.sessions, r.Header.Get("Mcp-Session-Id"))
	}
	w.WriteHeader(http.StatusNoContent)
}

// begin makes an id for a session.
func (f *front) begin(r *http.Request) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	id := rand.Text()
	switch given := r.Header.Get("Mcp-Session-Id"); {
	case f.is("counting"):
		id = "session-of-this-server-" + strconv.Itoa(1000+f.last)
	case f.is("short"):
		id = id[:8]
	case f.has("http/session-fixed") && given != "":
		id = given
	}
	f.sessions[id] = true
	return id
}

func (f *front) message(w http.ResponseWriter, r *http.Request) {
	body, status := f.body(r)
	if status != 0 {
		http.Error(w, "not like this", status)
		return
	}
	m, ok := decodeMessage(body)
	if !ok || m.Method == nil {
		status = http.StatusBadRequest
		if f.has("http/failure") {
			status = http.StatusInternalServerError
		}
		http.Error(w, "not a message", status)
		return
	}
	if status := f.headers(r, m); status != 0 {
		http.Error(w, "headers do not fit", status)
		return
	}
	if *m.Method == "initialize" {
		w.Header().Set("Mcp-Session-Id", f.begin(r))
	}
	if m.ID == nil {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	var out bytes.Buffer
	behind := newFake("")
	behind.out = &out
	behind.line(r.Context(), bytes.TrimSpace(body))
	behind.wg.Wait()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(out.Bytes())
}

// body reads what is sent, as far as it may be.
func (f *front) body(r *http.Request) ([]byte, int) {
	const most = 1 << 20
	from := io.Reader(r.Body)
	if r.Header.Get("Content-Type") != "application/json" && !f.is("http/form") {
		return nil, http.StatusUnsupportedMediaType
	}
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(from)
		if err != nil || !f.has("http/bomb") {
			return nil, http.StatusUnsupportedMediaType
		}
		from = z
	}
	if r.ContentLength > most {
		return nil, http.StatusRequestEntityTooLarge
	}
	body, err := io.ReadAll(from)
	switch {
	case err != nil:
		return nil, http.StatusBadRequest
	case len(body) > most && !f.has("http/chunked") && from == r.Body:
		return nil, http.StatusRequestEntityTooLarge
	}
	return body, 0
}

// headers compares headers with the message.
func (f *front) headers(r *http.Request, m message) int {
	var p struct {
		Name string                     `json:"name"`
		Meta map[string]json.RawMessage `json:"_meta"`
	}
	_ = json.Unmarshal(m.Params, &p)
	f.mu.Lock()
	defer f.mu.Unlock()
	version, inBody := r.Header.Get("Mcp-Protocol-Version"), p.Meta["io.modelcontextprotocol/protocolVersion"]
	switch {
	case *m.Method == "initialize":
	case version != legacy && version != modern && !f.has("http/version"), version == legacy && inBody != nil && !f.has("http/version meta"):
		return http.StatusBadRequest
	case version == modern && !f.is("http/headers method") && r.Header.Get("Mcp-Method") != *m.Method,
		version == modern && !f.is("http/headers name") && r.Header.Get("Mcp-Name") != p.Name:
		return http.StatusBadRequest
	case version == legacy && inBody == nil && !f.sessions[r.Header.Get("Mcp-Session-Id")]:
		return http.StatusNotFound
	}
	return 0
}
