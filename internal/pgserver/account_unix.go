//go:build unix

package pgserver

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// Signals for a program whose parent has died. A server that gets dieQuickly
// ends its own children.
const (
	dieQuickly = syscall.SIGQUIT
	dieKilled  = syscall.SIGKILL
)

// otherUser is an unprivileged user that is known by name: initdb looks up the
// name of the number it runs as.
func otherUser() (account, bool) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.Atoi(u.Uid)
		gid, errGID := strconv.Atoi(u.Gid)
		if errUID == nil && errGID == nil && uid > 0 && gid > 0 {
			return account{name: "user " + name, uid: uid, gid: gid}, true
		}
	}
	return account{}, false
}

// groupAttr puts a program in a process group of its own, so that Ctrl-C at the
// terminal reaches us and not the server that we still need.
func groupAttr(a account) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.changed() {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// killGroup kills a program and the children in its process group.
func killGroup(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) }

func (p *process) signal(mode stopMode) error {
	sig := syscall.SIGQUIT
	if mode == stopFast {
		sig = syscall.SIGINT
	}
	return p.cmd.Process.Signal(sig)
}

// watchUs starts a small shell that waits for the end of this program, however
// it comes, and then stops the server pid. It is for systems without a signal
// for that. The caller releases it when the server has ended by itself.
func watchUs(pid int) (release func(), err error) {
	cmd := exec.Command("/bin/sh", "-c", `read -r _; kill -QUIT "$1"`, "sh", strconv.Itoa(pid))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// The kernel closes our end of the pipe when we die.
	in, err := cmd.StdinPipe()
	if err != nil {
		return func() {}, err
	}
	if err := cmd.Start(); err != nil {
		return func() {}, fmt.Errorf("watching over the server: %w", err)
	}
	return func() {
		_ = cmd.Process.Kill() // first, or closing the pipe would set it off
		_ = in.Close()
		_ = cmd.Wait()
	}, nil
}
