package redact_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"text/template"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	s := redact.NewSecret(hidden)
	holder := struct {
		S     redact.Secret
		P     *redact.Secret
		M     map[string]redact.Secret
		inner redact.Secret
	}{s, &s, map[string]redact.Secret{"k": s}, s}
	check := func(how, out string) {
		t.Helper()
		for _, form := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden), fmt.Sprint([]byte(hidden))} {
			if strings.Contains(out, form) {
				t.Errorf("%s prints the value: %s", how, out)
			}
		}
	}
	for _, verb := range strings.Fields("%v %+v %#v %s %q %x %X %d %t %p %T %c %U %b %o %e %08.3f %-20s %w") {
		check(verb, fmt.Sprintf(verb, s))
		check(verb+" pointer", fmt.Sprintf(verb, &s))
		check(verb+" struct", fmt.Sprintf(verb, holder))
		if out := fmt.Sprintf(verb, s); verb != "%T" && verb != "%p" && verb != "%w" && out != redact.Mask {
			t.Errorf("%s: got %q", verb, out)
		}
	}
	for how, v := range map[string]any{"value": s, "pointer": &s, "struct": holder} {
		out, err := json.Marshal(v)
		if err != nil || !bytes.Contains(out, []byte(redact.Mask)) {
			t.Errorf("json %s: %s, %v", how, out, err)
		}
		check("json "+how, string(out))
	}
	for name, value := range map[string]any{"xml": s, "fmt": fmt.Errorf("key %v", s), "joined": errors.Join(fmt.Errorf("%w: %s", os.ErrExist, s))} {
		out, _ := xml.Marshal(fmt.Sprint(value))
		check(name, string(out))
	}
	var buf bytes.Buffer
	if err := template.Must(template.New("").Parse("{{.S}} {{.P}} {{printf \"%q\" .S}}")).Execute(&buf, holder); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewTextHandler(&buf, nil)).Info("m", "s", s, "h", holder)
	slog.New(slog.NewJSONHandler(&buf, nil)).Info("m", "s", s, "h", holder)
	if err := gob.NewEncoder(&buf).Encode(s); err != nil {
		t.Fatal(err)
	}
	text, err := s.MarshalText()
	if err != nil || string(text) != redact.Mask {
		t.Errorf("MarshalText: %s, %v", text, err)
	}
	check("template, slog, gob", buf.String())
}

func TestSecretHoldsItsValue(t *testing.T) {
	t.Parallel()
	var zero, fromText, fromJSON redact.Secret
	s := redact.NewSecret(hidden)
	if err := fromText.UnmarshalText([]byte(hidden)); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`"`+hidden+`"`), &fromJSON); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]redact.Secret{"NewSecret": s, "text": fromText, "json": fromJSON} {
		if got.Reveal() != hidden || got.IsZero() || !got.Equal(s) || !s.Equal(got) {
			t.Errorf("%s: the value is lost", name)
		}
	}
	if !zero.IsZero() || zero.Reveal() != "" || !zero.Equal(redact.NewSecret("")) || zero.Equal(s) || s.Equal(redact.NewSecret(hidden+"x")) {
		t.Error("zero or Equal is wrong")
	}
	if err := json.Unmarshal([]byte(`null`), &fromJSON); err != nil || !fromJSON.Equal(s) {
		t.Errorf("null: %v", err)
	}
	for _, bad := range []string{"12345678", `["` + hidden + `"]`} {
		if err := json.Unmarshal([]byte(bad), &fromJSON); err == nil || strings.Contains(err.Error(), "12345678") || strings.Contains(err.Error(), hidden) {
			t.Errorf("%s: got error %v", bad, err)
		}
	}
}

func TestSecretFromEnv(t *testing.T) {
	t.Setenv("REDACT_TEST_SET", hidden)
	t.Setenv("REDACT_TEST_EMPTY", "")
	if s, err := redact.SecretFromEnv("REDACT_TEST_SET"); err != nil || s.Reveal() != hidden {
		t.Errorf("got %v", err)
	}
	for name, want := range map[string]string{"REDACT_TEST_EMPTY": "is empty", "REDACT_TEST_UNSET": "is not set"} {
		if _, err := redact.SecretFromEnv(name); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestSecretFromFile(t *testing.T) {
	t.Parallel()
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
		"64 KiB":        {content: strings.Repeat("x", 64<<10), mode: 0o600, want: strings.Repeat("x", 64<<10)},
		"empty":         {mode: 0o600, refused: "is empty"},
		"newline only":  {content: "\n", mode: 0o600, refused: "is empty"},
		"too large":     {content: strings.Repeat("x", 64<<10+1), mode: 0o600, refused: "larger than"},
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
