package pgserver

import (
	"slices"
	"strings"
	"testing"
)

func TestConfigText(t *testing.T) {
	t.Parallel()
	got, err := configText(map[string]string{"fsync": "on", "app.note": `it's a \ test`})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"fsync = 'on'\n", `app.note = 'it''s a \\ test'` + "\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%swant a line %s", got, want)
		}
	}
	if strings.Contains(got, "fsync = 'off'") {
		t.Errorf("our own setting is still there:\n%s", got)
	}
}

func TestConfigTextRefuses(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"":                    "on",
		"fsync = off\nport":   "1",
		"include 'x'":         "1",
		"log_line_prefix":     "x'\nport = 1",
		"application_name":    "a\x00b",
		"cluster_name":        "a\rb",
		"1abc":                "x",
		"search_path;listen":  "x",
		"shared_buffers # no": "x",
	} {
		if _, err := configText(map[string]string{name: value}); err == nil {
			t.Errorf("%q = %q was accepted", name, value)
		}
	}
}

func TestMajorVersion(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]int{
		"postgres (PostgreSQL) 18.4":                     18,
		"postgres (PostgreSQL) 15.19 (Debian 15.19-0)\n": 15,
		"postgres (PostgreSQL) 19devel":                  19,
		"postgres (PostgreSQL) 9.6.24":                   9,
		"sh: postgres: not found":                        0,
		"":                                               0,
	} {
		got, err := majorVersion(line)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("%q: got %d, %v; want %d", line, got, err, want)
		}
	}
}

func TestVersionOf(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]float64{
		"/usr/lib/postgresql/9.6/bin":          9.6,
		"/usr/lib/postgresql/17/bin":           17,
		"/opt/homebrew/opt/postgresql@16/bin":  16,
		"/opt/homebrew/opt/postgresql/bin":     0,
		"/opt/homebrew/opt/postgresql@18b/bin": 18,
	} {
		if got := versionOf(path); got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}

func TestCleanEnv(t *testing.T) {
	t.Parallel()
	got := cleanEnv([]string{"PATH=/bin", "PGPORT=1", "PGDATA=/x", "LC_MESSAGES=de_DE", "LANG=de_DE", "LANGUAGE=de", "HOME=/h"})
	if want := []string{"PATH=/bin", "HOME=/h", "LC_ALL=C"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
