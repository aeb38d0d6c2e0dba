package secretfile

import (
	"os"
	"syscall"
)

// onReadOnlyMount reports whether nobody here can write where file lies.
func onReadOnlyMount(file *os.File) bool {
	const readOnly = 1 // ST_RDONLY of statvfs(3)
	var fs syscall.Statfs_t
	return syscall.Fstatfs(int(file.Fd()), &fs) == nil && fs.Flags&readOnly != 0
}
