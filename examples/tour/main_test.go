package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
	"github.com/mcpsec/mcpsec-go/internal/pgserver"
)

// TestMain lets the test binary be the tour's servers.
func TestMain(m *testing.M) {
	if name := os.Getenv(spoiled); name != "" && os.Args[1] == "serve-stripe" {
		exit(serveStripe(context.Background(), spoils[name].spoil))
	}
	runAsChild()
	os.Exit(m.Run())
}

// cancelOn ends a context when a text is written.
type cancelOn struct {
	bytes.Buffer
	text   string
	cancel context.CancelFunc
}

func (w *cancelOn) Write(p []byte) (int, error) {
	if w.text != "" && strings.Contains(string(p), w.text) {
		w.cancel()
	}
	return w.Buffer.Write(p)
}

// runTour runs the tour until it ends, or until it has written stopAt.
func runTour(t *testing.T, stopAt string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := &cancelOn{text: stopAt, cancel: cancel}
	err := guide(ctx, tour.NewPrinter(w), pgserver.Options{})
	var missing *pgserver.NotFoundError
	if errors.As(err, &missing) {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return w.String(), err
}

// The tour shows every step, and ends with an error if one went wrong.
func TestTour(t *testing.T) {
	t.Parallel()
	out, err := runTour(t, "")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const inMail = 7 + 2 + 5 + 5 + 3 + 1 // steps and results: sending, arrived, attacks, trouble
	if got, want := strings.Count(out, "✓"), len(honest)+len(attacks)+len(rawLines)+3+stripeResults+inMail; got != want || strings.Contains(out, "✗") {
		t.Errorf("%d steps went well, want %d:\n%s", got, want, out)
	}
	for _, want := range []string{"records verify", "Connect a real client", "  7 Mail", "The DKIM signature of shop.example verifies", "  9 PocketBase, which has a database of its own: " + pocketbaseCommand, "refused by"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// Stopped half-way, it ends with an error and shows no success.
func TestTourStops(t *testing.T) {
	t.Parallel()
	if out, err := runTour(t, "4  Attacks do not"); err == nil || strings.Contains(out, "records verify") {
		t.Errorf("went on: %v", err)
	}
}

// The chapter on PocketBase fails if its program does, or cannot be built. Nothing
// runs beside it: a process that is started meanwhile would hold the script open.
func TestTourPocketBaseFails(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no shell")
	}
	dir := t.TempDir()
	for name, c := range map[string]struct{ script, want string }{
		"unbuilt": {"exit 1", "compiling examples/pocketbase, which needs to be done in the repository: exit status 1"},
		"broken":  {`printf '#!/bin/sh\necho "an attack got through, $1"; exit 1' > "$3" && chmod +x "$3"`, "the chapter on PocketBase: exit status 1"},
	} {
		goTool := filepath.Join(dir, name)
		if err := os.WriteFile(goTool, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := pocketbase(t.Context(), tour.NewPrinter(&out), goTool, &out); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
		if shown := strings.Contains(out.String(), "an attack got through, -tour"); shown != (name == "broken") || !strings.Contains(out.String(), "9  PocketBase") {
			t.Errorf("%s: shown is %s", name, &out)
		}
	}
}
