package pgserver

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// settle finds an account that can run the programs, and makes its directory.
func (s *Server) settle(ctx context.Context, bin binaries) error {
	var failed []error
	for _, a := range accounts() {
		err := s.settleAs(ctx, a, bin)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		failed = append(failed, fmt.Errorf("as %s: %w", a.name, err))
	}
	return errors.Join(failed...)
}

func (s *Server) settleAs(ctx context.Context, a account, bin binaries) (err error) {
	h, err := newHome(a)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.remove())
		}
	}()
	// Another user cannot read our cache, so it gets a copy.
	if a.changed() && bin.own {
		if bin, err = copyFor(a, bin, filepath.Join(h.dir, "postgres")); err != nil {
			return err
		}
	}
	version, err := a.run(ctx, h.dir, program(bin.dir, "postgres"), "--version")
	if err != nil {
		return err
	}
	s.as, s.bin, s.home = a, bin.dir, h
	s.version, err = majorVersion(version)
	return err
}

func copyFor(a account, bin binaries, to string) (binaries, error) {
	if err := os.CopyFS(to, os.DirFS(filepath.Dir(bin.dir))); err != nil {
		return bin, fmt.Errorf("copying PostgreSQL for %s: %w", a.name, err)
	}
	if err := a.own(to); err != nil {
		return bin, fmt.Errorf("copying PostgreSQL for %s: %w", a.name, err)
	}
	return binaries{dir: filepath.Join(to, filepath.Base(bin.dir))}, nil
}

var versionLine = lazy.Regexp(`\(PostgreSQL\) ([0-9]+)`)

// majorVersion reads lines such as "postgres (PostgreSQL) 18beta1".
func majorVersion(line string) (int, error) {
	m := versionLine().FindStringSubmatch(line)
	if m == nil {
		return 0, fmt.Errorf("postgres --version said %q, which names no version", strings.TrimSpace(line))
	}
	return strconv.Atoi(m[1])
}

// initdb creates the data directory and its configuration.
func (s *Server) initdb(ctx context.Context, o Options) error {
	pwfile := s.home.data + ".pw"
	if err := s.home.put(s.as, pwfile, []byte(s.password)); err != nil {
		return err
	}
	_, err := s.as.run(ctx, s.home.dir, program(s.bin, "initdb"), "-D", s.home.data, "-U", Admin,
		"--pwfile="+pwfile, "--auth-local=trust", "--auth-host=scram-sha-256",
		"--no-sync", "-E", "UTF8", "--locale=C")
	if err != nil {
		return err
	}
	if err := os.Remove(pwfile); err != nil {
		return err
	}
	return s.configure(o)
}

func (s *Server) configure(o Options) error {
	conf, err := configText(o.Settings)
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"postgresql.auto.conf": conf, "pg_hba.conf": hbaText(o.HBA)} {
		// initdb made these files, so they have the right owner already.
		if err := os.WriteFile(filepath.Join(s.home.data, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for name, content := range o.Files {
		if filepath.Base(name) != name || !filepath.IsLocal(name) {
			return fmt.Errorf("file %q: only plain names are allowed", name)
		}
		if err := s.home.put(s.as, filepath.Join(s.home.data, name), content); err != nil {
			return err
		}
	}
	return nil
}

func hbaText(first []string) string {
	return strings.Join(first, "\n") + "\n" +
		"local all all trust\n" +
		"host all all 127.0.0.1/32 scram-sha-256\n"
}

var settingName = lazy.Regexp(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// configText is a configuration that is fast and forgetful, then the caller's
// settings.
func configText(settings map[string]string) (string, error) {
	all := map[string]string{
		"fsync":               "off",
		"full_page_writes":    "off",
		"shared_buffers":      "16MB",
		"password_encryption": "scram-sha-256",
	}
	maps.Copy(all, settings)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value := all[name]
		if !settingName().MatchString(name) || strings.ContainsAny(value, "\n\r\x00") {
			return "", fmt.Errorf("setting %q = %q cannot be written to a configuration file", name, value)
		}
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(value))
	}
	return b.String(), nil
}

// launchOnFreePort tries again when another program takes the port between our
// choice and the server's start. The caller holds s.mu.
func (s *Server) launchOnFreePort(ctx context.Context) error {
	const attempts = 5
	for attempt := 1; ; attempt++ {
		port, err := freePort()
		if err != nil {
			return err
		}
		s.port = port
		err = s.launch(ctx)
		if err == nil || attempt == attempts || !strings.Contains(err.Error(), "could not bind") {
			return err
		}
	}
}

// launch starts the server and waits until it takes connections. The caller
// holds s.mu.
func (s *Server) launch(ctx context.Context) error {
	log, err := os.Create(s.home.log)
	if err != nil {
		return err
	}
	defer log.Close() // the server has its own handle
	// The command line wins over all configuration files.
	cmd := exec.Command(program(s.bin, "postgres"), "-D", s.home.data,
		"-c", "listen_addresses=127.0.0.1", "-c", "port="+strconv.Itoa(s.port),
		"-c", "unix_socket_directories="+s.home.socket)
	cmd.Dir = s.home.dir
	cmd.Env = cleanEnv(os.Environ())
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = s.as.attr(dieQuickly)
	proc, err := spawn(cmd)
	if err != nil {
		return err
	}
	s.proc = proc
	return s.waitReady(ctx)
}

func (s *Server) waitReady(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.proc.done:
			out, _ := os.ReadFile(s.home.log) // without it the message is shorter
			return fmt.Errorf("the server ended while starting\n%s", tail(out))
		case <-tick.C:
			if s.ready() {
				return nil
			}
		}
	}
}

// ready reads the file where the server says which process it is, in the first
// line, and how far it has come, in the eighth.
func (s *Server) ready() bool {
	text, err := os.ReadFile(filepath.Join(s.home.data, "postmaster.pid"))
	if err != nil {
		return false
	}
	lines := strings.Split(string(text), "\n")
	return len(lines) > 7 && lines[0] == strconv.Itoa(s.proc.cmd.Process.Pid) &&
		strings.TrimSpace(lines[7]) == "ready"
}
