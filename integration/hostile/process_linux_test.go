package hostile

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A process is a server in a process of its own.
type process struct {
	hello
	*issuer
	dir             string
	secret, private string // which nobody must see, or nobody but alice
	pool            *x509.CertPool
	stdin           io.WriteCloser
	stdout          *bufio.Reader

	cmd     *exec.Cmd
	control io.Writer
	tells   *json.Decoder
	stderr  *lines

	mu    sync.Mutex // of the control, and of honest
	notes []string   // that alice has added
}

type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, kind string) *process {
	t.Helper()
	p := &process{issuer: newIssuer(t), dir: t.TempDir(), secret: rand.Text() + rand.Text(), private: "private" + rand.Text(), stderr: &lines{}}
	p.files(t)
	control, toChild, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromChild, tell, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(os.Args[0])
	p.cmd.ExtraFiles = []*os.File{control, tell}
	p.cmd.Env = append(os.Environ(), envKind+"="+kind, envDir+"="+p.dir, envIssuer+"="+p.URL, envSecret+"="+p.secret, envPrivate+"="+p.private)
	p.cmd.Stderr = p.stderr
	if kind == "stdio" {
		in, err1 := p.cmd.StdinPipe()
		out, err2 := p.cmd.StdoutPipe()
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		p.stdin, p.stdout = in, bufio.NewReaderSize(out, 1<<20)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	control.Close()
	tell.Close()
	p.control, p.tells = toChild, json.NewDecoder(fromChild)
	t.Cleanup(func() {
		toChild.Close() // which ends it
		if p.stdin != nil {
			p.stdin.Close()
		}
		defer time.AfterFunc(20*time.Second, func() { _ = p.cmd.Process.Kill() }).Stop()
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v: %s", err, p.stderr)
		}
		fromChild.Close()
	})
	if err := p.tells.Decode(&p.hello); err != nil {
		t.Fatalf("%v: %s", err, p.stderr)
	}
	return p
}

// files makes what the server finds on its disk.
func (p *process) files(t *testing.T) {
	t.Helper()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(p.dir, "root"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("root/guide.md", "# Guide")
	write("root/.env", p.private)
	write("outside.txt", p.private)
	if err := os.Symlink("../outside.txt", filepath.Join(p.dir, "root", "link.txt")); err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"orders.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err1 := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	private, err2 := x509.MarshalPKCS8PrivateKey(key)
	leaf, err3 := x509.ParseCertificate(der)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	p.pool = x509.NewCertPool()
	p.pool.AddCert(leaf)
	write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// held is what a process holds: by itself, and by its system.
type held struct {
	usage
	files, resident int // resident in bytes
}

func (h held) String() string {
	return fmt.Sprintf("%d goroutines, %d files, %d KiB of heap, %d KiB resident", h.Goroutines, h.files, h.Heap>>10, h.resident>>10)
}

func (p *process) holds(t *testing.T) held {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var h held
	if _, err := io.WriteString(p.control, "\n"); err != nil {
		t.Fatalf("the server is gone: %v: %s", err, p.stderr)
	}
	if err := p.tells.Decode(&h.usage); err != nil {
		t.Fatalf("the server is gone: %v: %s", err, p.stderr)
	}
	proc := "/proc/" + strconv.Itoa(p.cmd.Process.Pid)
	files, err1 := os.ReadDir(proc + "/fd")
	status, err2 := os.ReadFile(proc + "/status")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	h.files = len(files)
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	h.resident = kib << 10
	return h
}

// Bounds of what may remain of thousands of requests: tables of limits and
// counters, whose sizes are bounded themselves. 120 bytes of each request would be
// more.
const (
	maxHeap     = 2 << 20
	maxResident = 12 << 20
)

// recovers waits until the process holds what it held at first: it may take
// some time until the last connection is closed.
func (p *process) recovers(t *testing.T, first held) {
	t.Helper()
	var now held
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		now = p.holds(t)
		if now.Goroutines <= first.Goroutines && now.files <= first.files && now.Heap <= first.Heap+maxHeap && (racing || now.resident <= first.resident+maxResident) {
			t.Logf("%s: at first %s; at last %s", t.Name(), first, now)
			return
		}
	}
	t.Errorf("at first %s; at last %s", first, now)
}

// unharmed checks what must hold at the end: the changes are those that alice
// has made, and nothing that was written holds a secret.
func (p *process) unharmed(t *testing.T) {
	t.Helper()
	state, err := os.ReadFile(filepath.Join(p.dir, "state"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(string(state), "\n"), "\n")
	p.mu.Lock()
	defer p.mu.Unlock()
	if want := p.notes; !slices.Equal(slices.DeleteFunc(got, func(l string) bool { return l == "" }), want) {
		t.Errorf("the state is %q, and alice has added %q", got, want)
	}
	audit, err := os.Open(filepath.Join(p.dir, "audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer audit.Close()
	if _, err := mcpsec.VerifyAuditLog(audit, mcpsec.Secret{}); err != nil {
		t.Errorf("the audit log: %v", err)
	}
	for _, name := range []string{"audit.jsonl", "log"} {
		text, err := os.ReadFile(filepath.Join(p.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		// Of the log, errors of handlers are the purpose; passwords in them are not.
		for _, bad := range []string{p.secret, p.private, "Bearer ey", "fatal error"} {
			if i := bytes.Index(text, []byte(bad)); i >= 0 {
				t.Errorf("%s holds %q: %.300s", name, bad, text[max(0, i-200):])
			}
		}
	}
	if s := p.stderr.String(); s != "" {
		t.Errorf("on standard error: %s", s)
	}
}

// settled is what the process holds when two looks in a row agree.
func (p *process) settled(t *testing.T) held {
	t.Helper()
	before := p.holds(t)
	for range 100 {
		time.Sleep(50 * time.Millisecond)
		now := p.holds(t)
		if now.Goroutines == before.Goroutines && now.files == before.files {
			return now
		}
		before = now
	}
	t.Fatalf("the server does not settle: it holds %s", before)
	return before
}
