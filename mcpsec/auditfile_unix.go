//go:build unix && !aix && (!solaris || illumos)

package mcpsec

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// openLogFile follows no link in the last part of the path, and does not wait
// for the other end of a pipe.
func openLogFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
}

// checkPrivate refuses a file that others can read or write.
func checkPrivate(fi fs.FileInfo, path string) error {
	if perm := fi.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("mode %#o lets others at it: run chmod 600 %q", perm, path)
	}
	return nil
}

func lockFile(f *os.File) error {
	err := flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

func unlockFile(f *os.File) error { return flock(f, syscall.LOCK_UN) }

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		return os.NewSyscallError("flock", err)
	}
}
