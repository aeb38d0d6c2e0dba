package console

import (
	"bytes"
	"errors"
	"io"
	"os"
)

const (
	maxBehind = 128 << 20 // how many bytes of a log are read at once, from its end
	maxLine   = 1 << 20   // a longer one is no record
)

// A tail reads what is new in a file that another process writes.
type tail struct {
	path   string
	info   os.FileInfo // of the file that was read last
	offset int64       // behind the last whole line
	cut    bool        // it has become shorter
}

// read calls add with each whole line that is new, without its newline; the line is add's
// until it returns. A file that took the place of another is read from its beginning, and
// only the end of one that is very long.
func (t *tail) read(add func(line []byte)) error {
	if info, err := os.Stat(t.path); err == nil && !info.Mode().IsRegular() {
		return errors.New("it is no regular file") // and to open a pipe would wait for its writer
	}
	f, err := os.Open(t.path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	switch {
	case t.info == nil || !os.SameFile(t.info, info):
		t.offset = 0
	case info.Size() < t.offset:
		t.offset, t.cut = info.Size(), true
	}
	t.info = info
	inside := info.Size()-t.offset > maxBehind // a line may have begun before
	if inside {
		t.offset = info.Size() - maxBehind
	}
	if _, err := f.Seek(t.offset, io.SeekStart); err != nil {
		return err
	}
	return t.lines(f, add, inside)
}

// lines reads to the end of f. If inside, the first line is a piece of one.
func (t *tail) lines(f io.Reader, add func([]byte), inside bool) error {
	buf := make([]byte, 0, 64<<10)
	for {
		if len(buf) == cap(buf) {
			if len(buf) > maxLine { // what is left of this line is none
				t.offset += int64(len(buf))
				buf, inside = buf[:0], true
			} else {
				buf = append(buf, make([]byte, cap(buf))...)[:len(buf)]
			}
		}
		n, err := f.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		for {
			end := bytes.IndexByte(buf, '\n')
			if end < 0 {
				break
			}
			if !inside {
				add(buf[:end])
			}
			inside = false
			t.offset += int64(end + 1)
			buf = buf[end+1:]
		}
		if cap(buf) < 32<<10 { // what was read is in front of it: begin anew
			buf = append(make([]byte, 0, 64<<10), buf...)
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}
