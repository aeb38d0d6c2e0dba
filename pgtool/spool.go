package pgtool

import (
	"bufio"
	"fmt"
	"os"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A spool takes the bytes of an export: in memory as long as they are few, and then
// in a file.
type spool struct {
	folder *folder
	name   string // of the file
	keep   int    // bytes in memory
	buf    []byte
	size   int64
	file   *os.File
	w      *bufio.Writer
}

// Write implements io.Writer. Its error is one for a model.
func (s *spool) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	if s.size > s.folder.MaxBytes || s.folder.Root == nil && s.size > int64(s.keep) {
		return 0, &mcpsec.Error{Message: fmt.Sprintf("the export has more than %d bytes: ask for less", min(s.folder.MaxBytes, s.most())), Rule: "bytes"}
	}
	if s.file == nil && len(s.buf)+len(p) <= s.keep {
		s.buf = append(s.buf, p...)
		return len(p), nil
	}
	if s.file == nil {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	if _, err := s.w.Write(p); err != nil {
		return 0, notWritten(err)
	}
	return len(p), nil
}

func (s *spool) most() int64 {
	if s.folder.Root == nil {
		return int64(s.keep)
	}
	return s.folder.MaxBytes
}

// spill moves what is in memory to a file.
func (s *spool) spill() (err error) {
	if s.file, err = s.folder.create(s.name); err != nil {
		return notWritten(err)
	}
	s.w = bufio.NewWriterSize(s.file, 64<<10)
	_, _ = s.w.Write(s.buf) // its error stays in s.w
	s.buf = nil
	return nil
}

func notWritten(err error) error {
	if err == errFull {
		return err
	}
	return &mcpsec.Error{Message: "the export could not be written to its file, of which nothing is left: report it", Err: err}
}

// finish makes the file complete, which only then gets its name.
func (s *spool) finish() error {
	if s.file == nil {
		return nil
	}
	err := s.w.Flush()
	if err == nil {
		err = s.file.Sync()
	}
	if closing := s.file.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = s.folder.Root.Rename(prefix+s.name, s.name)
	}
	if err != nil {
		return notWritten(err)
	}
	s.file = nil
	return nil
}

// discard removes a file that is not complete. What cannot be removed has a name
// that is not served.
func (s *spool) discard() error {
	if s.file == nil {
		return nil
	}
	_ = s.file.Close() // again, after finish
	return s.folder.Root.Remove(prefix + s.name)
}
