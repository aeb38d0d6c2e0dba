package pbtool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

const (
	maxExport  = maxBytes // of a file
	maxExports = 100      // files
)

var exportName = lazy.Regexp(`^[A-Za-z0-9][A-Za-z0-9_-]{0,59}\.(csv|json|ndjson)$`)

// mayStore says before any work whether an export may be a file of that name.
func (c *Client) mayStore(name, format string) error {
	switch {
	case c.o.Exports == nil:
		return denied("there is no directory for exports: leave file out, the answer has the document")
	case !exportName().MatchString(name) || !strings.HasSuffix(name, "."+format):
		return badArgument(fmt.Errorf("a file's name has letters, digits, - and _, and ends in .%s", format))
	}
	dir, err := c.o.Exports.Open(".")
	if err != nil {
		return fmt.Errorf("opening the directory of exports: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxExports)
	switch {
	case len(names) >= maxExports:
		return &mcpsec.Error{Message: "the directory of exports is full: somebody has to remove old ones", Rule: "files"}
	case err != nil && !errors.Is(err, io.EOF):
		return fmt.Errorf("counting exports: %w", err)
	}
	return nil
}

// store writes a new file.
func (c *Client) store(name, text string) error {
	f, err := c.o.Exports.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case errors.Is(err, os.ErrExist):
		return denied("there already is a file of that name: choose another one")
	case err != nil:
		return fmt.Errorf("making the file of an export: %w", err)
	}
	return fill(c.o.Exports, f, text)
}

// fill writes a file that was just made. There is a whole one afterwards, or none.
func fill(dir *os.Root, f *os.File, text string) error {
	_, err := io.WriteString(f, text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing an export: %w", err), dir.Remove(filepath.Base(f.Name())))
	}
	return nil
}
