package redact

import (
	"fmt"
	"os"

	"github.com/mcpsec/mcpsec-go/internal/secretfile"
)

// maxSecret is how many bytes a file or a command may give.
const maxSecret = secretfile.Max

// SecretFromEnv returns the value of the environment variable name, or the
// content of the file that the variable name+"_FILE" names, as [SecretFromFile]
// reads it; either without one newline at its end. Both set, or neither, is an
// error, and so is what [Secret.Check] refuses. Variables stay set; an empty one does
// not count beside the other.
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
	data, err := secretfile.Read(path)
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
