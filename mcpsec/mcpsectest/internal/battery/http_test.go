package battery

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var httpChecks = slices.Concat(originChecks, sessionChecks, credentialChecks, headerChecks, limitChecks)

// seen are the checks of HTTP that fired, with their severities.
func seen(t *testing.T, target Target, o Options, checks []Check) []string {
	t.Helper()
	r, err := run(t.Context(), target, o, checks)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range r.Findings {
		t.Logf("%+v", f)
		if strings.Contains(f.Evidence, token()) {
			t.Error("the report holds the token")
		}
		out = append(out, f.Check+" "+f.Severity.String())
	}
	return out
}

// Each check of HTTP has a server with exactly its flaw, and fires there, alone.
func TestEachHTTPCheckFires(t *testing.T) {
	t.Parallel()
	tested := map[string]bool{"http/plain": true} // by TestPlainText
	for flaw, want := range map[string]string{
		"":                                "",
		"http/origin":                     "http/origin low",
		"http/origin null":                "http/origin low",
		"http/origin cors":                "http/origin low", // who has no token reads nothing
		"http/origin http/open":           "http/origin medium, http/open info",
		"http/origin null http/open":      "http/origin medium, http/open info",
		"http/origin cors http/open":      "http/origin high, http/open info",
		"http/host":                       "http/host low",
		"http/host http/open":             "http/host high, http/open info",
		"http/form":                       "http/form low",
		"http/form http/open http/origin": "http/origin medium, http/form high, http/open info",
		"http/method":                     "http/method low",
		"http/method trace":               "http/method low",
		"http/session-id counting":        "http/session-id medium",
		"http/session-id short":           "http/session-id medium",
		"http/session-fixed":              "http/session-fixed medium",
		"http/session-ended":              "http/session-ended low",
		"http/session-auth":               "http/session-auth high",
		"http/open":                       "http/open info",
		"http/token any":                  "http/token critical",
		"http/token none":                 "http/token critical",
		"http/token unsigned":             "http/token critical",
		"http/token-query":                "http/token-query medium",
		"http/challenge none":             "http/challenge low",
		"http/challenge host":             "http/challenge low",
		"http/challenge missing":          "http/challenge low",
		"http/challenge status":           "http/challenge low",
		"http/challenge other resource":   "http/challenge low",
		"http/challenge plain issuer":     "http/challenge medium",
		"http/echo":                       "http/echo medium",
		"http/chunked":                    "http/chunked low",
		"http/bomb":                       "http/bomb medium",
		"http/slow":                       "http/slow low",
		"http/version":                    "http/version low",
		"http/version meta":               "http/version low",
		"http/headers method":             "http/headers medium",
		"http/headers name":               "http/headers medium",
		"http/failure":                    "http/failure low",
		"http/banner":                     "http/banner info",
	} {
		id, _, _ := strings.Cut(flaw, " ")
		tested[id] = true
		t.Run(flaw, func(t *testing.T) {
			t.Parallel()
			checks := httpChecks
			if flaw != "" && flaw != "http/slow" { // which takes its time
				checks = slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return c.ID == "http/slow" })
			}
			target, o := startFront(t, flaw)
			if got := strings.Join(seen(t, target, o, checks), ", "); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
	for _, c := range httpChecks {
		if !tested[c.ID] {
			t.Errorf("%s has no flawed server", c.ID)
		}
	}
}

// A server that closes the connection upon what it does not want has neither crashed
// nor hung, and one that does not answer such is not asked for ever.
func TestClosedOrSilentIsNoFinding(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(end <-chan struct{}){
		"closed": func(<-chan struct{}) { panic(http.ErrAbortHandler) },
		"silent": func(end <-chan struct{}) { <-end },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &front{sessions: map[string]bool{}}
			var refused atomic.Int64
			end := make(chan struct{})
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				answer := httptest.NewRecorder()
				if f.ServeHTTP(answer, r); answer.Code >= 400 {
					refused.Add(1)
					refuse(end)
				}
				maps.Copy(w.Header(), answer.Header())
				w.WriteHeader(answer.Code)
				_, _ = w.Write(answer.Body.Bytes())
			}))
			t.Cleanup(srv.Close)
			t.Cleanup(func() { close(end) })
			f.url = srv.URL + "/mcp"
			checks := slices.DeleteFunc(slices.Clone(httpChecks), func(c Check) bool { return c.ID == "http/slow" })
			checks = append(checks, Check{ID: "stability", Severity: High, Run: func(_ context.Context, p *Probe) []Finding {
				return append(unique(p.deaths, "the end: "), unique(p.hangs, "no answer: ")...)
			}})
			target := Target{URL: f.url, Header: http.Header{"Authorization": {"Bearer " + token()}}}
			if got := seen(t, target, Options{unpaced: true, Timeout: 200 * time.Millisecond}, checks); len(got) != 0 {
				t.Errorf("got %q", got)
			}
			if n := refused.Load(); name == "silent" && n > 20 {
				t.Errorf("%d requests were made that nobody answers", n)
			}
		})
	}
}

func TestPlainText(t *testing.T) {
	t.Parallel()
	key := http.Header{"Authorization": {"Bearer " + token()}}
	for _, tc := range []struct {
		url    string
		header http.Header
		want   Severity
	}{
		{"https://mcp.example.com/mcp", key, 0},
		{"http://127.0.0.1:8080/mcp", key, 0},
		{"http://[::1]/mcp", nil, 0},
		{"http://localhost/mcp", nil, 0},
		{"http://mcp.example.com/mcp", nil, Medium},
		{"http://10.0.0.1/mcp", key, High},
		{"http://localhost.example.com/mcp", nil, Medium},
	} {
		var got Severity
		for _, f := range plainText(t.Context(), newProbe(Target{URL: tc.url, Header: tc.header}, Options{})) {
			got = f.Severity
		}
		if got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.url, got, tc.want)
		}
	}
}

func TestGuessableSessions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ids  []string
		want bool
	}{
		"random":        {[]string{"7E5XUT3CZRZPQXHQJ5RBWFW5NZ", "QK2N6VV3OUDNJYL4SZ3QCTMNTE", "AWVZ2I7J5DHTS4EXYMKLT5KXZU", "ZCGSIQNVLQ4SKDJ3VNIG5WLDPY"}, false},
		"UUIDs":         {[]string{"0b1e7dc0-4a5e-4c8f-9d3a-5f8a1c2b3d4e", "9f8e7d6c-5b4a-4392-8170-6f5e4d3c2b1a", "1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d"}, false},
		"UUIDs of time": {[]string{"0b1e7dc0-4a5e-11ee-9d3a-5f8a1c2b3d4e", "0b1e7dc1-4a5e-11ee-9d3a-5f8a1c2b3d4e"}, true},
		"short":         {[]string{"abcdefgh", "ijklmnop"}, true},
		"the same":      {[]string{"7E5XUT3CZRZPQXHQJ5RBWFW5NZ", "7E5XUT3CZRZPQXHQJ5RBWFW5NZ"}, true},
		"counting":      {[]string{"session-0000000000001", "session-0000000000002", "session-0000000000004"}, true},
		"counting hex":  {[]string{"00000000000000000000000a", "00000000000000000000000b", "000000000000000000000010"}, true},
		"a clock":       {[]string{"1700000000000000", "1700000000004000", "1700000000009000"}, true},
		"a prefix":      {[]string{"host1-7E5XUT3CZRZPQXHQJ5RBWFW5NZ", "host1-QK2N6VV3OUDNJYL4SZ3QCTMNTE"}, false},
	} {
		if why := guessable(tc.ids); (why != "") != tc.want {
			t.Errorf("%s: got %q", name, why)
		}
	}
}

type findIn struct {
	Text string `json:"text" validate:"required,max=100" jsonschema:"what to look for"`
}

// Our own server over HTTP has no finding above info, whatever is tried.
func TestHardenedServerOverHTTP(t *testing.T) {
	t.Parallel()
	for name, sessions := range map[string]bool{"stateless": false, "with sessions": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, mcpsec.Options{Audit: slog.NewJSONHandler(io.Discard, nil)})
			if err != nil {
				t.Fatal(err)
			}
			srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "find_notes", Description: "Find notes.", Effect: mcpsec.Read},
				func(context.Context, findIn) (struct{}, error) { return struct{}{}, nil }))
			h, err := srv.HTTP(mcpsec.HTTPOptions{Sessions: sessions, Timeout: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			s := httptest.NewUnstartedServer(h)
			s.Config.ReadHeaderTimeout = time.Second
			s.Start()
			t.Cleanup(s.Close)
			if got := found(t, Target{URL: s.URL + "/mcp"}, Options{}, Low); len(got) != 0 {
				t.Errorf("got %q", got)
			}
		})
	}
}
