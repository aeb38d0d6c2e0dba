package mcpsec_test

import (
	"context"
	"io"
	"log/slog"
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
