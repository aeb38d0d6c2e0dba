//go:build unix

package battery

import (
	"os/exec"
	"syscall"
)

// own gives the server a group of processes, so that what it starts ends with it.
func own(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func kill(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
