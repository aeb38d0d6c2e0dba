package redact

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

const maxSecretFile = 64 << 10

var errNotString = errors.New("secret is not a JSON string")

// SecretFromEnv returns the value of the environment variable name. A variable
// that is unset or empty is an error. The variable stays set.
func SecretFromEnv(name string) (Secret, error) {
	value, ok := os.LookupEnv(name)
	switch {
	case !ok:
		return Secret{}, fmt.Errorf("environment variable %s is not set", name)
	case value == "":
		return Secret{}, fmt.Errorf("environment variable %s is empty", name)
	}
	return NewSecret(value), nil
}

// SecretFromFile returns the content of the file at path, as Docker and
// Kubernetes mount secrets, without one newline at its end. Refused: what is
// not a regular file, is empty, is over 64 KiB or, on Unix, may be read by
// every user of the machine.
func SecretFromFile(path string) (Secret, error) {
	data, err := readSecretFile(path)
	if err != nil {
		return Secret{}, fmt.Errorf("reading secret: %w", err)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	clear(data)
	if value == "" {
		return Secret{}, fmt.Errorf("reading secret: %s is empty", path)
	}
	return NewSecret(value), nil
}

func readSecretFile(path string) (data []byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	// Asked of the open file, so that it cannot be swapped in between.
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkSecretFile(path, info); err != nil {
		return nil, err
	}
	data, err = io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err == nil && len(data) > maxSecretFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxSecretFile)
	}
	return data, err
}

func checkSecretFile(path string, info os.FileInfo) error {
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	case runtime.GOOS != "windows" && mode.Perm()&0o004 != 0:
		return fmt.Errorf("%s may be read by every user (mode %04o); use chmod o-r", path, mode.Perm())
	}
	return nil
}
