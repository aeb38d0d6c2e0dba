//go:build unix

package mcpsec_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
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

// A link that is turned outwards between a look and the opening leads nowhere.
func TestFilesWhileLinksTurn(t *testing.T) {
	t.Parallel()
	outer := t.TempDir()
	dir := filepath.Join(outer, "base")
	write(t, outer, "outside.txt", "SECRET")
	write(t, dir, "in.txt", "inside")
	turn := func(to string) error {
		next := filepath.Join(dir, "next")
		return errors.Join(os.Symlink(to, next), os.Rename(next, filepath.Join(dir, "link")))
	}
	if err := turn("in.txt"); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := turn([]string{"../outside.txt", "in.txt"}[i%2]); err != nil {
				stopped <- err
				return
			}
		}
	}()
	f, r := serveFiles(t, dir, nil)
	for range 100 { // fewer than the rate allows at once
		if got := r.read1("files:///link"); strings.Contains(got, "SECRET") {
			t.Errorf("got %s", got)
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if strings.Contains(f.log.String(), "SECRET") {
		t.Error("logged what is outside")
	}
}
