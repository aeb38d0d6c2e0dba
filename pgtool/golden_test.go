package pgtool

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; run go test ./pgtool -update and look at the change. Got:\n%s", path, got)
	}
}

func TestSetupSQLGolden(t *testing.T) {
	t.Parallel()
	golden(t, "setup.sql", []byte(SetupSQL(SetupOptions{Database: "shop"})+
		SetupSQL(SetupOptions{Database: `sh"op{role}`, Role: "r", Schemas: []string{"a", "public", `b"; DROP`}, MaxConns: 3})))
}

func TestSetupSQLPanics(t *testing.T) {
	t.Parallel()
	for _, o := range []SetupOptions{{}, {Database: "d\nx"}, {Database: "d", Role: "r\x00"}, {Database: "d", Schemas: []string{""}}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%+v: no panic", o)
				}
			}()
			SetupSQL(o)
		}()
	}
}

// listed returns the tools that a client is shown, and how many bytes the
// server's answer to tools/list has.
func listed(t *testing.T, tools []*mcpsec.Tool) ([]*mcp.Tool, int) {
	t.Helper()
	impl := &mcp.Implementation{Name: "test", Version: "1"}
	srv, err := mcpsec.NewServer(impl, mcpsec.Options{Audit: mcpsec.NewAuditLog(io.Discard), Log: slog.DiscardHandler, Mode: mcpsec.Destroy})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(tools...)
	ours, theirs := net.Pipe()
	defer ours.Close()
	go srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs)
	in := bufio.NewReader(ours)
	send := func(line string) {
		if _, err := io.WriteString(ours, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	send(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`)
	if _, err := in.ReadBytes('\n'); err != nil {
		t.Fatal(err)
	}
	send(`{"jsonrpc":"2.0","method":"notifications/initialized"}`)
	send(`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`)
	line, err := in.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ Result mcp.ListToolsResult }
	if err := json.Unmarshal(line, &answer); err != nil || len(answer.Result.Tools) == 0 {
		t.Fatalf("%v: %s", err, line)
	}
	return answer.Result.Tools, len(line)
}

// TestToolsGolden pins what a model is shown of each set, and what that takes of
// its context.
func TestToolsGolden(t *testing.T) {
	t.Parallel()
	o, err := Options{URL: redact.NewSecret("x")}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	goldenTools(t, "tools.json", ReadTools(&DB{o: o}), 4<<10)
	goldenTools(t, "inspect.json", InspectTools(&DB{o: o}), 7<<10)
	a, m := offlineAdmins(t)
	writes := writeOptions()
	writes.Execute = true
	w := offline(t, writes)
	all := slices.Concat(everything(&DB{o: o}), WriteTools(w), DDLTools(m), AdminTools(a))
	all = append(all, ExportTool(&DB{o: o}, FileOptions{}), ImportTool(w, FileOptions{}))
	if list, n := listed(t, all); n >= 24<<10 {
		t.Errorf("%d tools take %d bytes, want less than %d", len(list), n, 24<<10)
	} else {
		t.Logf("all %d tools take %d bytes", len(list), n)
	}
}

func goldenTools(t *testing.T, name string, tools []*mcpsec.Tool, most int) {
	t.Helper()
	list, n := listed(t, tools)
	t.Logf("tools/list of %d tools has %d bytes", len(list), n)
	if n >= most {
		t.Errorf("%s: tools/list takes %d bytes of the model's context, want less than %d", name, n, most)
	}
	pretty, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, name, append(pretty, '\n'))
}

// everything is all tools that read.
func everything(db *DB) []*mcpsec.Tool {
	return append(ReadTools(db), InspectTools(db)...)
}

func TestToolsOnlyRead(t *testing.T) {
	t.Parallel()
	for _, tool := range append(ReadTools(&DB{}), InspectTools(&DB{})...) {
		if tool.Effect() != mcpsec.Read {
			t.Errorf("%s: effect %v", tool.Name(), tool.Effect())
		}
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	ok := Options{URL: redact.NewSecret("x")}
	for name, change := range map[string]func(*Options){
		"URL":      func(o *Options) { o.URL = mcpsec.Secret{} },
		"MaxConns": func(o *Options) { o.MaxConns = -1 },
		"MaxRows":  func(o *Options) { o.MaxRows = maxRows + 1 },
		"MaxBytes": func(o *Options) { o.MaxBytes = 5 },
		"more":     func(o *Options) { o.MaxBytes = 4<<20 + 1 }, // see TestLargestAnswer
		"Timeout":  func(o *Options) { o.Timeout = -1 },
		"Schemas":  func(o *Options) { o.Schemas = []string{"pg_catalog"} },
	} {
		o := ok
		change(&o)
		if _, err := o.withDefaults(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	o := Options{Schemas: []string{`a"b`, "c"}}
	if got, want := o.searchPath(), `pg_catalog, "a""b", "c", pg_temp`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
