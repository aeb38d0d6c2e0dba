//go:build unix

package pgserver

import (
	"os"
	"path/filepath"
	"syscall"
)

// lockName is a file that its server's program keeps locked while it lives.
const lockName = "lock"

// lockDir takes the lock of a new directory. The file gets its name only when
// it is locked, or sweep could take a new directory for an abandoned one.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName+".new"), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, lockName)); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// sweep removes directories of this user whose program was killed before it
// could. It is a kindness: what cannot be removed stays.
func sweep(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, homePrefix+"*"))
	for _, dir := range dirs {
		if ours(dir) && abandoned(dir) {
			_ = os.RemoveAll(dir)
		}
	}
}

// ours guards against a trap laid by another user of a shared directory.
func ours(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

func abandoned(dir string) bool {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
