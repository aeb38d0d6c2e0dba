package mcpsec_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type benchIn struct {
	ID     string   `json:"id" validate:"required,uuid" jsonschema:"order id"`
	Status string   `json:"status" validate:"required,oneof=open paid shipped"`
	Mail   string   `json:"mail" validate:"required,email,max=200"`
	Limit  int      `json:"limit" validate:"min=1,max=100"`
	Exact  bool     `json:"exact"`
	Tags   []string `json:"tags" validate:"max=5,dive,max=20"`
}

type benchOut struct {
	ID    string `json:"id"`
	Total int64  `json:"total"`
}

var benchArgs = benchIn{
	ID: "0c8bf0c5-6a1e-4a9b-8a4e-3f1f3a0d8f01", Status: "paid", Mail: "a@example.com", Limit: 10, Tags: []string{"a", "b"},
}

// BenchmarkCall compares one call of a tool with six validated fields on the
// bare SDK and on this package, with every protection on, over the same pipe.
func BenchmarkCall(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		srv := mcp.NewServer(impl, nil)
		mcp.AddTool(srv, &mcp.Tool{Name: "order", Description: "For tests."},
			func(_ context.Context, _ *mcp.CallToolRequest, in benchIn) (*mcp.CallToolResult, benchOut, error) {
				return nil, benchOut{in.ID, 42}, nil
			})
		ct, st := mcp.NewInMemoryTransports()
		if _, err := srv.Connect(b.Context(), st, nil); err != nil {
			b.Fatal(err)
		}
		cs, err := mcp.NewClient(impl, nil).Connect(b.Context(), ct, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer cs.Close()
		benchCalls(b, cs)
	})
	b.Run("hardened", func(b *testing.B) {
		f := newFixture(b, func(o *mcpsec.Options) {
			o.Audit = mcpsec.NewAuditLog(io.Discard)
			o.Log = slog.DiscardHandler
			o.Limits.CallsPerSecond = 1e6
		}, tool("order", func(_ context.Context, in benchIn) (benchOut, error) { return benchOut{in.ID, 42}, nil }))
		benchCalls(b, f.connect(b))
	})
}

func benchCalls(b *testing.B, cs *mcp.ClientSession) {
	b.ReportAllocs()
	params := &mcp.CallToolParams{Name: "order", Arguments: benchArgs}
	for b.Loop() {
		res, err := cs.CallTool(b.Context(), params)
		if err != nil || res.IsError {
			b.Fatal(err, res)
		}
	}
}

// BenchmarkHTTP compares one call over HTTP on the bare SDK's handler, stateless
// and without authentication, and on this package, with a token and every
// protection on. The client is the same and does as little as it can.
func BenchmarkHTTP(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		srv := mcp.NewServer(impl, nil)
		mcp.AddTool(srv, &mcp.Tool{Name: "order", Description: "For tests."},
			func(_ context.Context, _ *mcp.CallToolRequest, in benchIn) (*mcp.CallToolResult, benchOut, error) {
				return nil, benchOut{in.ID, 42}, nil
			})
		benchHTTP(b, mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return srv },
			&mcp.StreamableHTTPOptions{Stateless: true, JSONResponse: true, PropagateRequestCancellation: true}))
	})
	b.Run("hardened", func(b *testing.B) {
		f := newFixture(b, func(o *mcpsec.Options) {
			o.Audit = mcpsec.NewAuditLog(io.Discard)
			o.Log = slog.DiscardHandler
			o.Limits.CallsPerSecond = 1e6
		}, tool("order", func(_ context.Context, in benchIn) (benchOut, error) { return benchOut{in.ID, 42}, nil }))
		h, err := f.HTTP(mcpsec.HTTPOptions{Verifier: verify})
		if err != nil {
			b.Fatal(err)
		}
		benchHTTP(b, h)
	})
}

func benchHTTP(b *testing.B, h http.Handler) {
	b.ReportAllocs()
	srv := httptest.NewServer(h)
	defer srv.Close()
	args, err := json.Marshal(benchArgs)
	if err != nil {
		b.Fatal(err)
	}
	body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order","arguments":` + string(args) + `}}`
	for b.Loop() {
		r, err := http.NewRequest(http.MethodPost, srv.URL+"/mcp", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		r.Header = http.Header{
			"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
			"Authorization": {"Bearer alice-token"}, "Mcp-Protocol-Version": {"2025-11-25"},
		}
		res, err := srv.Client().Do(r)
		if err != nil {
			b.Fatal(err)
		}
		answer, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(answer), `"structuredContent"`) {
			b.Fatal(err, res.Status, string(answer))
		}
	}
}
