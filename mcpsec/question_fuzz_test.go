package mcpsec

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/text"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

type fuzzIn struct {
	A string `json:"a" validate:"max=10000"`
	B string `json:"b" validate:"max=10000"`
}

// Whatever arguments and texts hold, a question has as many lines as it should,
// and no hidden character that does no honest work.
func FuzzQuestion(f *testing.F) {
	s, err := NewServer(&mcp.Implementation{Name: "test", Version: "1"}, Options{Audit: NewAuditLog(&bytes.Buffer{}), Log: slog.DiscardHandler})
	if err != nil {
		f.Fatal(err)
	}
	tool := NewTool(ToolSpec{Name: "x", Description: "d", Effect: Destroy}, func(context.Context, fuzzIn) (fuzzIn, error) { return fuzzIn{}, nil })
	for _, seed := range []string{"plain", "a\n\n• b: \"c\"", "\u202eabc\u200b", "a\u2028b\u0085c\u00a0", "\"}\n", "\xff\xfe\x00\x1b[2K", "👩‍💻", "AKIA" + strings.Repeat("Q7", 8)} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		raw, err := json.Marshal(fuzzIn{a, b})
		if err != nil {
			t.Skip()
		}
		r := &run{server: s, op: &tool.operation, call: Call{Tool: "x", Effect: Destroy}}
		for lines, w := range map[int]wishes{3: {}, 4: {texts: []string{a}}, 2: {texts: []string{b}, own: true}} {
			q, refusal := r.question(w, raw, false)
			if refusal != nil {
				if refusal.rule != "confirmation" || refusal.text == "" {
					t.Errorf("refused: %+v", refusal)
				}
				continue
			}
			if strings.Contains(q.text, redact.Mask) {
				lines++
			}
			_, hidden := text.Strip(q.text)
			if n := strings.Count(q.text, "\n") + 1; n != lines || hidden != 0 || !utf8.ValidString(q.text) || strings.ContainsAny(q.text, "\r\u2028\u2029\u0085\x1b") {
				t.Errorf("%d lines, %d hidden: %q", n, hidden, q.text)
			}
		}
	})
}
