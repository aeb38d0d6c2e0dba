//go:build unix

package mcpsec_test

import (
	"net"
	"path/filepath"
	"syscall"
	"testing"
)

// A pipe, which opening would wait for, and a socket are not there.
func TestFilesAreRegular(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	ln, err := net.Listen("unix", filepath.Join(dir, "sock"))
	if err != nil {
		t.Skipf("no sockets here: %v", err)
	}
	defer ln.Close()
	_, r := serveFiles(t, dir, nil)
	for _, path := range []string{"pipe", "sock"} {
		if got := r.read1("files:///" + path); got != noSuchResource {
			t.Errorf("%s: got %s", path, got)
		}
	}
}
