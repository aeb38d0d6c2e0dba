// Package rootfile reads files that callers name, from a directory that the operator
// gave: regular ones only, so that no name makes the program wait for a pipe, work a
// device or read without end.
package rootfile

import (
	"errors"
	"io"
	"os"
	"syscall"
)

var errIrregular = errors.New("not a regular file")

// Read reads one byte more than limit at most. It looks first, because to open a
// device can do something.
func Read(root *os.Root, name string, limit int64) ([]byte, error) {
	if info, err := root.Lstat(name); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errIrregular)
	}
	f, err := Open(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// Open opens a file that has been looked at, and may be another one by now: a pipe
// must not make us wait.
func Open(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, errors.Join(err, errIrregular)
	}
	return f, nil
}
