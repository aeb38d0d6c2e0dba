//go:build !linux

package secretfile

import "os"

// onReadOnlyMount knows of no read-only mounts here.
func onReadOnlyMount(*os.File) bool { return false }
