package pgtool

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/internal/rootfile"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// FileOptions say what [ExportTool] and [ImportTool] have to do with files, and how
// much of it. The zero value has no files.
type FileOptions struct {
	// Root is a directory that holds nothing but exports, or what may be imported.
	// It must stay open. Defaults to none: an export is embedded in the answer, and
	// an import comes with the call.
	Root *os.Root
	// URI is where clients read an export, as mcpsec.NewFiles serves Root:
	// "exports:///" for the resource "exports:///{+path}". Required for exports
	// with Root.
	URI string
	// MaxRows is how many rows one export or import has at most. In an import it
	// bounds the rows of all tables that are changed, as WriteOptions.MaxAffected
	// does for other tools. Defaults to 1,000,000 and 10,000.
	MaxRows int
	// MaxBytes is how large a file may be. Defaults to 64 MiB for exports and 8 MiB
	// for imports.
	MaxBytes int64
	// MaxFiles is how many files Root may hold before no further export is written.
	// Defaults to 100.
	MaxFiles int
	// RawCells writes CSV exactly, for programs that do not calculate. Defaults to
	// false: a cell that a spreadsheet could take for a formula, because it begins
	// with = + - @ a tab or a line break, gets an apostrophe before it, unless its
	// type holds no text.
	RawCells bool
}

func (o FileOptions) forExport() (FileOptions, error) {
	o, err := o.withDefaults(1_000_000, 64<<20)
	if err == nil && o.Root != nil && !strings.HasSuffix(o.URI, "/") {
		err = errors.New("FileOptions.URI must be what comes before a file's name, with a slash at its end")
	}
	return o, err
}

func (o FileOptions) forImport() (FileOptions, error) {
	o, err := o.withDefaults(10_000, 8<<20)
	if err == nil && (o.MaxRows > 1_000_000 || o.MaxBytes > 256<<20) {
		err = errors.New("FileOptions.MaxRows and MaxBytes of an import must be at most 1,000,000 and 256 MiB: it is read as a whole")
	}
	return o, err
}

func (o FileOptions) withDefaults(rows int, size int64) (FileOptions, error) {
	o.MaxRows, o.MaxFiles = or(o.MaxRows, rows), or(o.MaxFiles, 100)
	if o.MaxBytes == 0 {
		o.MaxBytes = size
	}
	if o.MaxRows < 1 || o.MaxBytes < 1 || o.MaxFiles < 1 {
		return o, errors.New("FileOptions.MaxRows, MaxBytes and MaxFiles must not be negative")
	}
	return o, nil
}

// A folder is the directory of exports.
type folder struct {
	FileOptions
	mu sync.Mutex
}

// prefix is that of a file that is not complete: mcpsec.NewFiles does not serve
// names with a dot at their beginning.
const prefix = "."

var errFull = &mcpsec.Error{Message: "the directory of exports is full: somebody has to remove old ones", Rule: "files"}

// create makes a file for an export that is not complete.
func (d *folder) create(name string) (*os.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir, err := d.Root.Open(".")
	if err != nil {
		return nil, fmt.Errorf("opening the directory of exports: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(d.MaxFiles)
	if len(names) >= d.MaxFiles {
		return nil, errFull
	}
	if err != nil && len(names) > 0 {
		return nil, fmt.Errorf("counting exports: %w", err)
	}
	f, err := d.Root.OpenFile(prefix+name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("creating the file of an export: %w", err)
	}
	return f, nil
}

// exportName is a name that nobody can guess: who may read one export must not
// read others.
func exportName(ext string) string { return "export-" + strings.ToLower(rand.Text()) + ext }

var importName = lazy.Regexp(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(\.[A-Za-z0-9_-]{1,20}){0,3}$`)

var errNoFile = &mcpsec.Error{Message: "there is no such file, or it may not be read", Rule: "file"}

// read reads a file that somebody has put into Root.
func (o FileOptions) read(name string) ([]byte, error) {
	if o.Root == nil || !importName().MatchString(name) || path.Base(name) != name {
		return nil, errNoFile
	}
	data, err := rootfile.Read(o.Root, name, o.MaxBytes)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errNoFile
	case err != nil:
		return nil, &mcpsec.Error{Message: errNoFile.Message, Rule: errNoFile.Rule, Err: err}
	case int64(len(data)) > o.MaxBytes:
		return nil, &mcpsec.Error{Message: fmt.Sprintf("the file has more than %d bytes: split it", o.MaxBytes), Rule: "bytes"}
	}
	return data, nil
}
