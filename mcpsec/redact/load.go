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
// reads it; either without one newline at its end. Both set, or neither, is an error, and so is what [Secret.Check]
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
		s, err := loadFile(path)
		if err != nil { // without the path: it may be the secret itself, by a slip
			return Secret{}, fmt.Errorf("file that the environment variable %s_FILE names: %w", name, err)
		}
		return s, nil
	case !ok:
		return Secret{}, fmt.Errorf("environment variable %s is not set: set it, or %[1]s_FILE to the path of a file", name)
	}
	s, err := checked([]byte(value))
	if err != nil {
		return Secret{}, fmt.Errorf("environment variable %s: %w", name, err)
	}
	return s, nil
}

// SecretFromFile returns the content of the file at path, as Docker and
// Kubernetes mount secrets, without one newline at its end. Refused: what is
// not a regular file, is over 64 KiB or refused by [Secret.Check], and what
// every user of the machine may read (on Unix, and unless it lies on a
// read-only mount, as Docker and Kubernetes make them: there the container is
// the fence). The error names the path, and the error that it wraps does not.
func SecretFromFile(path string) (Secret, error) {
	s, err := loadFile(path)
	if err != nil {
		return Secret{}, fmt.Errorf("reading secret from %s: %w", path, err)
	}
	return s, nil
}

// loadFile is SecretFromFile with errors that do not hold the path.
func loadFile(path string) (Secret, error) {
	data, err := readSecretFile(path)
	if pathError := (*os.PathError)(nil); errors.As(err, &pathError) {
		err = pathError.Err
	}
	if err != nil {
		return Secret{}, err
	}
	return checked(data)
}

// checked makes a Secret of data, without one newline at its end, and leaves
// nothing in data.
func checked(data []byte) (Secret, error) {
	defer clear(data)
	s := own(append([]byte(nil), trimNewline(data)...))
	if err := s.Check(); err != nil {
		s.Close()
		return Secret{}, err
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
	if err := checkSecretFile(info, func() bool { return onReadOnlyMount(file) }); err != nil {
		return nil, err
	}
	return readSecret(file)
}

// readSecret reads into one buffer that its caller can clear: one that grows
// leaves copies behind.
func readSecret(from io.Reader) ([]byte, error) {
	buf := make([]byte, maxSecret+1)
	n, err := io.ReadFull(from, buf)
	switch {
	case err == nil:
		clear(buf)
		return nil, fmt.Errorf("is larger than %d bytes", maxSecret)
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return buf[:n], nil
	}
	clear(buf)
	return nil, err
}

func checkSecretFile(info os.FileInfo, readOnlyMount func() bool) error {
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return errors.New("is not a regular file")
	case runtime.GOOS != "windows" && mode.Perm()&0o004 != 0 && !readOnlyMount():
		return fmt.Errorf("may be read by every user (mode %04o): use chmod o-r", mode.Perm())
	}
	return nil
}
