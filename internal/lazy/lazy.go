// Package lazy puts off what a program pays for at its start although few of its
// runs need it.
package lazy

import (
	"regexp"
	"sync"
)

// Regexp returns a function that compiles expr when it is first called, and then
// always returns the same. It panics when expr is no regular expression; a rule of
// the repository compiles all that there are. It is safe for concurrent use.
func Regexp(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
