package mcpsec_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// recordInto opens a log, records and closes it.
func recordInto(t *testing.T, path string, key mcpsec.Secret, texts ...string) mcpsec.AuditHead {
	t.Helper()
	l, err := mcpsec.OpenAuditLog(path, key)
	if err != nil {
		t.Fatal(err)
	}
	record(l, texts...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Head()
}

// appendTo writes at the end of a file, past any lock.
func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func auditKey() mcpsec.Secret {
	sum := sha256.Sum256([]byte("a key of the operator"))
	return newSecret(hex.EncodeToString(sum[:]))
}

// A key that can be guessed, or is gone, must not pass for one.
func TestOpenAuditLogRefusesWeakKeys(t *testing.T) {
	t.Parallel()
	closed := auditKey()
	closed.Close()
	for name, key := range map[string]mcpsec.Secret{
		"phrase": newSecret("a key of the operator"), "placeholder": newSecret("changeme"), "closed": closed,
	} {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		_, err := mcpsec.OpenAuditLog(path, key)
		if err == nil || !strings.Contains(err.Error(), "its key is") && !strings.Contains(err.Error(), "its key looks") || strings.Contains(err.Error(), "operator") {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s: a file was made: %v", name, err)
		}
	}
}

func TestOpenAuditLogGoesOn(t *testing.T) {
	t.Parallel()
	path, key := filepath.Join(t.TempDir(), "audit.jsonl"), auditKey()
	recordInto(t, path, key, "one", "two")
	recordInto(t, path, key, "three")
	// A crash leaves half a record: it goes, and the chain goes on.
	appendTo(t, path, `{"seq":4,"pr`)
	want := recordInto(t, path, key, "four")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if head, err := mcpsec.VerifyAuditLog(bytes.NewReader(text), key); err != nil || head != want || head.Records != 4 {
		t.Errorf("got %v, %v, want %v", head, err, want)
	}
	for name, k := range map[string]mcpsec.Secret{"no key": {}, "another key": newSecret("some other key")} {
		if _, err := mcpsec.VerifyAuditLog(bytes.NewReader(text), k); err == nil {
			t.Errorf("%s: verifies", name)
		}
		if _, err := mcpsec.OpenAuditLog(path, k); err == nil {
			t.Errorf("%s: opens", name)
		}
	}
	edited := bytes.Replace(text, []byte("three"), []byte("thr33"), 1)
	if err := os.WriteFile(path, edited, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := mcpsec.OpenAuditLog(path, key); err == nil {
		t.Error("an edited log opens")
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(after, edited) {
		t.Error("a refused log was changed")
	}
}

const auditChildEnv = "MCPSEC_TEST_AUDIT_CHILD"

// A file has one log at a time, in this process and in others.
func TestAuditLogHasOneWriter(t *testing.T) {
	t.Parallel()
	if path := os.Getenv(auditChildEnv); path != "" {
		recordInto(t, path, mcpsec.Secret{}, "child")
		return
	}
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	child := func() string {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAuditLogHasOneWriter$")
		cmd.Env = append(os.Environ(), auditChildEnv+"="+path)
		out, err := cmd.CombinedOutput()
		if err == nil {
			return ""
		}
		return string(out)
	}
	const refused = "another process has this log open, or this one has it twice: give each server a file of its own"
	l, err := mcpsec.OpenAuditLog(path, mcpsec.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	record(l, "one")
	if got := child(); !strings.Contains(got, refused) {
		t.Errorf("another process: got %q", got)
	}
	// Neither is a record on its way mended, nor anything read before the lock.
	for _, tail := range []string{`{"seq":2,`, "damage\n"} {
		appendTo(t, path, tail)
		before := readFile(t, path)
		if _, err := mcpsec.OpenAuditLog(path, mcpsec.Secret{}); err == nil || !strings.HasSuffix(err.Error(), refused) {
			t.Errorf("a second time: got %v", err)
		}
		if after := readFile(t, path); after != before {
			t.Errorf("the second changed the file from %q to %q", before, after)
		}
	}
	if err := os.Truncate(path, int64(strings.Index(readFile(t, path), "\n")+1)); err != nil {
		t.Fatal(err)
	}
	record(l, "two")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := child(); got != "" {
		t.Errorf("after Close: got %q", got)
	}
	recordInto(t, path, mcpsec.Secret{}, "three")
	if got := messages(t, []byte(readFile(t, path))); got != "one two child three" {
		t.Errorf("got %q", got)
	}
}

// Wherever a crash cuts the last record, the log goes on.
func TestOpenAuditLogMendsACrash(t *testing.T) {
	t.Parallel()
	path, key := filepath.Join(t.TempDir(), "audit.jsonl"), auditKey()
	recordInto(t, path, key, "one", "two", "three")
	log := readFile(t, path)
	third := strings.Index(log, `{"seq":3`)
	for n := third; n <= len(log); n++ {
		if err := os.WriteFile(path, []byte(log[:n]), 0o600); err != nil {
			t.Fatal(err)
		}
		want := "one two after"
		if n >= len(log)-1 {
			want = "one two three after"
		}
		head := recordInto(t, path, key, "after")
		got := readFile(t, path)
		if verified, err := mcpsec.VerifyAuditLog(strings.NewReader(got), key); err != nil || verified != head {
			t.Fatalf("cut at %d: %v, got head %v, want %v", n-third, err, verified, head)
		}
		if got := messages(t, []byte(got)); got != want {
			t.Fatalf("cut at %d: got %q, want %q", n-third, got, want)
		}
	}
}

// What is not the rest of a crash is not ours to shorten.
func TestOpenAuditLogLeavesOtherFilesAlone(t *testing.T) {
	t.Parallel()
	path, key := filepath.Join(t.TempDir(), "audit.jsonl"), auditKey()
	recordInto(t, path, key, "one", "two")
	log := readFile(t, path)
	second := strings.Index(log, `{"seq":2`)
	zeros := strings.Repeat("0", 64)
	for name, text := range map[string]string{
		"other JSON":           `{"precious":"data without newline"}`,
		"a word":               "precious",
		"another beginning":    `{"seq":1,"prev":"1`,
		"another number":       `{"seq":2,"prev":"` + zeros + `",`,
		"another end":          `{"seq":1,"prev":"` + zeros + `"}`,
		"no log, one line":     "precious\ndata",
		"a log and a word":     log + "precious",
		"a log and zeros":      log + "\x00\x00\x00",
		"a log and a space":    log + " ",
		"a log and the first":  log + log[:second-1],
		"a log and the second": log + log[second:second+20],
		"damage, then a cut":   strings.Replace(log, "one", "0ne", 1) + `{"seq":3,`,
		"a long line":          `{"seq":1,"prev":"` + zeros + `",` + strings.Repeat(" ", 1<<20),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := mcpsec.OpenAuditLog(path, key); err == nil {
			t.Errorf("%s: opens", name)
		}
		if got := readFile(t, path); got != text {
			t.Errorf("%s: got %q, want %q", name, got, text)
		}
	}
}
