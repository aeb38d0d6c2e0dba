package redact

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
)

// maxSecret is how many bytes a file or a command may give.
const maxSecret = 64 << 10

// SecretFromEnv returns the value of the environment variable name, or the
// content of the file that the variable name+"_FILE" names, as [SecretFromFile]
// reads it. Both set, or neither, is an error, and so is what [Secret.Check]
// refuses. Variables stay set; an empty one does not count beside the other.
//
// Prefer files: the environment is shown by /proc and docker inspect, and
// every child process gets it.
func SecretFromEnv(name string) (Secret, error) {
	value, ok := os.LookupEnv(name)
	path := os.Getenv(name + "_FILE")
	switch {
	case value != "" && path != "":
		return Secret{}, fmt.Errorf("environment variables %s and %[1]s_FILE are both set: unset one", name)
	case path != "":
		s, err := SecretFromFile(path)
		if err != nil {
			return Secret{}, fmt.Errorf("environment variable %s_FILE: %w", name, err)
		}
		return s, nil
	case !ok:
		return Secret{}, fmt.Errorf("environment variable %s is not set: set it, or %[1]s_FILE to the path of a file", name)
	}
	return checked("environment variable "+name, []byte(value))
}

// SecretFromFile returns the content of the file at path, as Docker and
// Kubernetes mount secrets, without one newline at its end. Refused: what is
// not a regular file, is over 64 KiB or refused by [Secret.Check], and what
// every user of the machine may read (on Unix, and unless it lies on a
// read-only mount, as Docker and Kubernetes make them: there the container is
// the fence).
func SecretFromFile(path string) (Secret, error) {
	data, err := readSecretFile(path)
	if err != nil {
		return Secret{}, fmt.Errorf("reading secret: %w", err)
	}
	return checked("file "+path, data)
}

// checked makes a Secret of data from source, without one newline at its end,
// and leaves nothing in data.
func checked(source string, data []byte) (Secret, error) {
	defer clear(data)
	s := own(append([]byte(nil), trimNewline(data)...))
	if err := s.Check(); err != nil {
		s.Close()
		return Secret{}, fmt.Errorf("%s: %w", source, err)
	}
	return s, nil
}

func trimNewline(data []byte) []byte {
	for _, end := range []byte("\n\r") {
		if n := len(data); n > 0 && data[n-1] == end {
			data = data[:n-1]
		}
	}
	return data
}

func readSecretFile(path string) (data []byte, err error) {
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
	if err := checkSecretFile(path, info, func() bool { return onReadOnlyMount(file) }); err != nil {
		return nil, err
	}
	return readSecret(file, path)
}

// readSecret reads into one buffer that its caller can clear: one that grows
// leaves copies behind.
func readSecret(from io.Reader, name string) ([]byte, error) {
	buf := make([]byte, maxSecret+1)
	n, err := io.ReadFull(from, buf)
	switch {
	case err == nil:
		clear(buf)
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxSecret)
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return buf[:n], nil
	}
	clear(buf)
	return nil, err
}

func checkSecretFile(path string, info os.FileInfo, readOnlyMount func() bool) error {
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case runtime.GOOS != "windows" && mode.Perm()&0o004 != 0 && !readOnlyMount():
		return fmt.Errorf("%s may be read by every user (mode %04o): use chmod o-r", path, mode.Perm())
	}
	return nil
}
