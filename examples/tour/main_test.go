package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
	"github.com/mcpsec/mcpsec-go/internal/pgserver"
)

// TestMain lets the test binary be the tour's server.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		exit(serve(context.Background()))
	}
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
	if got, want := strings.Count(out, "✓"), len(honest)+len(attacks)+len(rawLines)+3; got != want || strings.Contains(out, "✗") {
		t.Errorf("%d steps went well, want %d:\n%s", got, want, out)
	}
	for _, want := range []string{"records verify", "Connect a real client", "./examples/pocketbase -tour", "refused by"} {
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
