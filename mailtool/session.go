package mailtool

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/mcpsec/mcpsec-go/internal/waive"
)

// A session is a connection on which messages can be sent, one after the other.
type session struct {
	raw    *meter
	c      *smtp.Client
	gate   *gate
	size   int // of the largest message that the server says it takes; 0 if it does not say
	used   int
	expiry *time.Timer // while it is idle
}

// maxAnswers bounds what a server may say in a login or for one message.
const maxAnswers = 256 << 10

// A meter is a connection on which a server cannot talk for ever.
type meter struct {
	net.Conn
	left int
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, &talkative{}
	}
	n, err := m.Conn.Read(p[:min(len(p), m.left)])
	m.left -= n
	return n, err
}

// bind lets a session's steps end with ctx: the library heeds none. It returns a
// function that reports whether ctx has not ended the connection.
func (s *session) bind(ctx context.Context) func() bool {
	if d, ok := ctx.Deadline(); ok {
		_ = s.raw.SetDeadline(d)
	}
	s.raw.left = maxAnswers
	return context.AfterFunc(ctx, func() { s.raw.Close() })
}

// dialAnew makes a session in place of an idle one: there are no more than the pool has
// places for, which the caller has one of.
func (c *Client) dialAnew(ctx context.Context) (*session, error) {
	idle, err := c.pool.take()
	if err != nil {
		return nil, err
	}
	if idle != nil {
		idle.quit()
	}
	return c.dial(ctx)
}

// dial makes a session: connected, with TLS, logged in.
func (c *Client) dial(ctx context.Context) (*session, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(c.o.Host, strconv.Itoa(c.o.Port)))
	if err != nil {
		return nil, &fault{"connecting", err}
	}
	s := &session{raw: &meter{Conn: raw}}
	unbind := s.bind(ctx)
	if err := c.login(ctx, s); err != nil {
		unbind()
		raw.Close()
		return nil, err
	}
	if !unbind() {
		return nil, &fault{"connecting", context.Cause(ctx)}
	}
	return s, nil
}

func (c *Client) login(ctx context.Context, s *session) error {
	tlsConfig := &tls.Config{ServerName: c.o.Host, RootCAs: c.o.RootCAs, MinVersion: tls.VersionTLS12}
	var conn net.Conn = s.raw
	if c.o.ImplicitTLS {
		t := tls.Client(s.raw, tlsConfig)
		if err := t.HandshakeContext(ctx); err != nil {
			return failed("TLS", err)
		}
		conn = t
	}
	var err error
	if s.c, err = smtp.NewClient(conn, c.o.Host); err != nil {
		return failed("greeting", err)
	}
	s.c.SkipSMTPUTF8(true) // no address needs it, and the next server on the way may not have it
	if err := s.c.Hello(c.o.Domain); err != nil {
		return failed("EHLO", err)
	}
	if !c.o.ImplicitTLS && !c.o.waived(waive.PlaintextMail) {
		if ok, _ := s.c.Extension("STARTTLS"); !ok {
			return &unmet{"it offers no STARTTLS, or somebody on the way has taken it out"}
		}
		if err := s.c.StartTLS(tlsConfig); err != nil {
			return failed("STARTTLS", err)
		}
	}
	if err := c.auth(s); err != nil {
		return err
	}
	_, size := s.c.Extension("SIZE")
	if n, err := strconv.Atoi(size); err == nil && n > 0 {
		s.size = n
	}
	s.gate = &gate{w: s.c.Text.W, allows: c.policy.allows}
	s.c.Text.W = bufio.NewWriter(s.gate)
	return nil
}

// auth logs in. That TLS is there is looked at here, too: the library sends passwords
// to this machine in the clear.
func (c *Client) auth(s *session) error {
	state, secure := s.c.TLSConnectionState()
	if secure = secure && state.HandshakeComplete && len(state.VerifiedChains) > 0; !secure && !c.o.waived(waive.PlaintextMail) {
		return &unmet{"the connection has no TLS"}
	}
	if c.o.Username == "" {
		return nil
	}
	if !secure {
		return &unmet{"a password is not sent in the clear"}
	}
	_, offered := s.c.Extension("AUTH")
	var a smtp.Auth
	switch ways := strings.Fields(strings.ToUpper(offered)); {
	case has(ways, "PLAIN"):
		a = smtp.PlainAuth("", c.o.Username, c.o.Password.Reveal(), c.o.Host, false)
	case has(ways, "LOGIN"):
		a = smtp.LoginAuth(c.o.Username, c.o.Password.Reveal(), c.o.Host, false)
	default:
		return &unmet{"it offers neither AUTH PLAIN nor AUTH LOGIN"}
	}
	return failed("AUTH", s.c.Auth(a))
}

func has(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// send hands one message over. With an error, gate.over says whether it may have been
// sent.
func (s *session) send(b *built) error {
	s.gate.expect(b)
	s.used++
	if s.size > 0 && len(b.signed()) > s.size {
		return &unmet{fmt.Sprintf("it takes messages of at most %d bytes", s.size)}
	}
	if err := s.c.Mail("<" + b.from + ">"); err != nil {
		return failed("MAIL", err)
	}
	for i, r := range b.rcpts {
		if err := s.c.Rcpt("<" + r + ">"); err != nil {
			return failed(fmt.Sprintf("RCPT %d of %d", i+1, len(b.rcpts)), err)
		}
	}
	w, err := s.c.Data()
	if err != nil {
		s.gate.expect(nil)
		return failed("DATA", err)
	}
	if _, err := w.Write(b.signed()); err != nil {
		return failed("content", err) // without the final dot: Close would send it
	}
	return failed("content", w.Close())
}

// unknown reports whether a message may have been sent, of whose sending err came.
func (s *session) unknown(err error) bool {
	var said *refusal
	return err != nil && s.gate.over && !(errors.As(err, &said) && said.code >= 400)
}

// quit ends a session that is not needed any more, without waiting for an answer.
func (s *session) quit() {
	_ = s.raw.SetDeadline(time.Now().Add(time.Second))
	_ = s.c.Text.PrintfLine("QUIT")
	_ = s.c.Close()
	_ = s.raw.Close()
}
