package pgtool

import (
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func writeOptions() WriteOptions {
	return WriteOptions{
		Options: Options{URL: redact.NewSecret("x")},
		Tables: []Table{
			{Schema: "shop", Name: "orders", Read: []string{"id", "status"}, Insert: []string{"id", "status"}, Update: []string{"status"}, Key: []string{"id"}, Delete: true},
			{Schema: "shop", Name: "log", Insert: []string{"line"}},
		},
	}
}

// offline is a writer as if its tables had been looked up.
func offline(t *testing.T, o WriteOptions) *Writer {
	t.Helper()
	o, err := o.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	w := &Writer{o: o, db: &DB{o: o.Options}, targets: map[string]*target{}}
	for _, tab := range o.Tables {
		w.targets[tab.title()] = &target{Table: tab}
	}
	return w
}

func TestWriteToolsGolden(t *testing.T) {
	t.Parallel()
	mcptest.GoldenTools(t, "writetools.json", WriteTools(offline(t, writeOptions())), 8_000)
}

// TestWriteEffects says which tools there are for what is listed, and which of
// them ask a person.
func TestWriteEffects(t *testing.T) {
	t.Parallel()
	effects := func(change func(*WriteOptions)) string {
		o := writeOptions()
		change(&o)
		var out []string
		for _, tool := range WriteTools(offline(t, o)) {
			out = append(out, strings.TrimPrefix(tool.Name(), "pg_")+"="+tool.Effect().String())
		}
		return strings.Join(out, " ")
	}
	for want, change := range map[string]func(*WriteOptions){
		"insert=write update=destroy upsert=destroy delete=destroy dry_run=write": func(*WriteOptions) {},
		"insert=write update=write upsert=write delete=destroy dry_run=write":     func(o *WriteOptions) { o.Overwrite = mcpsec.Write },
		"insert=write dry_run=write": func(o *WriteOptions) { o.Tables = o.Tables[1:] },
	} {
		if got := effects(change); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestWriteOptions(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*WriteOptions){
		"URL":                         func(o *WriteOptions) { o.URL = mcpsec.Secret{} },
		"Tables must be 1":            func(o *WriteOptions) { o.Tables = nil },
		"MaxAffected":                 func(o *WriteOptions) { o.MaxAffected = -1 },
		"Overwrite":                   func(o *WriteOptions) { o.Overwrite = mcpsec.Read },
		"PostgreSQL's own":            func(o *WriteOptions) { o.Tables[0].Schema = "pg_catalog" },
		"names of tables and columns": func(o *WriteOptions) { o.Tables[0].Insert = []string{""} },
		"allows nothing":              func(o *WriteOptions) { o.Tables[1].Insert = nil },
		"needs Read":                  func(o *WriteOptions) { o.Tables[0].Read = nil },
		"Key is for upserts":          func(o *WriteOptions) { o.Tables[0].Update = nil },
		"Key must be among":           func(o *WriteOptions) { o.Tables[0].Key = []string{"other"} },
	} {
		o := writeOptions()
		change(&o)
		if _, err := OpenWriter(t.Context(), o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSetupSQLForWriting(t *testing.T) {
	t.Parallel()
	o := writeOptions()
	o.Tables = append(o.Tables, Table{Schema: `o'd"d$$`, Name: "t'", Insert: []string{`a"b`}})
	mcptest.Golden(t, "setupwrite.sql", []byte(SetupSQL(SetupOptions{Database: "shop", Tables: o.Tables})))
}
