package mcpsec

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A yes that comes together with the end of the call does not count.
func TestNoYesAfterTheEnd(t *testing.T) {
	t.Parallel()
	s, err := NewServer(&mcp.Implementation{Name: "test", Version: "1"}, Options{
		Audit: NewAuditLog(&bytes.Buffer{}), Log: slog.DiscardHandler,
		Approver: func(context.Context, Question) (string, bool, error) { return "eve", true, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &run{server: s, call: Call{ID: "x", Principal: Principal{ID: "local"}}}
	if said := r.opinion(t.Context(), &question{way: byApprover}); said.no != nil || said.by != "eve" {
		t.Fatalf("before the end: %+v", said.no)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if said := r.opinion(ended, &question{way: byApprover}); said.no == nil {
			t.Fatal("counts")
		}
	}
}
