package redact_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// TestMain lets this program be the command, too: it has the minimal
// environment only, so the first argument decides.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "command-") {
		os.Exit(command(os.Args[1:]))
	}
	os.Exit(m.Run())
}

func command(args []string) int {
	fmt.Fprint(os.Stderr, "on stderr: "+hidden)
	switch args[0] {
	case "command-print":
		fmt.Print(args[1])
	case "command-fail":
		fmt.Print(hidden)
		return 3
	case "command-env":
		fmt.Print(strings.Join(os.Environ(), "\n"))
	case "command-stdin":
		n, err := os.Stdin.Read(make([]byte, 1))
		fmt.Print("stdin gave ", n, " ", err)
	case "command-hang":
		select {}
	case "command-flood":
		for {
			if _, err := fmt.Print(strings.Repeat(hidden, 100)); err != nil {
				return 0
			}
		}
	}
	return 0
}

func TestSecretFromCommand(t *testing.T) {
	t.Parallel()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		argv    []string
		want    string
		refused string
	}{
		"plain":       {argv: []string{self, "command-print", hidden}, want: hidden},
		"newline":     {argv: []string{self, "command-print", hidden + "\r\n"}, want: hidden},
		"no shell":    {argv: []string{self, "command-print", "$(id); `id` && *"}, want: "$(id); `id` && *"},
		"no input":    {argv: []string{self, "command-stdin"}, want: "stdin gave 0 EOF"},
		"none":        {refused: "no command"},
		"empty":       {argv: []string{self, "command-print", "\n"}, refused: "is empty"},
		"placeholder": {argv: []string{self, "command-print", "changeme"}, refused: "looks like a placeholder"},
		"fails":       {argv: []string{self, "command-fail"}, refused: "exit status 3"},
		"floods":      {argv: []string{self, "command-flood"}, refused: "more than 65536 bytes"},
		"relative":    {argv: []string{"./" + filepath.Base(self), "command-print", hidden}, refused: "relative path"},
		"unknown":     {argv: []string{"no-such-program-anywhere", hidden}, refused: "not found"},
		"missing":     {argv: []string{self + "-none", hidden}, refused: self + "-none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := redact.SecretFromCommand(t.Context(), c.argv...)
			if c.refused == "" {
				if err != nil || s.Reveal() != c.want {
					t.Errorf("got %q, %v", s.Reveal(), err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.refused) || !s.IsZero() {
				t.Errorf("got %v", err)
			}
			shown(t, "the error", fmt.Sprintf("%+v %#v", err, err))
		})
	}
}

func TestSecretFromCommandEndsWithContext(t *testing.T) {
	t.Parallel()
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := redact.SecretFromCommand(ctx, self, "command-hang"); err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
		t.Errorf("got %v", err)
	}
}

// A command gets what it needs to find its user, and no other secrets.
func TestSecretFromCommandEnvironment(t *testing.T) {
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("REDACT_TEST_OTHER_KEY", hidden)
	t.Setenv("HOME", t.TempDir())
	s, err := redact.SecretFromCommand(t.Context(), self, "command-env")
	if err != nil {
		t.Fatal(err)
	}
	if env := s.Reveal(); strings.Contains(env, "REDACT_TEST_OTHER_KEY") || !strings.Contains(env, "HOME="+os.Getenv("HOME")) {
		t.Errorf("got %s", env)
	}
}
