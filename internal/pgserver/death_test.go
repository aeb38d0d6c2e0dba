//go:build unix

package pgserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// roleEnv makes this test program play a part in a test of another one.
const roleEnv = "PGSERVER_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "":
		os.Exit(m.Run())
	case "server":
		playServer()
	case "watched":
		playWatched()
	}
}

// playServer starts a server, says where it is and waits to be killed.
func playServer() {
	s, err := Start(context.Background(), Options{Settings: map[string]string{"max_connections": "10"}})
	if err != nil {
		fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Println(s.home.dir, fmt.Sprintf("127.0.0.1:%d", s.port))
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// playWatched lets watchUs guard a program that holds our standard output.
func playWatched() {
	cmd := exec.Command("sleep", "600")
	cmd.Stdout = os.Stdout
	if err := cmd.Start(); err != nil {
		fmt.Println("error", err)
		return
	}
	if _, err := watchUs(cmd.Process.Pid); err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// player runs this program in a role and returns its first line.
func player(t *testing.T, role string) (p *exec.Cmd, line string, out *bufio.Reader) {
	t.Helper()
	p = exec.Command(os.Args[0])
	p.Env = append(os.Environ(), roleEnv+"="+role)
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = p.Process.Kill(); _ = p.Wait() })
	out = bufio.NewReader(stdout)
	line, err = out.ReadString('\n')
	if err != nil || strings.HasPrefix(line, "error") {
		t.Fatalf("the %s program said %q, %v", role, line, err)
	}
	return p, strings.TrimSpace(line), out
}

func TestKilledParentTakesServerAlong(t *testing.T) {
	t.Parallel()
	if usualPlaces().installed() == "" {
		t.Skip("PostgreSQL is not installed")
	}
	p, line, _ := player(t, "server")
	dir, address, _ := strings.Cut(line, " ")
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.Wait() // it was killed; now it holds no lock any more
	waitRefused(t, address)
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("the directory of a killed program: %v", err)
	}
	sweep(filepath.Dir(dir))
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the next start leaves the directory there: %v", err)
	}
}

func waitRefused(t *testing.T, address string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", address)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			_ = conn.Close()
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("the server outlived its parent")
		}
	}
}

func TestWatchUs(t *testing.T) {
	t.Parallel()
	p, _, out := player(t, "watched")
	if err := p.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// The end of the output means that nobody holds it any more.
	if _, err := io.ReadAll(out); err != nil {
		t.Fatal(err)
	}
}

func TestSweepLeavesLiveServers(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	live := filepath.Join(parent, homePrefix+"live")
	foreign := filepath.Join(parent, homePrefix+"unlocked")
	for _, dir := range []string{live, foreign} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	lock, err := lockDir(live)
	if err != nil {
		t.Fatal(err)
	}
	sweep(parent)
	for _, dir := range []string{live, foreign} {
		if _, err := os.Stat(dir); err != nil {
			t.Errorf("sweep removed %s", dir)
		}
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	sweep(parent)
	if _, err := os.Stat(live); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("sweep left an abandoned directory: %v", err)
	}
}

// It changes the environment, so it does not run in parallel.
func TestCancelledStartLeavesNothing(t *testing.T) {
	p := usualPlaces()
	if p.installed() == "" {
		t.Skip("PostgreSQL is not installed")
	}
	p.getenv = env("", "")
	for _, after := range []time.Duration{0, 20, 100, 300, 500, 800} {
		// Not t.TempDir: a long path would send the server elsewhere.
		tmp, err := os.MkdirTemp("/tmp", "cancel")
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("TMPDIR", tmp)
		ctx, cancel := context.WithTimeout(t.Context(), after*time.Millisecond)
		s, err := start(ctx, Options{}, p)
		cancel()
		if err == nil {
			err = s.Stop()
		} else if errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
		if err != nil {
			t.Errorf("after %d ms: %v", after, err)
		}
		if err := os.Remove(tmp); err != nil {
			t.Errorf("after %d ms: something is left: %v", after, err)
		}
		if left := commandsWith(tmp); left != "" {
			t.Errorf("after %d ms: still running: %s", after, left)
		}
	}
}

// commandsWith lists running programs that mention text; Linux only.
func commandsWith(text string) string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range files {
		line, _ := os.ReadFile(name)
		if strings.Contains(string(line), text) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return strings.Join(found, "\n")
}

func running(pid int) bool { return syscall.Kill(pid, 0) == nil }
