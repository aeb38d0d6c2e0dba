package redact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const commandTime = 30 * time.Second

// commandEnv are the variables that a command gets: what password managers
// find their user and agent by, and nothing that holds a secret.
var commandEnv = []string{
	"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME",
	"XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS", "GNUPGHOME", "SSH_AUTH_SOCK", "PASSWORD_STORE_DIR",
	"SYSTEMROOT", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PATHEXT", "TEMP", "TMP",
}

// SecretFromCommand runs a program, such as a password manager's, and returns
// what it writes to standard output, without one newline at its end:
//
//	key, err := redact.SecretFromCommand(ctx, "pass", "show", "orders/signing-key")
//
// argv[0] is an absolute path or a name that is looked up in PATH. No shell is
// involved. The program gets no input, 30 seconds or what ctx leaves of them,
// and of the environment PATH, HOME, USER and what else names its user,
// language, temporary directory and agents; for what needs more, name a script
// that sets it. Refused: a program that fails, more than 64 KiB, and what
// [Secret.Check] refuses. Errors hold argv[0] and the exit status, and neither
// arguments nor output, standard error included: it may hold the secret.
func SecretFromCommand(ctx context.Context, argv ...string) (Secret, error) {
	if len(argv) == 0 {
		return Secret{}, errors.New("secret from command: no command is given")
	}
	out, err := commandOutput(ctx, argv)
	if err != nil {
		return Secret{}, fmt.Errorf("secret from command %s: %w", argv[0], err)
	}
	s, err := checked(out)
	if err != nil {
		return Secret{}, fmt.Errorf("secret from command %s: output %w", argv[0], err)
	}
	return s, nil
}

func commandOutput(ctx context.Context, argv []string) ([]byte, error) {
	if strings.ContainsAny(argv[0], `/\`) && !filepath.IsAbs(argv[0]) {
		return nil, errors.New("is a relative path: use an absolute one, or a name in PATH")
	}
	ctx, cancel := context.WithTimeoutCause(ctx, commandTime, fmt.Errorf("did not end within %s", commandTime))
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = minimalEnv()
	cmd.WaitDelay = time.Second // a child that keeps the pipe open
	out := &bounded{room: make([]byte, 0, maxSecret)}
	cmd.Stdout = out
	err := cmd.Run()
	if err == nil {
		return out.room, nil
	}
	clear(out.room)
	switch {
	case out.over:
		return nil, fmt.Errorf("wrote more than %d bytes", maxSecret)
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return nil, exec.ErrNotFound
	}
	return nil, err
}

func minimalEnv() []string {
	env := []string{}
	for _, name := range commandEnv {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// bounded takes what fits into room, which never grows and so never leaves a
// copy behind, and then ends the copying.
type bounded struct {
	room []byte
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.over = b.over || len(b.room)+len(p) > cap(b.room); b.over {
		return 0, io.ErrShortBuffer
	}
	b.room = append(b.room, p...)
	return len(p), nil
}
