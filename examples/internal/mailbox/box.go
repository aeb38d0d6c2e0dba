// Package mailbox is an SMTP server in this process, for examples and their tests: with
// STARTTLS, passwords and an authority of its own, on a port of this machine. It keeps
// what it is given, listens to its own wire as whoever is on the way would, and can fail
// as servers do. It protects nothing by itself.
package mailbox

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// User is the only account of a [Box].
const User = "orders"

// A Box is a server that runs until Close. It is safe for concurrent use.
type Box struct {
	Port     int
	Password string // of User; PasswordPrefix and more
	CA       []byte // who vouches for its certificate, in PEM

	srv *smtp.Server

	mu      sync.Mutex
	letters []Letter
	heard   bytes.Buffer // on the wire, from clients
	conns   map[net.Conn]bool
	strip   bool
	reset   bool
	refuse  bool
}

// PasswordPrefix makes passwords easy to look for where they must not be.
const PasswordPrefix = "mailbox-"

// A Letter is what the server was given: an envelope and its content.
type Letter struct {
	From string
	To   []string
	Data []byte
}

// Host is where a [Box] listens, and what its certificate is of.
const Host = "127.0.0.1"

// Start starts a server on a free port.
func Start() (*Box, error) {
	cert, ca, err := certificate()
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", Host+":0")
	if err != nil {
		return nil, err
	}
	b := &Box{Port: ln.Addr().(*net.TCPAddr).Port, Password: PasswordPrefix + rand.Text(), CA: ca, conns: map[net.Conn]bool{}}
	b.srv = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{b: b, c: c}, nil }))
	b.srv.Domain, b.srv.TLSConfig, b.srv.ErrorLog = "mail.shop.example", &tls.Config{Certificates: []tls.Certificate{cert}}, silent{}
	b.srv.MaxMessageBytes, b.srv.MaxRecipients = 20<<20, 100
	go func() { _ = b.srv.Serve(listener{ln, b}) }() // whose end is Close
	return b, nil
}

// Close ends the server and its connections.
func (b *Box) Close() error { return b.srv.Close() }

// Letters are those that came.
func (b *Box) Letters() []Letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Letter(nil), b.letters...)
}

// Heard is all that came over the wire so far, as it can be read on the way: commands
// before TLS, and then what TLS makes of them.
func (b *Box) Heard() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.heard.String()
}

// StripTLS has somebody sit on the way from now on who takes STARTTLS out of what the
// server offers, or sit there no more. Connections that are there end.
func (b *Box) StripTLS(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.strip = on
	for c := range b.conns {
		_ = c.Close()
	}
}

// ResetNext has the server take the next letter and then, instead of saying so, reset
// the connection.
func (b *Box) ResetNext() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reset = true
}

// Refuse has the server take no recipient from now on, or take them again.
func (b *Box) Refuse(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = on
}

// keep keeps a letter, and reports whether its connection is to be reset.
func (b *Box) keep(l Letter) (reset bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.letters = append(b.letters, l)
	reset, b.reset = b.reset, false
	return reset
}

type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// A session is one connection, as the server's library sees it.
type session struct {
	b      *Box
	c      *smtp.Conn
	known  bool
	letter Letter
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if s.known = user == User && password == s.b.Password; !s.known {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if !s.known {
		return smtp.ErrAuthRequired
	}
	s.letter = Letter{From: from}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	if s.b.refuse {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "no mail today"}
	}
	s.letter.To = append(s.letter.To, to)
	return nil
}

func (s *session) Data(r io.Reader) (err error) {
	if s.letter.Data, err = io.ReadAll(r); err != nil {
		return err
	}
	if !s.b.keep(s.letter) {
		return nil
	}
	t, ok := s.c.Conn().(*tls.Conn)
	if !ok {
		return errors.New("the connection has no TLS")
	}
	return t.NetConn().(tap).abort()
}

func (s *session) Reset()        { s.letter = Letter{} }
func (s *session) Logout() error { return nil }
