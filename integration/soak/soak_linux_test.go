package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
)

var postgres pgtest.Shared

// The test's program is the server, too.
func TestMain(m *testing.M) {
	if os.Getenv(envDatabase) != "" {
		if err := serveSoak(context.Background()); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(postgres.Main(m))
}

// A short run finds nothing that grows, and every request ends as it should.
func TestSoak(t *testing.T) {
	t.Parallel()
	if err := short(t, nil); err != nil {
		t.Error(err)
	}
}

// A tool that keeps a goroutine and some memory of each call is noticed by both.
func TestSoakSeesALeak(t *testing.T) {
	t.Parallel()
	err := short(t, []string{envLeak + "=1"})
	if err == nil || !strings.Contains(err.Error(), "goroutines grew") {
		t.Errorf("got %v, want that goroutines grew", err)
	}
}

func short(t *testing.T, env []string) error {
	t.Helper()
	r, err := run(t.Context(), postgres.Server(t), os.Args[0], env, 12*time.Second, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	return r.verdict()
}
