package main

import (
	"bytes"
	"context"
	"flag"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var update = flag.Bool("update", false, "write the golden file")

// The tour goes through all flows and says so: what is of the moment is folded.
func TestSaaSTour(t *testing.T) {
	t.Parallel()
	w := newServices(t)
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	audit, err := mcpsec.OpenAuditLog(path, mcpsec.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	defer audit.Close()
	w.s.Audit = audit
	w.open()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	g := &guide{p: tour.NewPrinter(&out), in: &standins{bank: w.bank, box: w.box}, b: w.b, audit: path}
	var tokens map[string]mcpsec.Secret
	if err := w.b.serve(t.Context(), ln, w.bank, w.s.Webhooks, func(ctx context.Context, url string, of map[string]mcpsec.Secret) error {
		tokens = of
		return g.show(ctx, url, of)
	}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append([]mcpsec.Secret{tokens["support"], tokens["billing"], tokens["admin"]}, w.b.hide...) {
		if bytes.Contains(append(written, out.Bytes()...), []byte(s.Reveal())) {
			t.Error("a secret is in the audit log or in what is shown")
		}
	}
	got := w.fold(out.String())
	golden := filepath.Join("testdata", "tour.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("go test -run TestSaaSTour -update writes %s; got\n%s", golden, got)
	}
}

// fold puts fixed characters in place of ids, times and hashes, whole and cut.
func (w *world) fold(text string) string {
	for _, collection := range []string{"users", "payments", "flows"} {
		records, err := w.b.pb.FindAllRecords(collection)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range records {
			for n := len(r.Id); n >= 6; n-- { // a table's cells cut them
				text = strings.ReplaceAll(text, r.Id[:n], strings.Repeat("i", n))
				text = strings.ReplaceAll(text, r.Id[len(r.Id)-n:], strings.Repeat("i", n))
			}
		}
	}
	text = regexp.MustCompile(`\d{4}-\d\d-\d\d[ T][\d:.]+`).ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat("t", len(s)) })
	return regexp.MustCompile(`hash [0-9a-f]{16}`).ReplaceAllString(text, "hash hhhhhhhhhhhhhhhh")
}
