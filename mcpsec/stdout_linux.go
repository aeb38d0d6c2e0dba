package mcpsec

import "syscall"

// dup2 is dup3 here, the only one of the two that every Linux architecture has.
func dup2(from, to int) error { return syscall.Dup3(from, to, 0) }
