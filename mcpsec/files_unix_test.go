//go:build unix

package mcpsec_test

import (
	"errors"
	"net"
	"os"
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

// A pipe is not even opened: its writer would take the server for its reader.
func TestFilesOpenNoPipes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	wrote := make(chan error, 1)
	go func() {
		f, err := os.OpenFile(pipe, os.O_WRONLY, 0) // waits for a reader
		if err == nil {
			_, err = f.WriteString("x")
			err = errors.Join(err, f.Close())
		}
		wrote <- err
	}()
	_, r := serveFiles(t, dir, nil)
	for range 100 {
		r.read1("files:///pipe")
	}
	select {
	case err := <-wrote:
		t.Fatalf("the pipe was opened: %v", err)
	default:
	}
	if got, err := os.ReadFile(pipe); err != nil || string(got) != "x" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}
