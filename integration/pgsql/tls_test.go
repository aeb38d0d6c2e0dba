package pgsql

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := sign(t, template, template, a.key, a.key)
	var err error
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.file = filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// issue returns a certificate and its key for 127.0.0.1, as files in PEM.
func (a *authority) issue(t testing.TB) (cert, key []byte) {
	t.Helper()
	k := newKey(t)
	der := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, a.cert, k, a.key)
	pkcs, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs})
}

// start starts a server of the test's own.
func start(t testing.TB, o pgserver.Options) *pgserver.Server {
	t.Helper()
	server, err := pgserver.Start(t.Context(), o)
	if absent := new(pgserver.NotFoundError); errors.As(err, &absent) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca, other := newAuthority(t), newAuthority(t)
	cert, key := ca.issue(t)
	server := start(t, pgserver.Options{
		Settings: map[string]string{"ssl": "on", "ssl_cert_file": "server.crt", "ssl_key_file": "server.key"},
		Files:    map[string][]byte{"server.crt": cert, "server.key": key},
		HBA:      []string{"hostnossl all all all reject"},
	})
	plain, err := url.Parse(server.URL("postgres", ""))
	if err != nil {
		t.Fatal(err)
	}
	address := func(host string, query ...string) string {
		u := *plain
		u.Host = net.JoinHostPort(host, plain.Port())
		u.RawQuery = strings.Join(query, "&")
		return u.String()
	}
	for _, test := range []struct{ url, want string }{
		{address("127.0.0.1", "sslrootcert="+ca.file), ""},
		{address("127.0.0.1", "sslrootcert="+ca.file, "sslmode=verify-full"), ""},
		{address("localhost", "sslrootcert="+ca.file), "certificate is not for the host"},
		{address("127.0.0.1", "sslrootcert="+other.file), "not signed by a known authority"},
		{address("127.0.0.1"), "not signed by a known authority"},
		{address("127.0.0.1", "sslmode=disable"), "SQLSTATE 28000"},
		{address("127.0.0.1", "sslmode=require"), ""}, // on this machine nobody is in between
	} {
		db, err := pgtool.Open(t.Context(), pgtool.Options{
			URL: redact.NewSecret(test.url), Waive: []mcpsec.Waiver{insecure.OverprivilegedRole("test"), anySQL},
		})
		if err == nil {
			ssl := row(t, db, "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
			if !strings.HasPrefix(ssl, `[true,"TLSv1.`) {
				t.Errorf("%v: got %s", test.want, ssl)
			}
			db.Close()
		}
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
}

// TestRestart restarts the server between two calls.
func TestRestart(t *testing.T) {
	t.Parallel()
	server := start(t, pgserver.Options{})
	db, err := pgtool.Open(t.Context(), pgtool.Options{
		URL: redact.NewSecret(server.URL("postgres", "")), Waive: []mcpsec.Waiver{insecure.OverprivilegedRole("test"), anySQL},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	done := make(chan error)
	for range 4 { // at once, so that there are several connections
		go func() {
			_, err := db.ReadOnly(t.Context(), "SELECT pg_sleep(0.1)")
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	// One call may meet a dead connection; then all are given up.
	_, err = db.ReadOnly(t.Context(), "SELECT 1")
	if err != nil && !strings.Contains(err.Error(), "try again") {
		t.Errorf("got %v", err)
	}
	if got := row(t, db, "SELECT 2"); got != "[2]" {
		t.Errorf("got %s", got)
	}
}
