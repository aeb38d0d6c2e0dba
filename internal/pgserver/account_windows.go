package pgserver

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

const (
	dieQuickly = syscall.Signal(0)
	dieKilled  = syscall.Signal(0)
)

func accounts() []account { return []account{{name: "the current user"}} }

func (a account) attr(syscall.Signal) *syscall.SysProcAttr { return nil }

func killGroup(p *os.Process) error { return p.Kill() }

// signal uses pg_ctl, as Windows has no signals of its own.
func (p *process) signal(mode stopMode) error {
	ctl := program(filepath.Dir(p.cmd.Path), "pg_ctl")
	return exec.Command(ctl, "kill", string(mode), strconv.Itoa(p.cmd.Process.Pid)).Run()
}

// tieToUs does nothing: on Windows the server outlives a program that is killed.
func tieToUs(int) (release func(), err error) { return func() {}, nil }
