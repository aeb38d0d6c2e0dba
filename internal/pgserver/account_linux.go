package pgserver

import (
	"os"
	"syscall"
)

// accounts lists the ways to run PostgreSQL, best first. As root these are a
// user namespace, which keeps all files root's and works in any directory but
// is forbidden in many containers, then another user.
func accounts() []account {
	if os.Geteuid() != 0 {
		return []account{{name: "the current user"}}
	}
	other, ok := otherUser()
	if !ok {
		return []account{{name: "root"}}
	}
	inside := other
	inside.name, inside.namespace = "root in a user namespace", true
	return []account{inside, other}
}

func (a account) attr(onOurDeath syscall.Signal) *syscall.SysProcAttr {
	attr := groupAttr(a)
	attr.Pdeathsig = onOurDeath
	if a.namespace {
		attr.Cloneflags = syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: a.uid, HostID: 0, Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: a.gid, HostID: 0, Size: 1}}
	}
	return attr
}

// tieToUs has nothing to do: Linux sends the signal named in attr.
func tieToUs(int) (release func(), err error) { return func() {}, nil }
