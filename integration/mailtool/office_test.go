package mailtool

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

const (
	user     = "orders"
	password = "q7canary-password"
	sender   = "orders@example.com"
)

// A letter is what a server was given.
type letter struct {
	from  string
	rcpts []string
	data  []byte
}

// An office is go-smtp's server.
type office struct {
	port int

	mu      sync.Mutex
	letters []letter
	conns   int
}

// authority makes a certificate for host, and who vouches for it.
var authority = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) { return certificate("localhost") })

func certificate(host string) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func newOffice(t testing.TB, change ...func(*smtp.Server)) *office {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &office{port: ln.Addr().(*net.TCPAddr).Port}
	cert, _ := authority()
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &clerk{o: o}, nil
	}))
	srv.Domain, srv.TLSConfig, srv.MaxMessageBytes, srv.MaxRecipients, srv.EnableSMTPUTF8 = "localhost", &tls.Config{Certificates: []tls.Certificate{cert}}, 20<<20, 100, true
	srv.ErrorLog = discard{}
	for _, f := range change {
		f(srv)
	}
	var listener net.Listener = counting{ln, o}
	if srv.Network == "tls" {
		listener = tls.NewListener(listener, srv.TLSConfig)
	}
	go func() { _ = srv.Serve(listener) }()
	t.Cleanup(func() { _ = srv.Close() })
	return o
}

type counting struct {
	net.Listener
	o *office
}

func (c counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	c.o.mu.Lock()
	defer c.o.mu.Unlock()
	c.o.conns++
	return conn, err
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

func (o *office) got() []letter {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]letter(nil), o.letters...)
}

// A clerk is one connection.
type clerk struct {
	o      *office
	known  bool
	letter letter
}

func (c *clerk) AuthMechanisms() []string { return []string{sasl.Plain} }

func (c *clerk) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, u, p string) error {
		if u != user || p != password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no " + p}
		}
		c.known = true
		return nil
	}), nil
}

func (c *clerk) Mail(from string, o *smtp.MailOptions) error {
	if !c.known {
		return errors.New("nobody is known")
	}
	if o.UTF8 {
		return errors.New("SMTPUTF8 is not needed")
	}
	c.letter = letter{from: from}
	return nil
}

func (c *clerk) Rcpt(to string, _ *smtp.RcptOptions) error {
	c.letter.rcpts = append(c.letter.rcpts, to)
	return nil
}

func (c *clerk) Data(r io.Reader) error {
	var err error
	if c.letter.data, err = io.ReadAll(r); err != nil {
		return err
	}
	c.o.mu.Lock()
	defer c.o.mu.Unlock()
	c.o.letters = append(c.o.letters, c.letter)
	return nil
}

func (c *clerk) Reset()        { c.letter = letter{} }
func (c *clerk) Logout() error { return nil }

// options are those of a client of a server on this machine.
func options(port int) mailtool.Options {
	_, pool := authority()
	return mailtool.Options{
		Host: "localhost", Port: port, RootCAs: pool, Username: user, Password: redact.NewSecret(password), From: sender, FromName: "Orders",
		Recipients: mailtool.Recipients{
			Allow: []string{"example.com", "*.partner.example", "ann@customer.example", "bücher.example"}, Deny: []string{"boss@example.com"},
			MaxPerMessage: 10, PerHour: 100_000, PerDay: 100_000, PerRecipient: 100_000,
		},
		Log: slog.New(slog.DiscardHandler), Timeout: 10 * time.Second,
	}
}

func newClient(t testing.TB, o mailtool.Options) *mailtool.Client {
	t.Helper()
	c, err := mailtool.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func hello(to ...string) mailtool.Message {
	return mailtool.Message{To: to, Subject: "Hello", Text: "Good day.\n"}
}

// split returns the header lines, unfolded, and the body.
func split(t testing.TB, data []byte) (fields []string, body []byte) {
	t.Helper()
	head, body, ok := bytes.Cut(data, []byte("\r\n\r\n"))
	if !ok {
		t.Fatalf("no end of the header in %q", data)
	}
	for _, line := range bytes.Split(head, []byte("\r\n")) {
		if len(fields) > 0 && (line[0] == ' ' || line[0] == '\t') {
			fields[len(fields)-1] += string(line)
			continue
		}
		fields = append(fields, string(line))
	}
	return fields, body
}
