// Package secretfile reads files that hold secrets, as Docker and Kubernetes mount them.
package secretfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
)

// Max is how many bytes a file may have.
const Max = 64 << 10

// Read returns what is in the file at path, in one buffer that its caller can clear.
// What is not a regular file is refused, what is longer than [Max], and what every user
// of the machine may read (on Unix, and unless it lies on a read-only mount: there the
// container is the fence). Errors do not hold the path.
func Read(path string) ([]byte, error) {
	data, err := read(path)
	if pathError := (*os.PathError)(nil); errors.As(err, &pathError) {
		err = pathError.Err
	}
	return data, err
}

func read(path string) (data []byte, err error) {
	// Without O_NONBLOCK, opening a named pipe would wait for its writer.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	// Asked of the open file, so that it cannot be swapped in between.
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := check(info, func() bool { return onReadOnlyMount(file) }); err != nil {
		return nil, err
	}
	return readAll(file)
}

// readAll reads into one buffer: one that grows leaves copies behind.
func readAll(from io.Reader) ([]byte, error) {
	buf := make([]byte, Max+1)
	n, err := io.ReadFull(from, buf)
	switch {
	case err == nil:
		clear(buf)
		return nil, fmt.Errorf("is larger than %d bytes", Max)
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return buf[:n], nil
	}
	clear(buf)
	return nil, err
}

func check(info os.FileInfo, readOnlyMount func() bool) error {
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return errors.New("is not a regular file")
	case runtime.GOOS != "windows" && mode.Perm()&0o004 != 0 && !readOnlyMount():
		return fmt.Errorf("may be read by every user (mode %04o): use chmod o-r", mode.Perm())
	}
	return nil
}
