package pgserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// maxParent bounds the path above a server's directory. With our names below it
// the socket's path stays under the 100 or so bytes that systems allow.
const maxParent = 60

// homePrefix begins the names of our directories.
const homePrefix = "mcpsec-pg-"

// home is the directory of one server and everything in it.
type home struct {
	dir    string
	data   string
	log    string
	socket string // "" where sockets are not used
	lock   *os.File
}

// newHome makes the directory below the system's place for temporary files, or
// below /tmp if that path is too long or perhaps closed to another user. Such a
// user must be able to walk in, so then the directory is open to all and only
// the parts inside are not.
func newHome(a account) (*home, error) {
	parent, mode := os.TempDir(), os.FileMode(0o700)
	if runtime.GOOS != "windows" && (a.changed() || len(parent) > maxParent) {
		parent = "/tmp"
	}
	if a.changed() {
		mode = 0o755
	}
	sweep(parent)
	dir, err := os.MkdirTemp(parent, homePrefix)
	if err != nil {
		return nil, fmt.Errorf("making the server's directory: %w", err)
	}
	h := &home{dir: dir, data: filepath.Join(dir, "data"), log: filepath.Join(dir, "log")}
	if err := h.furnish(a, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("making the server's directory: %w", err), h.remove())
	}
	return h, nil
}

func (h *home) furnish(a account, mode os.FileMode) (err error) {
	if h.lock, err = lockDir(h.dir); err != nil {
		return err
	}
	if err := os.Chmod(h.dir, mode); err != nil {
		return err
	}
	parts := []string{h.data}
	if runtime.GOOS != "windows" {
		h.socket = filepath.Join(h.dir, "s")
		parts = append(parts, h.socket)
	}
	for _, part := range parts {
		if err := os.Mkdir(part, 0o700); err != nil {
			return err
		}
		if err := a.own(part); err != nil {
			return err
		}
	}
	return nil
}

// put writes a new file for the account.
func (h *home) put(a account, name string, content []byte) (err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return a.own(name)
}

// remove deletes the directory. It may be called again.
func (h *home) remove() error {
	err := os.RemoveAll(h.dir)
	if h.lock != nil {
		// Nothing is written to the lock, so closing it loses nothing.
		_ = h.lock.Close()
		h.lock = nil
	}
	return err
}
