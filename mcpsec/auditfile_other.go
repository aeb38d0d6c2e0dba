//go:build !windows && (!unix || aix || (solaris && !illumos))

package mcpsec

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
)

var errNoLocks = errors.New("this module cannot lock files on " + runtime.GOOS +
	", and two writers would destroy the log: use NewAuditLog with a writer of your own")

func openLogFile(string) (*os.File, error) { return nil, errNoLocks }

func checkPrivate(fs.FileInfo, string) error { return errNoLocks }

func lockFile(*os.File) error { return errNoLocks }

func unlockFile(*os.File) error { return nil }
