package mcpsec

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// listenUnix makes a socket that nobody but the process's user can open, at no
// moment: it is made in a private directory and then moved into place. A socket
// that a process which is gone has left behind is replaced.
func listenUnix(ctx context.Context, path string) (net.Listener, error) {
	if err := freeSocket(ctx, path); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s") // with mode 0700
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	defer os.RemoveAll(dir)
	private := filepath.Join(dir, "s")
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "unix", private)
	if err != nil {
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false) // it would remove the name it was made under
	if err = os.Chmod(private, 0o600); err == nil {
		err = os.Rename(private, path)
	}
	if err != nil {
		ln.Close()
		return nil, fmt.Errorf("making a socket: %w", err)
	}
	return &unixListener{Listener: ln, path: path}, nil
}

// freeSocket refuses a path where anything else is than a dead socket.
func freeSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("making a socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("making a socket: %s is there and is none", path)
	}
	var d net.Dialer
	if c, err := d.DialContext(ctx, "unix", path); err == nil {
		c.Close()
		return fmt.Errorf("making a socket: another process serves %s", path)
	}
	return nil
}

// unixListener removes its socket when it is closed.
type unixListener struct {
	net.Listener
	path string
	once sync.Once
}

// Close stops listening.
func (l *unixListener) Close() error {
	l.once.Do(func() { os.Remove(l.path) })
	return l.Listener.Close()
}
