package pgtool

import (
	"slices"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func TestSetupSQLGolden(t *testing.T) {
	t.Parallel()
	mcptest.Golden(t, "setup.sql", []byte(SetupSQL(SetupOptions{Database: "shop"})+
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

// TestToolsGolden pins what a model is shown of each set, and what that takes of
// its context.
func TestToolsGolden(t *testing.T) {
	t.Parallel()
	o, err := Options{URL: redact.NewSecret("x")}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	mcptest.GoldenTools(t, "tools.json", ReadTools(&DB{o: o}), 4<<10)
	mcptest.GoldenTools(t, "inspect.json", InspectTools(&DB{o: o}), 7<<10)
	a, m := offlineAdmins(t)
	writes := writeOptions()
	writes.Execute = true
	w := offline(t, writes)
	all := slices.Concat(everything(&DB{o: o}), WriteTools(w), DDLTools(m), AdminTools(a))
	all = append(all, ExportTool(&DB{o: o}, FileOptions{}), ImportTool(w, FileOptions{}))
	if list, n := mcptest.Serve(t, all...).Tools(); n >= 24<<10 {
		t.Errorf("%d tools take %d bytes, want less than %d", len(list), n, 24<<10)
	} else {
		t.Logf("all %d tools take %d bytes", len(list), n)
	}
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
