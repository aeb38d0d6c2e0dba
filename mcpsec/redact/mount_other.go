//go:build !linux

package redact

import "os"

// onReadOnlyMount knows of no read-only mounts here.
func onReadOnlyMount(*os.File) bool { return false }
