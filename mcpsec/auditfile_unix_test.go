//go:build unix

package mcpsec_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// Only a file proper is opened, and only under its own name. None of these may
// hang.
func TestOpenAuditLogRefusesWhatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(in("empty"), nil, 0o600))
	must(os.Symlink(in("empty"), in("link")))
	must(os.Symlink(in("nothing"), in("dangling")))
	must(syscall.Mkfifo(in("fifo"), 0o600))
	for path, want := range map[string]string{
		in("link"):     "opening audit log: " + in("link") + " is a symbolic link: name the file itself",
		in("dangling"): "opening audit log: " + in("dangling") + " is a symbolic link: name the file itself",
		in("fifo"):     "audit log " + in("fifo") + ": not a regular file, but prw-------",
		"/dev/null":    "audit log /dev/null: not a regular file, but D",
		dir:            "opening audit log: open " + dir,
		in("no/file"):  "opening audit log: open " + in("no/file"),
	} {
		l, err := mcpsec.OpenAuditLog(path, mcpsec.Secret{})
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}
	if fi, err := os.Lstat(in("nothing")); err == nil {
		t.Errorf("a file was made through a link: %v", fi)
	}
}

// A log that others can get at is refused, and a new one is its owner's alone.
func TestAuditLogIsPrivate(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	recordInto(t, path, mcpsec.Secret{}, "one")
	if fi, err := os.Stat(path); err != nil || fi.Mode() != 0o600 {
		t.Errorf("got mode %v, %v, want 0600", fi.Mode(), err)
	}
	for mode, ok := range map[fs.FileMode]bool{0o600: true, 0o640: false, 0o604: false, 0o620: false, 0o602: false, 0o666: false} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		l, err := mcpsec.OpenAuditLog(path, mcpsec.Secret{})
		if err == nil {
			l.Close()
		}
		if ok != (err == nil) || !ok && !strings.Contains(err.Error(), "run chmod 600 "+`"`+path) {
			t.Errorf("mode %v: got %v", mode, err)
		}
	}
}

// Even a writer that knows of no lock costs no record.
func TestAuditLogAppends(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := mcpsec.OpenAuditLog(path, mcpsec.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const foreign = `{"msg":"foreign"}` + "\n"
	record(l, "one")
	appendTo(t, path, foreign)
	record(l, "two")
	appendTo(t, path, foreign)
	if got := messages(t, []byte(readFile(t, path))); got != "one foreign two foreign" {
		t.Errorf("got %q", got)
	}
}

// A child that is just being started has a copy of the descriptor. Close gives
// up the lock all the same.
func TestAuditLogUnlocksDespiteCopies(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := mcpsec.OpenAuditLog(path, mcpsec.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	var log, st syscall.Stat_t
	if err := syscall.Stat(path, &log); err != nil {
		t.Fatal(err)
	}
	fd := 0
	for ; fd < 1024; fd++ {
		if syscall.Fstat(fd, &st) == nil && st.Dev == log.Dev && st.Ino == log.Ino {
			break
		}
	}
	dup, err := syscall.Dup(fd)
	if err != nil {
		t.Fatalf("copying descriptor %d: %v", fd, err)
	}
	defer syscall.Close(dup)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	recordInto(t, path, mcpsec.Secret{}, "one")
}
