package mcptest

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var update = flag.Bool("update", false, "write the golden files")

// Golden compares got with a file in testdata, or writes that if -update is given.
func Golden(t testing.TB, name string, got []byte) {
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
		t.Errorf("%s differs; run the package's tests with -update and look at the change. Got:\n%s", path, got)
	}
}

// GoldenTools pins what a model is shown of tools, and that it takes less than most
// bytes of its context.
func GoldenTools(t testing.TB, name string, tools []*mcpsec.Tool, most int) {
	t.Helper()
	list, n := Serve(t, tools...).Tools()
	t.Logf("%s: tools/list of %d tools has %d bytes", name, len(list), n)
	if len(list) != len(tools) || n >= most {
		t.Errorf("%s: tools/list shows %d of %d tools and takes %d bytes of the model's context, want all in less than %d", name, len(list), len(tools), n, most)
	}
	got, err := json.MarshalIndent(list, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	Golden(t, name, append(got, '\n'))
}
