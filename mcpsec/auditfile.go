package mcpsec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// OpenAuditLog opens or creates the audit log in a file, verifies it, and goes
// on with its chain. With a key, the hashes are HMAC-SHA-256 and cannot be made
// without it; the zero Secret means no key. A key that can be guessed would do
// no more than none, and is an error: the CheckRandom method of Secret tells.
//
// The log has one writer: the file is locked until Close, and a second
// OpenAuditLog of it, here or in another process, is an error. Give each server
// a file of its own, and move or delete the file only while no server has it. A
// new file can be read and written by its owner only. A symbolic link, what is
// not a regular file and, on Unix, a file that others can read or write are
// errors.
//
// The beginning of the record that would come next is what a crash leaves: it
// was never acknowledged and is removed. A last record that lacks nothing but
// its newline is kept and gets it. Any other damage is an error, and the file
// stays as it is. Systems without file locks have no OpenAuditLog but one that
// returns an error.
func OpenAuditLog(path string, key Secret) (*AuditLog, error) {
	if !key.IsZero() {
		if err := key.CheckRandom(0); err != nil {
			return nil, fmt.Errorf("opening audit log: its key %w", err)
		}
	}
	f, err := openLogFile(path)
	if err != nil {
		return nil, fmt.Errorf("opening audit log: %w", explain(path, err))
	}
	head, err := claim(f, key)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("audit log %s: %w", path, err), f.Close())
	}
	return newAuditLog(lockedFile{f}, key, head), nil
}

var (
	errSymlink = errors.New("is a symbolic link: name the file itself")
	errLocked  = errors.New("another process has this log open, or this one has it twice: give each server a file of its own")
)

// explain says plainly that a link was refused: systems differ in the error.
func explain(path string, err error) error {
	if fi, lerr := os.Lstat(path); lerr == nil && fi.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("%s %w", path, errSymlink)
	}
	return err
}

// claim makes f the log of this process alone, and ready for the next record.
// Only the owner of the lock may verify: what looks torn to anybody else can be
// a record on its way.
func claim(f *os.File, key Secret) (AuditHead, error) {
	fi, err := f.Stat()
	if err != nil {
		return AuditHead{}, err
	}
	if !fi.Mode().IsRegular() {
		return AuditHead{}, fmt.Errorf("not a regular file, but %s", fi.Mode())
	}
	if err := checkPrivate(fi, f.Name()); err != nil {
		return AuditHead{}, err
	}
	if err := lockFile(f); err != nil {
		return AuditHead{}, err
	}
	head, good, err := verify(f, key)
	if err = repair(f, good, err); err != nil {
		return AuditHead{}, errors.Join(err, unlockFile(f))
	}
	return head, nil
}

// repair mends what a crash leaves behind, and nothing else.
func repair(f *os.File, good int64, damage error) error {
	if errors.Is(damage, errTorn) {
		damage = f.Truncate(good)
	}
	unended := errors.Is(damage, errUnended)
	if damage != nil && !unended {
		return damage
	}
	// Windows has no append mode in which a file could be shortened.
	if _, err := f.Seek(0, io.SeekEnd); err != nil || !unended {
		return err
	}
	_, err := f.Write([]byte("\n"))
	return err
}

// A lockedFile gives its lock back when it is closed. It does so by name: a
// child that is just being started holds a copy of the descriptor.
type lockedFile struct{ *os.File }

func (f lockedFile) Close() error {
	return errors.Join(unlockFile(f.File), f.File.Close())
}
