//go:build !race

package pbtool

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"

	"github.com/mcpsec/mcpsec-go/pbtool"
)

// An export becomes a new file in the operator's directory, whole or not at all.
func TestPbExportRecordsToFile(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(3)
	parent := t.TempDir()
	dir := filepath.Join(parent, "exports")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(parent, "outside.csv"), "outside")
	write(filepath.Join(dir, "old.csv"), "old")
	if runtime.GOOS != "windows" {
		if err := os.Symlink(filepath.Join(parent, "made.csv"), filepath.Join(dir, "link.csv")); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	o := s.options()
	o.Exports, o.MaxBytes = root, 1024
	c := serve(t, open(t, o))
	for format, want := range map[string]string{"csv": "id,title\n", "json": "[{", "ndjson": "{"} {
		name := "posts-1." + format
		got := c.text("pb_export_records", `{"collection":"posts","format":"`+format+`","fields":["title"],"file":"`+name+`"}`)
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.HasPrefix(string(data), want) || !strings.HasPrefix(got, "stored "+name+", 3 records, ") || strings.Contains(got, "id,title") {
			t.Errorf("got %s, %s, %v", got, data, err)
		}
		if info, err := os.Stat(filepath.Join(dir, name)); runtime.GOOS != "windows" && (err != nil || info.Mode().Perm() != 0o600 || int(info.Size()) != len(data)) {
			t.Errorf("got %v, %v", info, err)
		}
	}
	// More than an answer holds.
	s.save("posts", map[string]any{"title": "long", "body": strings.Repeat("x", 50_000), "author": s.ann.Id})
	c.deny("more than 1024 bytes", "pb_export_records", `{"collection":"posts","format":"json"}`)
	if got := c.text("pb_export_records", `{"collection":"posts","format":"json","file":"long.json"}`); !strings.HasPrefix(got, "stored long.json, 4 records, 5") {
		t.Errorf("got %s", got)
	}
	before := files(t, parent)
	for _, name := range []string{
		"../outside.csv", "..", ".", "a/b.csv", `a\b.csv`, "/etc/x.csv", "C:x.csv", ".hidden.csv", "x.csv/", "x.csv\x00", "x\n.csv", "x.json", "x.csv.exe", "x.CSV", "x", ".csv", "-x.csv", "é.csv", "x y.csv", "x.csv:ads", "~.csv", "%2e%2e.csv", strings.Repeat("x", 80) + ".csv", strings.Repeat("x", 500) + ".csv",
		"old.csv", "link.csv", "posts-1.csv",
	} {
		if name == "link.csv" && runtime.GOOS == "windows" {
			continue
		}
		raw, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		c.deny("", "pb_export_records", `{"collection":"posts","format":"csv","file":`+string(raw)+`}`)
	}
	c.deny("", "pb_export_records", `{"collection":"vault","format":"csv","file":"x.csv"}`)
	serve(t, open(t, s.options())).deny("", "pb_export_records", `{"collection":"posts","format":"csv","file":"x.csv"}`)
	if got := files(t, parent); got != before {
		t.Errorf("got %s, want %s", got, before)
	}
	for i := range 100 {
		write(filepath.Join(dir, "f"+strings.Repeat("x", i)), "")
	}
	c.deny("full", "pb_export_records", `{"collection":"posts","format":"csv","file":"x.csv"}`)
}

// files are all files beneath a directory, with what they hold.
func files(t *testing.T, dir string) string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil && d.Type()&os.ModeSymlink == 0 {
			return err
		}
		out = append(out, path+": "+string(data))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}

// A view that groups is a collection like others: its groups cost one request, and what
// it says can be grouped once more.
func TestPbAggregateRecordsOfView(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(2300)
	view := core.NewViewCollection("totals")
	view.ViewQuery, view.ListRule = "SELECT MIN(id) AS id, author, (total % 2) AS odd, COUNT(*) AS n, CAST(SUM(total) AS REAL) AS sum FROM posts GROUP BY author, total", types.Pointer("@request.auth.id != ''")
	if err := s.app.Save(view); err != nil {
		t.Fatal(err)
	}
	o := s.options()
	o.Collections = []pbtool.Collection{{Name: "totals", Fields: []string{"odd", "n", "sum"}}}
	c := serve(t, open(t, o))
	s.requests()
	var got struct {
		Groups []struct {
			By, Values map[string]any
			Count      int
		}
		Records int
	}
	c.ok("pb_aggregate_records", `{"collection":"totals","aggregates":[{"fn":"sum","field":"n"},{"fn":"sum","field":"sum"}]}`, &got)
	if got.Records != 10 || len(got.Groups) != 1 || got.Groups[0].Values["sum n"] != 2300.0 || got.Groups[0].Values["sum sum"] != 10350.0 {
		t.Errorf("got %+v", got)
	}
	asked := 0
	for _, r := range s.requests() {
		if strings.HasPrefix(r, "GET /api/collections/") && strings.HasSuffix(r, "/records") {
			asked++
		}
	}
	if asked != 1 {
		t.Errorf("%d requests, want 1", asked)
	}
	if c.ok("pb_aggregate_records", `{"collection":"totals","group_by":["odd"],"aggregates":[{"fn":"max","field":"sum"}]}`, &got); len(got.Groups) != 2 || got.Records != 10 {
		t.Errorf("got %+v", got)
	}
	c.deny("may not be read", "pb_aggregate_records", `{"collection":"totals","group_by":["author"]}`)
	c.deny("may not be used", "pb_aggregate_records", `{"collection":"posts","group_by":["title"]}`)
}
