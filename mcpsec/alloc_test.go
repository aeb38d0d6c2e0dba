package mcpsec_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/racing"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// What a call costs in allocations, from its line to its answer. They do not depend on
// the machine or its mood: a call that costs more than this has got something new.
func TestCallAllocates(t *testing.T) { // not parallel: it counts
	if racing.Enabled {
		t.Skip("the race detector allocates for itself")
	}
	f := newFixture(t, func(o *mcpsec.Options) {
		o.Audit = mcpsec.NewAuditLog(io.Discard)
		o.Log = slog.DiscardHandler
		o.Limits.CallsPerSecond = 1e6
	}, tool("order", func(_ context.Context, in benchIn) (benchOut, error) { return benchOut{in.ID, 42}, nil }))
	conn := f.serve(t, t.Context())
	answers := bufio.NewReader(conn)
	ask := func(line []byte) {
		if _, err := conn.Write(line); err != nil {
			t.Error(err)
		}
		if _, err := answers.ReadSlice('\n'); err != nil {
			t.Error(err)
		}
	}
	const args = `{"id":"0c8bf0c5-6a1e-4a9b-8a4e-3f1f3a0d8f01","status":"paid","mail":"a@example.com","limit":10,"exact":true,"tags":["a","b"]}`
	ask([]byte(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}` + "\n"))
	for name, tc := range map[string]struct {
		line string
		most float64
	}{
		"a call that runs":       {`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"order","arguments":` + args + `}}`, 77},
		"a call that is refused": {`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"order","arguments":{"other":1}}}`, 63},
		"an unknown method":      {`{"jsonrpc":"2.0","id":2,"method":"resources/list"}`, 36},
	} {
		line := []byte(tc.line + "\n")
		for range 50 { // until pools and caches are full
			ask(line)
		}
		if got := testing.AllocsPerRun(500, func() { ask(line) }); got > tc.most {
			t.Errorf("%s: %v allocations, %v is the limit", name, got, tc.most)
		}
	}
}

// The same over HTTP, with a token, and all that the answer's headers take.
func TestHTTPCallAllocates(t *testing.T) { // not parallel: it counts
	if racing.Enabled {
		t.Skip("the race detector allocates for itself")
	}
	f := newFixture(t, func(o *mcpsec.Options) {
		o.Audit = mcpsec.NewAuditLog(io.Discard)
		o.Log = slog.DiscardHandler
		o.Limits.CallsPerSecond = 1e6
	}, echo())
	h, err := f.HTTP(mcpsec.HTTPOptions{Verifier: verify})
	if err != nil {
		t.Fatal(err)
	}
	local := context.WithValue(t.Context(), http.LocalAddrContextKey, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80})
	call := func() {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/mcp", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a"}}}`))
		r.Header = http.Header{
			"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
			"Authorization": {"Bearer alice-token"}, "Mcp-Protocol-Version": {"2025-11-25"},
		}
		r.RemoteAddr = "127.0.0.1:4000"
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r.WithContext(local)); w.Code != http.StatusOK {
			t.Fatal(w.Code, w.Body)
		}
	}
	for range 50 {
		call()
	}
	if got := testing.AllocsPerRun(200, call); got > 145 {
		t.Errorf("%v allocations, 145 is the limit", got)
	}
}
