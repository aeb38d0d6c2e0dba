package mcpsec

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"unsafe"
)

// openLogFile opens the file that Lstat saw, or makes a new one.
func openLogFile(path string) (*os.File, error) {
	before, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return nil, err
	}
	if before.Mode()&fs.ModeSymlink != 0 {
		return nil, errSymlink
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if now, err := f.Stat(); err != nil || !os.SameFile(before, now) {
		return nil, errors.Join(errors.New("the file was replaced while it was opened"), err, f.Close())
	}
	return f, nil
}

// checkPrivate leaves access to the directory's list: modes say nothing here.
func checkPrivate(fs.FileInfo, string) error { return nil }

const (
	lockfileFailImmediately = 1
	lockfileExclusive       = 2
	errorLockViolation      = syscall.Errno(33)
)

// theLock is one byte far behind any record: whoever only reads is not locked
// out.
func theLock() *syscall.Overlapped { return &syscall.Overlapped{OffsetHigh: 1 << 30} }

func lockFile(f *os.File) error {
	ok, _, err := syscall.NewLazyDLL("kernel32.dll").NewProc("LockFileEx").Call(
		f.Fd(), lockfileExclusive|lockfileFailImmediately, 0, 1, 0, uintptr(unsafe.Pointer(theLock())))
	switch {
	case ok != 0:
		return nil
	case errors.Is(err, errorLockViolation), errors.Is(err, syscall.ERROR_IO_PENDING):
		return errLocked
	}
	return os.NewSyscallError("LockFileEx", err)
}

func unlockFile(f *os.File) error {
	ok, _, err := syscall.NewLazyDLL("kernel32.dll").NewProc("UnlockFileEx").Call(
		f.Fd(), 0, 1, 0, uintptr(unsafe.Pointer(theLock())))
	if ok != 0 {
		return nil
	}
	return os.NewSyscallError("UnlockFileEx", err)
}
