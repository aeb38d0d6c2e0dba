//go:build unix

package redact_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// Opening a named pipe must not wait for somebody who writes.
func TestSecretFromFileRefusesPipes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no named pipes here: ", err)
	}
	if _, err := redact.SecretFromFile(path); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}

const mountEnv = "REDACT_TEST_MOUNT"

// Docker and Kubernetes mount secrets with mode 0444 and 0644, read-only.
func TestSecretFromReadOnlyMount(t *testing.T) {
	t.Parallel()
	if path := os.Getenv(mountEnv); path != "" {
		s, err := redact.SecretFromFile(path)
		if err != nil || s.Reveal() != hidden {
			t.Errorf("got %d bytes, %v", len(s.Reveal()), err)
		}
		return
	}
	if runtime.GOOS != "linux" {
		t.Skip("read-only mounts are known on Linux only")
	}
	dir := t.TempDir()
	script := `mount -t tmpfs secrets "$1" && printf %s "$2" >"$1/key" && chmod 0444 "$1/key" &&
		if "$3" -test.run='^TestSecretFromReadOnlyMount$' >/dev/null; then echo a writable mount is taken; exit 1; fi &&
		mount -o remount,ro "$1" && echo mounted && exec "$3" -test.run='^TestSecretFromReadOnlyMount$'`
	cmd := exec.CommandContext(t.Context(), "unshare", "-rm", "sh", "-c", script, "sh", dir, hidden, os.Args[0])
	cmd.Env = append(os.Environ(), mountEnv+"="+filepath.Join(dir, "key"))
	out, err := cmd.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "mounted") && !strings.Contains(string(out), "is taken") {
		t.Skipf("no mounts of one's own here: %v: %s", err, out)
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
