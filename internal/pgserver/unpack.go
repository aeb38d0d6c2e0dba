package pgserver

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Bounds for a package: the real one has about 1000 files and 60 MB.
const (
	maxFiles    = 5000
	maxUnpacked = 256 << 20
)

// unpack writes the files of a gzipped npm package to the new directory dir,
// then makes the symbolic links that the package only lists. The os.Root keeps
// every write inside dir, whatever the names are.
func unpack(archive []byte, dir string) error {
	return unpackWithin(archive, dir, maxFiles, maxUnpacked)
}

func unpackWithin(archive []byte, dir string, files int, size int64) (err error) {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	unzipped, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	u := unpacker{root: root, files: files, size: size}
	if err := u.all(tar.NewReader(unzipped)); err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	if err := link(root); err != nil {
		return fmt.Errorf("unpacking: making symbolic links: %w", err)
	}
	return nil
}

// unpacker counts down what it may still write.
type unpacker struct {
	root  *os.Root
	files int
	size  int64
}

func (u *unpacker) all(archive *tar.Reader) error {
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := u.one(header, archive); err != nil {
			return err
		}
	}
}

func (u *unpacker) one(header *tar.Header, content io.Reader) error {
	name, found := strings.CutPrefix(header.Name, "package/")
	if !found || !filepath.IsLocal(name) {
		return fmt.Errorf("%q is not inside the package", header.Name)
	}
	// npm packages hold plain files only. Links are the classic way out of the
	// directory, so they are refused, not skipped.
	if header.Typeflag != tar.TypeReg {
		return fmt.Errorf("%q is not a plain file", header.Name)
	}
	u.files--
	u.size -= header.Size
	if u.files < 0 || u.size < 0 {
		return errors.New("too many or too large files")
	}
	return u.write(name, header, content)
}

func (u *unpacker) write(name string, header *tar.Header, content io.Reader) (err error) {
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if header.Mode&0o100 != 0 {
		mode = 0o755
	}
	f, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.CopyN(f, content, header.Size)
	return err
}

// symlink is an entry of native/pg-symlinks.json. Both names start at the
// package: target is the link, source is the file it stands for.
type symlink struct{ Source, Target string }

func link(root *os.Root) error {
	list, err := root.ReadFile("native/pg-symlinks.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var links []symlink
	if err := json.Unmarshal(list, &links); err != nil {
		return err
	}
	for _, l := range links {
		if err := l.make(root); err != nil {
			return err
		}
	}
	return nil
}

func (l symlink) make(root *os.Root) error {
	if !filepath.IsLocal(l.Source) || !filepath.IsLocal(l.Target) {
		return fmt.Errorf("%q to %q leaves the package", l.Target, l.Source)
	}
	from, err := filepath.Rel(filepath.Dir(l.Target), l.Source)
	if err != nil {
		return err
	}
	if err := root.MkdirAll(path.Dir(l.Target), 0o755); err != nil {
		return err
	}
	if err := root.Symlink(from, l.Target); err != nil {
		return err
	}
	// The name looks local, but an earlier link may be on the way. Stat follows
	// them all and refuses what ends outside the package or nowhere.
	_, err = root.Stat(l.Target)
	return err
}
