package outbound

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestRedirects(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, proto func(*httptest.Server)) {
		var last sync.Map
		srv, n := serveWith(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/end" {
				last.Store("header", r.Header)
				last.Store("method", r.Method)
				_, _ = io.WriteString(w, "end")
				return
			}
			var code int
			_, _ = fmt.Sscan(r.Header.Get("Code"), &code)
			if to := r.Header.Get("To"); to != "" {
				w.Header().Set("Location", to)
			}
			w.WriteHeader(code)
		}, proto)
		addr := srv.Listener.Addr().String()
		c := client(t, srv, Options{})
		const headers = 2
		for _, code := range []int{301, 302, 303, 307, 308} {
			for _, to := range []string{"/end", srv.URL + "/end", "//" + addr + "/end?x=1#y"} {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					resp, err := ask(t, c, method, srv.URL, nil, fmt.Sprint("Code: ", code), "To: "+to, "Cookie: id="+secret, "X-Api-Key: "+secret, "Accept: text/plain", "User-Agent: test", "Idempotency-Key: "+secret)
					if err != nil || resp.StatusCode != 200 || resp.Request.URL.Path != "/end" {
						t.Fatalf("%s %d to %s: got %v and error %v", method, code, to, resp, err)
					}
					_, _ = io.Copy(io.Discard, resp.Body)
					got, _ := last.Load("header")
					h := got.(http.Header)
					h.Del("Accept-Encoding")
					if len(h) != headers || h.Get("Accept") != "text/plain" || h.Get("User-Agent") != "test" {
						t.Errorf("got headers %v, want Accept and User-Agent", h)
					}
					if m, _ := last.Load("method"); m != method {
						t.Errorf("got method %v, want %s", m, method)
					}
				}
			}
		}
		deny := func(method, to string, body io.Reader) {
			t.Helper()
			n.Store(0)
			for i, code := range []int{301, 302, 303, 307, 308} {
				if s, ok := body.(io.Seeker); ok {
					_, _ = s.Seek(0, io.SeekStart)
				}
				_, err := ask(t, c, method, srv.URL, body, fmt.Sprint("Code: ", code), "To: "+to)
				if e := fails(t, err, RedirectRefused); strings.Contains(err.Error(), "evil") || e.Host != addr {
					t.Errorf("got error %v of host %q", err, e.Host)
				}
				count(t, n, int32(i)+1)
			}
		}
		deny(http.MethodGet, "https://evil.example/end", nil)
		deny(http.MethodGet, "http://"+addr+"/end", nil)
		deny(http.MethodGet, "https://127.0.0.1/end", nil)
		deny(http.MethodGet, "https://localhost"+addr[strings.LastIndex(addr, ":"):]+"/end", nil)
		deny(http.MethodGet, "//evil.example", nil)
		deny(http.MethodGet, "https://user:pass@"+addr+"/end", nil)
		deny(http.MethodGet, "https://"+addr+"@evil.example/end", nil)
		deny(http.MethodGet, "javascript:evil", nil)
		deny(http.MethodGet, "https://"+addr+"%zz", nil)
		deny(http.MethodPost, "/end", strings.NewReader(secret))
		deny(http.MethodPost, "/end", nil)
		deny(http.MethodPut, "/end", nil)
		deny(http.MethodDelete, "/end", nil)
		deny(http.MethodGet, "/end", strings.NewReader(secret))

		// What is no redirect to follow is the caller's.
		for _, code := range []int{300, 304, 301, 302, 307} {
			to := ""
			if code == 300 {
				to = "/end"
			}
			resp, err := ask(t, c, http.MethodGet, srv.URL, nil, fmt.Sprint("Code: ", code), "To: "+to)
			if err != nil || resp.StatusCode != code {
				t.Errorf("%d: got %v and error %v", code, resp, err)
			}
		}
	})
}

func TestRedirectsAreCounted(t *testing.T) {
	t.Parallel()
	for hops, ok := range map[int]bool{1: true, 3: true, 4: false, 100: false} {
		srv, n := serve(t, func(w http.ResponseWriter, r *http.Request) {
			var i int
			if _, _ = fmt.Sscanf(r.URL.Path, "/%d", &i); i < hops {
				http.Redirect(w, r, fmt.Sprint("/", i+1), http.StatusFound)
			}
		})
		_, _, err := get(t, client(t, srv, Options{}), srv.URL)
		if ok != (err == nil) {
			t.Errorf("%d redirects: got error %v", hops, err)
		}
		if !ok {
			fails(t, err, RedirectRefused)
		}
		count(t, n, int32(min(hops, maxRedirects)+1))
	}
}
