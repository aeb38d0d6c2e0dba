//go:build !race

package examples_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The tour's chapter on PocketBase is one flag away, and needs no configuration. It
// is not in the tour's program, which would take twice as long to compile.
func TestTourPocketBase(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "tour")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/mcpsec/mcpsec-go/examples/tour").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), bin, "-pocketbase").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"9  PocketBase\n", "Two people, one shop", "No password and no token", "Connect a real client"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	deps, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "github.com/mcpsec/mcpsec-go/examples/tour").Output()
	if err != nil || strings.Contains(string(deps), "pocketbase/pocketbase") || !strings.Contains(string(deps), "pgx") {
		t.Errorf("%v: the tour's program holds %s", err, deps)
	}
}
