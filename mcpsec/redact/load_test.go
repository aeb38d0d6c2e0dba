package redact_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func TestSecretFromEnv(t *testing.T) {
	dir := t.TempDir()
	good, weak := filepath.Join(dir, "good"), filepath.Join(dir, "weak")
	for path, content := range map[string]string{good: hidden + "\n", weak: "changeme\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const unset = "-"
	for name, c := range map[string]struct{ value, file, refused string }{
		"value":              {value: hidden, file: unset},
		"value, empty file":  {value: hidden, file: ""},
		"value with newline": {value: hidden + "\n", file: unset},
		"file":               {value: unset, file: good},
		"file, empty value":  {value: "", file: good},
		"neither":            {value: unset, file: unset, refused: "REDACT_TEST is not set: set it, or REDACT_TEST_FILE"},
		"empty":              {value: "", file: unset, refused: "REDACT_TEST: is empty"},
		"both":               {value: hidden, file: good, refused: "REDACT_TEST and REDACT_TEST_FILE are both set"},
		"placeholder":        {value: "your-" + "api-key", file: unset, refused: "REDACT_TEST: looks like a placeholder"},
		"placeholder file":   {value: unset, file: weak, refused: "REDACT_TEST_FILE names: looks like a placeholder"},
		"missing file":       {value: unset, file: filepath.Join(dir, "none"), refused: "REDACT_TEST_FILE names: "},
		"value as file":      {value: unset, file: hidden, refused: "REDACT_TEST_FILE names: "},
	} {
		t.Run(name, func(t *testing.T) {
			for name, value := range map[string]string{"REDACT_TEST": c.value, "REDACT_TEST_FILE": c.file} {
				t.Setenv(name, value) // restores it, too
				if value == unset {
					os.Unsetenv(name)
				}
			}
			s, err := redact.SecretFromEnv("REDACT_TEST")
			if c.refused == "" {
				if err != nil || s.Reveal() != hidden {
					t.Errorf("got %d bytes, %v", len(s.Reveal()), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.refused) || !s.IsZero() {
				t.Errorf("got %v", err)
			}
			shown(t, "the error", err.Error())
			if strings.Contains(err.Error(), "changeme") || strings.Contains(err.Error(), "api-key") {
				t.Errorf("the error quotes the value: %v", err)
			}
		})
	}
}

func TestSecretFromFile(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ab", 32<<10)
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
		refused string
	}{
		"plain":         {content: hidden, mode: 0o600, want: hidden},
		"newline":       {content: hidden + "\n", mode: 0o640, want: hidden},
		"crlf":          {content: hidden + "\r\n", mode: 0o400, want: hidden},
		"two newlines":  {content: hidden + "\n\n", mode: 0o600, want: hidden + "\n"},
		"inner newline": {content: "a\nb", mode: 0o600, want: "a\nb"},
		"64 KiB":        {content: long, mode: 0o600, want: long},
		"empty":         {mode: 0o600, refused: "is empty"},
		"newline only":  {content: "\n", mode: 0o600, refused: "is empty"},
		"placeholder":   {content: "changeme\n", mode: 0o600, refused: "placeholder"},
		"binary":        {content: hidden + "\x00", mode: 0o600, refused: "not plain text"},
		"too large":     {content: long + "x", mode: 0o600, refused: "larger than"},
		"world":         {content: hidden, mode: 0o644, refused: "every user"},
		"world only":    {content: hidden, mode: 0o604, refused: "every user"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.refused == "every user" && runtime.GOOS == "windows" {
				t.Skip("Windows has no such mode")
			}
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil {
				t.Fatal(err)
			}
			s, err := redact.SecretFromFile(path)
			if c.refused == "" {
				if err != nil || s.Reveal() != c.want {
					t.Errorf("got %d bytes, error %v", len(s.Reveal()), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.refused) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), hidden) || !s.IsZero() {
				t.Errorf("got error %v", err)
			}
		})
	}
	if _, err := redact.SecretFromFile(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("directory: got %v", err)
	}
	for name, path := range map[string]string{"missing": filepath.Join(t.TempDir(), "none")} {
		if _, err := redact.SecretFromFile(path); err == nil || name == "missing" && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
