//go:build unix

package mcpsec

import (
	"fmt"
	"os"
	"syscall"
)

// claimStdout moves standard output to a descriptor of its own and points the
// usual one at standard error, so that nothing but the protocol can reach the
// client, whoever holds os.Stdout or inherits descriptor 1.
func claimStdout() (out *os.File, restore func(), err error) {
	fd, err := syscall.Dup(1)
	if err != nil {
		return nil, nil, fmt.Errorf("mcpsec: claiming standard output: %w", err)
	}
	syscall.CloseOnExec(fd)
	if err := dup2(2, 1); err != nil {
		syscall.Close(fd)
		return nil, nil, fmt.Errorf("mcpsec: claiming standard output: %w", err)
	}
	// A second duplicate survives the connection, which closes the first.
	keep, err := syscall.Dup(fd)
	if err != nil {
		return nil, nil, fmt.Errorf("mcpsec: claiming standard output: %w", err)
	}
	syscall.CloseOnExec(keep)
	restore = func() {
		// Failing to restore leaves output on standard error, the safe side.
		_ = dup2(keep, 1)
		syscall.Close(keep)
	}
	return os.NewFile(uintptr(fd), "stdout"), restore, nil
}
