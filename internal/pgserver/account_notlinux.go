//go:build unix && !linux

package pgserver

import (
	"os"
	"syscall"
)

// accounts lists the ways to run PostgreSQL: directly, or as another user
// instead of root.
func accounts() []account {
	if os.Geteuid() != 0 {
		return []account{{name: "the current user"}}
	}
	if other, ok := otherUser(); ok {
		return []account{other}
	}
	return []account{{name: "root"}}
}

func (a account) attr(syscall.Signal) *syscall.SysProcAttr { return groupAttr(a) }

func tieToUs(pid int) (release func(), err error) { return watchUs(pid) }
