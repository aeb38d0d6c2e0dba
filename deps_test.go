package rules_test

import (
	"os/exec"
	"strings"
	"testing"
)

// OpenTelemetry's interfaces are compiled into programs that import otelmcp, and into no
// others; and its SDK, its exporters and its global state into none.
func TestOpenTelemetryIsOptional(t *testing.T) {
	t.Parallel()
	const observer = "github.com/mcpsec/mcpsec-go/mcpsec/otelmcp"
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Deps " "}}`, "./...")
	cmd.Env = append(cmd.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := false
	for line := range strings.Lines(string(out)) {
		pkg, deps, _ := strings.Cut(strings.TrimSpace(line), " ")
		for dep := range strings.FieldsSeq(deps) {
			rest, ok := strings.CutPrefix(dep, "go.opentelemetry.io/")
			switch {
			case !ok:
			case pkg != observer:
				t.Errorf("%s brings %s", pkg, dep)
			case rest == "otel" || strings.HasPrefix(rest, "otel/sdk") || strings.HasPrefix(rest, "otel/exporters"):
				t.Errorf("%s brings %s", pkg, dep)
			default:
				seen = true
			}
		}
	}
	if !seen {
		t.Errorf("%s is not among the packages, or does without OpenTelemetry", observer)
	}
}
