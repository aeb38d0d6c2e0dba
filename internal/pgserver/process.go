package pgserver

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// stopLimit is how long a server may take to stop before it is killed.
const stopLimit = 10 * time.Second

// stopMode is a signal to PostgreSQL by its name without SIG.
type stopMode string

const (
	stopNow  stopMode = "QUIT" // end at once; the data is not needed any more
	stopFast stopMode = "INT"  // end sessions and write everything
)

// account is the user a program runs as. PostgreSQL refuses to run as root. The
// zero value is the current user.
type account struct {
	name string
	// uid and gid are another user's numbers.
	uid, gid int
	// namespace says that root takes these numbers in a user namespace, where
	// files stay root's, instead of changing its user.
	namespace bool
}

// changed reports whether files for a must be given to another user.
func (a account) changed() bool { return a.uid != 0 && !a.namespace }

// own gives a file or a directory tree to the account.
func (a account) own(path string) error {
	if !a.changed() {
		return nil
	}
	return filepath.WalkDir(path, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, a.uid, a.gid)
	})
}

// run runs a program to its end and returns what it printed. When ctx ends, the
// program and its children are killed; run returns after all of them are gone.
func (a account) run(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = cleanEnv(os.Environ())
	// A buffer makes Wait last until the children, too, have let go of it.
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = a.attr(dieKilled)
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	// The kernel ties the end of the child to the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, tail(out.Bytes()))
	}
	return out.String(), nil
}

// cleanEnv drops what would point PostgreSQL's programs at another server or
// make them print in another language.
func cleanEnv(env []string) []string {
	env = slices.DeleteFunc(slices.Clone(env), func(v string) bool {
		return strings.HasPrefix(v, "PG") || strings.HasPrefix(v, "LC_") || strings.HasPrefix(v, "LANG")
	})
	return append(env, "LC_ALL=C")
}

// tail returns the end of a program's output, which holds the reason.
func tail(out []byte) string {
	const most = 2000
	if len(out) > most {
		out = out[len(out)-most:]
	}
	return strings.TrimSpace(string(out))
}

// process is a running server program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// spawn starts cmd. The server dies with this program, even when it is killed:
// that is bound to the starting thread, hence the goroutine that keeps it.
func spawn(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		release, err := tieToUs(cmd.Process.Pid)
		if err != nil {
			_ = killGroup(cmd.Process)
		}
		started <- err
		_ = cmd.Wait() // its log tells more than its exit code
		release()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(cmd.Path), err)
	}
	return p, nil
}

// stop asks the server to end, waits, and kills it when that takes too long.
func (p *process) stop(mode stopMode) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.signal(mode); err != nil {
		_ = killGroup(p.cmd.Process)
	}
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	select {
	case <-p.done:
		return nil
	case <-limit.C:
	}
	err := killGroup(p.cmd.Process)
	<-p.done
	if err != nil {
		return fmt.Errorf("killing a server that did not stop: %w", err)
	}
	return nil
}
