package mcpsectest

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// SMTPOptions says what the mail server of a test accepts and offers.
type SMTPOptions struct {
	// Allow are the addresses that may get mail. ASCII letters are compared without
	// case; an internationalized domain is written as it is sent. Defaults to
	// nobody: every recipient fails the test.
	Allow []string
	// Bcc are the addresses of Allow that may be in an envelope although neither To
	// nor Cc names them. Defaults to nobody.
	Bcc []string
	// TLS says that connections begin with TLS, as on port 465. Defaults to
	// STARTTLS.
	TLS bool
	// NoSTARTTLS says that TLS is not offered, as when an attacker has removed the
	// offer: whoever goes on to log in or to send fails the test. Defaults to
	// STARTTLS being offered.
	NoSTARTTLS bool
}

// An SMTPServer is the mail server of one test: see [SMTP]. Its fields are for the
// server under test. It is safe for concurrent use.
type SMTPServer struct {
	Host     string // 127.0.0.1
	Port     string
	User     string
	Password string // made for this test
	CAFile   string // the authority of its certificate, PEM, in a directory of the test's

	allow, hidden map[string]bool
	starttls      bool
	listener      net.Listener
	tls           *tls.Config
	wg            sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]bool // nil once the test is over
	mails    []Mail
	room     int // bytes that more mails may have
	problems []string
	left     int // out of problems
	fault    Fault
}

// A Mail is one message that the server took.
type Mail struct {
	From string   // of the envelope
	To   []string // of the envelope, in the order in which they came
	Data []byte   // header and body, as sent, with lines that end in CRLF
}

// A Fault is what goes wrong with the next message, once: see [SMTPServer.Fail].
type Fault uint8

// What can go wrong.
const (
	Hang   Fault = 1 + iota // the message is taken, and never answered
	Reset                   // the message is taken, and the connection reset before the answer
	Refuse                  // the first recipient is refused for now: 451
)

// Bounds of what a server under test can make us keep.
const (
	maxMails    = 1000
	maxBytes    = 256 << 20 // of all mails
	maxConns    = 100
	maxProblems = 20
)

// SMTP starts the mail server of a test. It takes mail from whoever logs in as User
// with Password, by AUTH PLAIN or LOGIN, over TLS. When the test is over it stops, and
// reports with t.Errorf whatever was not as it should be: see the package's
// documentation.
func SMTP(t testing.TB, o SMTPOptions) *SMTPServer {
	t.Helper()
	ca, config, err := newCertificate(t.TempDir())
	if err != nil {
		t.Fatalf("mcpsectest: making a certificate: %v", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("mcpsectest: %v", err)
	}
	s := &SMTPServer{
		User: "canary", Password: rand.Text(), CAFile: ca,
		allow: set(o.Allow), hidden: set(o.Bcc), starttls: !o.NoSTARTTLS && !o.TLS,
		listener: l, tls: config, conns: map[net.Conn]bool{}, room: maxBytes,
	}
	s.Host, s.Port, _ = net.SplitHostPort(l.Addr().String())
	s.wg.Go(func() { s.accept(o.TLS) })
	t.Cleanup(func() {
		t.Helper()
		s.stop()
		for _, p := range s.report() {
			t.Errorf("mcpsectest: %s", p)
		}
	})
	return s
}

// Addr returns host and port.
func (s *SMTPServer) Addr() string { return net.JoinHostPort(s.Host, s.Port) }

// Mails returns the messages that the server has taken, in the order in which they
// came. A message is among them before its sender has an answer.
func (s *SMTPServer) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	mails := slices.Clone(s.mails)
	for i, m := range mails {
		mails[i].To, mails[i].Data = slices.Clone(m.To), slices.Clone(m.Data)
	}
	return mails
}

// Fail lets the fault happen to the next message, once. What the message is guilty of
// is reported all the same.
func (s *SMTPServer) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// fails reports whether it is time for one of the faults, and takes it.
func (s *SMTPServer) fails(faults ...Fault) (f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Contains(faults, s.fault) {
		f, s.fault = s.fault, 0
	}
	return f
}

// blame notes what the test will fail for.
func (s *SMTPServer) blame(format string, args ...any) {
	p := fmt.Sprintf(format, args...)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case slices.Contains(s.problems, p):
	case len(s.problems) >= maxProblems:
		s.left++
	default:
		s.problems = append(s.problems, p)
	}
}

func (s *SMTPServer) report() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left > 0 {
		return append(s.problems, fmt.Sprintf("and %d more", s.left))
	}
	return s.problems
}

func (s *SMTPServer) accept(implicit bool) {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // closed: the test is over
		}
		if !s.enter(conn) {
			_ = conn.Close()
			continue
		}
		s.wg.Go(func() {
			defer s.leave(conn)
			s.serve(conn, implicit)
		})
	}
}

func (s *SMTPServer) enter(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil || len(s.conns) >= maxConns {
		return false
	}
	s.conns[conn] = true
	return true
}

func (s *SMTPServer) leave(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// stop ends all connections, and waits for them.
func (s *SMTPServer) stop() {
	_ = s.listener.Close()
	s.mu.Lock()
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.conns = nil
	s.mu.Unlock()
	s.wg.Wait()
}

// keep takes a message. The test fails for one that there is no room for.
func (s *SMTPServer) keep(m Mail) bool {
	s.mu.Lock()
	full := len(s.mails) >= maxMails || len(m.Data) > s.room
	if !full {
		s.mails, s.room = append(s.mails, m), s.room-len(m.Data)
	}
	s.mu.Unlock()
	if full {
		s.blame("more messages came than a test keeps: %d, of %d bytes", maxMails, maxBytes)
	}
	return !full
}

func set(addresses []string) map[string]bool {
	m := map[string]bool{}
	for _, a := range addresses {
		m[fold(a)] = true
	}
	return m
}

// fold is an address with its ASCII letters in lower case. Others stay: that they
// would be one address is nothing that mail servers agree on.
func fold(address string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, address)
}
