package proxies

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

const name = "mcp.example.com"

// A proxy is one that runs with the configuration of the documentation in front
// of two replicas.
type proxy struct {
	addr   string
	client *http.Client
}

// A site is where a proxy is set up: its directory, certificate and ports.
type site struct {
	dir, cert, key string
	port           string
	replicas       [2]string
	pool           *x509.CertPool
}

var kinds = map[string]func(*testing.T, *site) *exec.Cmd{"nginx": nginx, "caddy": caddy}

func nginx(t *testing.T, s *site) *exec.Cmd {
	conf := s.file(t, "nginx.conf", strings.NewReplacer(
		"worker_processes auto;", "daemon off;\nworker_processes 1;",
		"/run/nginx.pid", filepath.Join(s.dir, "pid"),
		"/var/log/nginx/error.log", filepath.Join(s.dir, "error.log"),
		"/var/log/nginx/access.log", filepath.Join(s.dir, "access.log"),
		"events {", "events {",
		"http {", "http {\n\tclient_body_temp_path "+s.dir+"/body;\n\tproxy_temp_path "+s.dir+"/proxy;\n\tfastcgi_temp_path "+s.dir+"/f;\n\tuwsgi_temp_path "+s.dir+"/u;\n\tscgi_temp_path "+s.dir+"/s;",
		"listen 443 ssl", "listen 127.0.0.1:"+s.port+" ssl",
		"/etc/ssl/mcp.example.com.pem", s.cert,
		"/etc/ssl/mcp.example.com.key", s.key,
		"127.0.0.1:8081", s.replicas[0],
		"127.0.0.1:8082", s.replicas[1],
	))
	return exec.Command(binary(t, "nginx"), "-e", filepath.Join(s.dir, "error.log"), "-c", conf)
}

func caddy(t *testing.T, s *site) *exec.Cmd {
	conf := s.file(t, "Caddyfile", strings.NewReplacer(
		"\nmcp.example.com {", "\n{\n\tadmin off\n\tauto_https off\n\tstorage file_system "+s.dir+"\n}\n\nhttps://mcp.example.com:"+s.port+" {\n\tbind 127.0.0.1\n\ttls "+s.cert+" "+s.key,
		"127.0.0.1:8081", s.replicas[0],
		"127.0.0.1:8082", s.replicas[1],
	))
	cmd := exec.Command(binary(t, "caddy"), "run", "--config", conf, "--adapter", "caddyfile")
	cmd.Env = append(os.Environ(), "HOME="+s.dir, "XDG_DATA_HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir)
	return cmd
}

func binary(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if _, err := os.Stat("/usr/sbin/" + name); err == nil {
			return "/usr/sbin/" + name
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// file writes a configuration of the documentation, with what is this machine's.
func (s *site) file(t *testing.T, name string, r *strings.Replacer) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations/" + name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(r.Replace(string(text))), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs a proxy of a kind until the test ends.
func start(t *testing.T, kind string, replicas [2]string) proxy {
	t.Helper()
	s := &site{dir: t.TempDir(), replicas: replicas, port: freePort(t)}
	s.certificate(t)
	cmd := kinds[kind](t, s)
	var out mcptest.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 5 * time.Second // for children that keep the pipe
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Signal(os.Interrupt); <-exited })
	p := proxy{addr: "127.0.0.1:" + s.port}
	for deadline := time.Now().Add(20 * time.Second); ; {
		conn, err := net.Dial("tcp", p.addr)
		if err == nil {
			conn.Close()
			break
		}
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("%s ended: %v\n%s", kind, err, out.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen\n%s", kind, out.String())
		}
	}
	p.client = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: s.pool, ServerName: name},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, p.addr)
		},
	}}
	t.Cleanup(p.client.CloseIdleConnections)
	return p
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

func (s *site) certificate(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s.cert, s.key, s.pool = filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem"), x509.NewCertPool()
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	s.pool.AppendCertsFromPEM(certPEM)
	for path, text := range map[string][]byte{s.cert: certPEM, s.key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk})} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

type none struct{}

type said struct {
	Text string `json:"text"`
}

// replica serves a tool that reports progress and then waits until the test has
// seen it.
func replica(t *testing.T, audit io.Writer, seen <-chan struct{}) string {
	t.Helper()
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "proxied", Version: "1"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(audit), Log: slog.DiscardHandler,
		Limits: mcpsec.Limits{MaxMessage: 8 << 20}, // so that the proxy's limit is what refuses
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "slow", Description: "For tests.", Effect: mcpsec.Read},
		func(ctx context.Context, _ none) (said, error) {
			mcpsec.Progress(ctx, 1, 2, "half")
			select {
			case <-seen:
				return said{"done"}, nil
			case <-ctx.Done():
				return said{}, ctx.Err()
			}
		}))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- srv.Serve(ctx, ln, mcpsec.HTTPOptions{
			BehindProxy: true, Hosts: []string{name},
			Verifier: func(_ context.Context, token string) (mcpsec.Principal, error) {
				if token != "good" {
					return mcpsec.Principal{}, mcpsec.ErrInvalidToken
				}
				return mcpsec.Principal{ID: "ada"}, nil
			},
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

const callSlow = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{},"_meta":{"progressToken":"p"}}}`

func (p proxy) post(t *testing.T, path, token, body string, change func(*http.Request)) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+name+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	if change != nil {
		change(r)
	}
	res, err := p.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

// Behind a proxy that is set up as the documentation says, progress arrives while
// the call runs, a client's address cannot be forged, foreign names are refused,
// and probes and large bodies stay outside.
func TestProxies(t *testing.T) {
	t.Parallel()
	for kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var audit mcptest.Buffer
			seen := make(chan struct{}, 1)
			p := start(t, kind, [2]string{replica(t, &audit, seen), replica(t, &audit, seen)})

			res := p.post(t, "/mcp", "good", callSlow, nil)
			if got := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || got != "text/event-stream" {
				t.Fatalf("status %d, %s", res.StatusCode, got)
			}
			br := bufio.NewReader(res.Body)
			wait(t, br, `"half"`)
			seen <- struct{}{}
			wait(t, br, `done`)

			res = p.post(t, "/mcp", "bad", callSlow, func(r *http.Request) { r.Header.Set("X-Forwarded-For", "203.0.113.7") })
			if res.StatusCode != http.StatusUnauthorized || !strings.Contains(audit.String(), `"remote":"127.0.0.1"`) || strings.Contains(audit.String(), "203.0.113.7") {
				t.Errorf("a forged address: status %d, recorded %s", res.StatusCode, audit.String())
			}
			if res = p.post(t, "/mcp", "good", callSlow, func(r *http.Request) { r.Host = "evil.example" }); res.StatusCode == http.StatusOK && res.Header.Get("Content-Type") != "" {
				t.Errorf("a foreign name: status %d", res.StatusCode)
			}
			for _, path := range []string{"/healthz", "/readyz"} {
				if res := p.post(t, path, "good", "", func(r *http.Request) { r.Method = http.MethodGet }); res.StatusCode != http.StatusNotFound {
					t.Errorf("%s: status %d", path, res.StatusCode)
				}
			}
			if res := p.post(t, "/mcp", "good", `{"x":"`+strings.Repeat("x", 3<<20)+`"}`, nil); res.StatusCode != http.StatusRequestEntityTooLarge && res.StatusCode != http.StatusBadGateway {
				t.Errorf("a large body: status %d", res.StatusCode) // 400: it has arrived; 502: Caddy cut it off while it passed it on
			}
		})
	}
}

func wait(t *testing.T, br *bufio.Reader, text string) {
	t.Helper()
	for {
		line, err := br.ReadString('\n')
		if strings.Contains(line, text) {
			return
		}
		if err != nil {
			t.Fatalf("waiting for %q: %v", text, err)
		}
	}
}

// A call that may have had its effect is not sent to the next replica.
func TestProxiesDoNotRepeat(t *testing.T) {
	t.Parallel()
	for kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var requests mcptest.Buffer
			p := start(t, kind, [2]string{dying(t, &requests), dying(t, &requests)})
			if res := p.post(t, "/mcp", "good", callSlow, nil); res.StatusCode < 500 {
				t.Errorf("status %d", res.StatusCode)
			}
			if got := strings.Count(requests.String(), "tools/call"); got != 1 {
				t.Errorf("%d replicas got the call", got)
			}
		})
	}
}

// dying is a replica that reads a call and dies of it. It is ready otherwise.
func dying(t *testing.T, requests io.Writer) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(requests, "%s\n", body)
		panic(http.ErrAbortHandler)
	})}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { srv.Close() })
	return ln.Addr().String()
}
