//go:build !unix

package mcpsec

import "os"

// claimStdout keeps standard output for the protocol and lets os.Stdout name
// standard error meanwhile.
func claimStdout() (out *os.File, restore func(), err error) {
	out = os.Stdout
	os.Stdout = os.Stderr
	return out, func() { os.Stdout = out }, nil
}
