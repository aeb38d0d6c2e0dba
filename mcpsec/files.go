package mcpsec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"unicode/utf8"
)

// NewFiles makes a resource of the files beneath root, to be read. The URI ends
// with {+path}, as in "files:///{+path}", which is a file's path beneath root.
//
// Which files there are, serve decides by their paths, with slashes; nil stands
// for all that have no element that begins with a dot. Symbolic links are
// followed as long as they stay beneath root, and serve does not see where they
// lead. It should name what may be read rather than what may not: some file
// systems take a name in another case, or another Unicode form, for the same.
// Whatever is no regular file is not there. All that is not there, may not be
// read or lies outside gets one answer.
//
// The MIME type is told by the name, or else by the contents: what is valid UTF-8
// without control characters is a text. A larger file than MaxResult is an error.
// root must stay open as long as the server runs. Records hold the paths that were
// asked for. NewFiles panics as
// [NewResource] does.
func NewFiles(root *os.Root, spec ResourceSpec, serve func(path string) bool) *Resource {
	if serve == nil {
		serve = withoutDots
	}
	if root == nil || !strings.HasSuffix(spec.URI, "/{+path}") {
		panic(fmt.Sprintf("mcpsec: resource %q: NewFiles needs an os.Root, and a URI that ends with /{+path}", spec.Name))
	}
	r := NewResource(spec, func(ctx context.Context, in filePath) (Content, error) {
		if !serve(in.Path) {
			return Content{}, fs.ErrNotExist
		}
		r := runFrom(ctx)
		data, err := readFile(root, in.Path, r.op.maxResult(r.server))
		if err != nil {
			return Content{}, unreadable(err)
		}
		return fileContent(in.Path, data, spec.MIMEType), nil
	})
	r.watch.handle = func(_ context.Context, in any) (any, error) {
		if !serve(in.(*filePath).Path) {
			return nil, absent(fs.ErrNotExist)
		}
		return granted(), nil
	}
	return r
}

type filePath struct {
	Path string `json:"path" validate:"required,max=1024" mcpsec:"log" jsonschema:"the file's path, with slashes"`
}

func withoutDots(p string) bool {
	return !strings.HasPrefix(p, ".") && !strings.Contains(p, "/.")
}

// errIrregular is what a directory, a device, a pipe or a socket is read as.
var errIrregular = errors.New("not a regular file")

// readFile reads one byte more than limit at most, which is then too large.
func readFile(root *os.Root, name string, limit int) ([]byte, error) {
	local, err := filepath.Localize(name)
	if err != nil || runtime.GOOS == "windows" && aliased(name) {
		return nil, fs.ErrNotExist
	}
	// Looking first, because opening a device can do something; without waiting,
	// because it may have become a pipe meanwhile, which then would wait for ever.
	if info, err := root.Stat(local); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errIrregular)
	}
	f, err := root.OpenFile(local, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errIrregular)
	}
	return io.ReadAll(io.LimitReader(f, int64(limit)+1))
}

// aliased reports whether Windows would take name for another one, which serve
// has not seen: GIT~1 is .git, and it drops dots and spaces at an element's end.
func aliased(name string) bool {
	for element := range strings.SplitSeq(name, "/") {
		if strings.Contains(element, "~") || strings.TrimRight(element, ". ") != element {
			return true
		}
	}
	return false
}

// unreadable gives every reason why a file cannot be read the answer of one that
// is not there. What is not just absent goes to the log: somebody tried to get
// out, or the operator has forgotten a permission.
func unreadable(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fs.ErrNotExist
	}
	return &Error{Message: unknownResource, Rule: ruleNotFound, Err: err}
}

// mimeTypes are those of names; the operating system's table would make answers
// depend on the machine.
var mimeTypes = map[string]string{
	".avif": "image/avif", ".css": "text/css", ".csv": "text/csv", ".flac": "audio/flac", ".gif": "image/gif", ".go": "text/x-go",
	".gz": "application/gzip", ".htm": "text/html", ".html": "text/html", ".ico": "image/vnd.microsoft.icon", ".jpeg": "image/jpeg",
	".jpg": "image/jpeg", ".js": "text/javascript", ".json": "application/json", ".jsonl": "application/jsonl", ".md": "text/markdown",
	".mp3": "audio/mpeg", ".mp4": "video/mp4", ".ogg": "audio/ogg", ".pdf": "application/pdf", ".png": "image/png", ".sql": "application/sql",
	".svg": "image/svg+xml", ".toml": "application/toml", ".tsv": "text/tab-separated-values", ".txt": "text/plain", ".wav": "audio/wav",
	".webp": "image/webp", ".xml": "application/xml", ".yaml": "application/yaml", ".yml": "application/yaml", ".zip": "application/zip",
}

// fileContent makes a text of what is one.
func fileContent(name string, data []byte, fallback string) Content {
	c := Content{MIMEType: mimeTypes[strings.ToLower(path.Ext(name))]}
	if c.MIMEType == "" {
		c.MIMEType = fallback
	}
	if isText(data) {
		if c.Text = string(data); c.MIMEType == "" {
			c.MIMEType = "text/plain"
		}
		return c
	}
	if c.Data = data; c.MIMEType == "" || strings.HasPrefix(c.MIMEType, "text/") {
		c.MIMEType = "application/octet-stream"
	}
	return c
}

func isText(data []byte) bool {
	for _, b := range data {
		if b < ' ' && b != '\t' && b != '\n' && b != '\r' && b != '\f' && b != 0x1B {
			return false
		}
	}
	return utf8.Valid(data)
}
