package pgtool

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
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

// listed returns the answer to tools/list.
func listed(t *testing.T, tools []*mcpsec.Tool) []*mcp.Tool {
	t.Helper()
	impl := &mcp.Implementation{Name: "test", Version: "1"}
	srv, err := mcpsec.NewServer(impl, mcpsec.Options{Audit: mcpsec.NewAuditLog(io.Discard), Log: slog.DiscardHandler, Mode: mcpsec.Destroy})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(tools...)
	ours, theirs := net.Pipe()
	go srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs)
	cs, err := mcp.NewClient(impl, nil).Connect(t.Context(), &mcp.IOTransport{Reader: ours, Writer: ours}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cs.Close()
	list, err := cs.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return list.Tools
}

func TestToolsGolden(t *testing.T) {
	t.Parallel()
	o, err := Options{URL: redact.NewSecret("x")}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	goldenTools(t, "tools.json", ReadTools(&DB{o: o}), 4_700)
}

func goldenTools(t *testing.T, name string, tools []*mcpsec.Tool, most int) {
	t.Helper()
	list := listed(t, tools)
	plain, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if len(plain) > most {
		t.Errorf("tools/list takes %d bytes of the model's context", len(plain))
	}
	pretty, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("tools/list has %d bytes", len(plain))
	golden(t, name, append(pretty, '\n'))
}

func TestToolsOnlyRead(t *testing.T) {
	t.Parallel()
	for _, tool := range ReadTools(&DB{}) {
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
		"Timeout":  func(o *Options) { o.Timeout = -1 },
		"Schemas":  func(o *Options) { o.Schemas = []string{"pg_catalog"} },
	} {
		o := ok
		change(&o)
		if _, err := Open(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	o := Options{Schemas: []string{`a"b`, "c"}}
	if got, want := o.searchPath(), `pg_catalog, "a""b", "c", pg_temp`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
