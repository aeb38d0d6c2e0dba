package mcpsectest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Bounds of one connection.
const (
	maxLine       = 12288 // of AUTH, RFC 4954, section 4
	maxData       = 32 << 20
	maxRecipients = 1000
	maxCommands   = 100_000
)

// A session is one connection, RFC 5321.
type session struct {
	s    *SMTPServer
	raw  net.Conn // beneath TLS
	conn net.Conn
	in   *bufio.Reader

	secure, greeted, known bool // over TLS, after EHLO, after AUTH
	mail                   bool // after MAIL
	from                   string
	to                     []string // whom RCPT named, and was told 250
	refused                []string // and whom it was answered 451 for
}

var errEnd = errors.New("the session is over")

func (s *SMTPServer) serve(conn net.Conn, implicit bool) {
	c := &session{s: s, raw: conn, conn: conn, in: bufio.NewReaderSize(conn, maxLine)}
	if implicit && c.secured() != nil {
		return
	}
	err := c.reply("220 localhost ESMTP mcpsectest")
	for n := 0; err == nil && n < maxCommands; n++ {
		var line string
		if line, err = c.line(); err == nil {
			err = c.command(line)
		}
	}
}

func (c *session) reply(text string) error {
	_, err := io.WriteString(c.conn, text+"\r\n")
	return err
}

// line reads one line of a command. What another server would take for two, or for
// none, ends the session.
func (c *session) line() (string, error) {
	b, err := c.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", errors.Join(errEnd, c.reply("500 5.5.6 line too long"))
	}
	if err != nil {
		return "", err
	}
	text, ok := strings.CutSuffix(string(b), "\r\n")
	if !ok || strings.ContainsAny(text, "\r\x00") {
		c.s.blame("a command has a bare CR or LF, or NUL: another server reads it as two")
		return "", errors.Join(errEnd, c.reply("500 5.5.2 bare CR or LF"))
	}
	return text, nil
}

func (c *session) command(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "HELO":
		return c.greet(strings.ToUpper(verb))
	case "STARTTLS":
		return c.startTLS()
	case "AUTH":
		return c.auth(rest)
	case "MAIL":
		return c.mailFrom(rest)
	case "RCPT":
		return c.rcptTo(rest)
	case "DATA":
		return c.data()
	case "RSET":
		c.reset()
		return c.reply("250 2.0.0 ok")
	case "NOOP":
		return c.reply("250 2.0.0 ok")
	case "VRFY":
		return c.reply("252 2.5.0 cannot verify")
	case "QUIT":
		return errors.Join(errEnd, c.reply("221 2.0.0 bye"))
	}
	return c.reply("500 5.5.2 unknown command")
}

func (c *session) reset() { c.mail, c.from, c.to, c.refused = false, "", nil, nil }

func (c *session) greet(verb string) error {
	c.reset()
	c.greeted = true
	if verb == "HELO" {
		return c.reply("250 localhost")
	}
	lines := []string{"localhost", "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "SIZE " + strconv.Itoa(maxData)}
	if c.secure {
		lines = append(lines, "AUTH PLAIN LOGIN")
	} else if c.s.starttls {
		lines = append(lines, "STARTTLS")
	}
	last := len(lines) - 1
	return c.reply("250-" + strings.Join(lines[:last], "\r\n250-") + "\r\n250 " + lines[last])
}

func (c *session) startTLS() error {
	if c.secure || !c.s.starttls {
		return c.reply("502 5.5.1 not offered")
	}
	if c.in.Buffered() > 0 {
		c.s.blame("commands were sent in clear behind STARTTLS: another server reads them as sent over TLS")
		return errEnd
	}
	if err := c.reply("220 2.0.0 ready"); err != nil {
		return err
	}
	return c.secured()
}

// secured goes on over TLS, and forgets what was before: RFC 3207, section 4.2.
func (c *session) secured() error {
	conn := tls.Server(c.raw, c.s.tls)
	if err := conn.Handshake(); err != nil {
		return err
	}
	*c = session{s: c.s, raw: c.raw, conn: conn, in: bufio.NewReaderSize(conn, maxLine), secure: true}
	return nil
}

func (c *session) mailFrom(rest string) error {
	if !c.secure {
		c.s.blame("a message was begun over a connection without TLS: it can be read and changed on the way")
		return errors.Join(errEnd, c.reply("530 5.7.0 STARTTLS first"))
	}
	from, ok := path(rest, "FROM:")
	switch {
	case !c.known:
		return c.reply("530 5.7.0 authentication required")
	case c.mail:
		return c.reply("503 5.5.1 bad sequence of commands")
	case !ok:
		return c.reply("501 5.1.7 bad sender")
	}
	c.mail, c.from = true, from
	return c.reply("250 2.1.0 ok")
}

// rcptTo takes whoever is named, so that all of them are seen.
func (c *session) rcptTo(rest string) error {
	if !c.mail {
		return c.reply("503 5.5.1 bad sequence of commands")
	}
	to, ok := path(rest, "TO:")
	if !ok || to == "" {
		c.s.blame("a recipient cannot be read: %.200q", rest)
		return c.reply("501 5.1.3 bad recipient")
	}
	if !c.s.allow[fold(to)] {
		c.s.blame("the envelope has the recipient %.200q, who is not in Allow", to)
	}
	if len(c.to)+len(c.refused) >= maxRecipients {
		return c.reply("452 4.5.3 too many recipients")
	}
	if c.s.fails(Refuse) != 0 {
		c.refused = append(c.refused, to)
		return c.reply("451 4.3.0 try again later")
	}
	c.to = append(c.to, to)
	return c.reply("250 2.1.5 ok")
}

func (c *session) data() error {
	if len(c.to) == 0 {
		return c.reply("503 5.5.1 bad sequence of commands")
	}
	if err := c.reply("354 go on"); err != nil {
		return err
	}
	data, err := c.text()
	if err != nil {
		return err
	}
	m := Mail{From: c.from, To: slices.Clone(c.to), Data: data}
	c.s.judge(m, c.refused)
	c.reset()
	if !c.s.keep(m) {
		return c.reply("452 4.3.1 no room")
	}
	switch c.s.fails(Hang, Reset) {
	case Hang:
		_, err := io.CopyN(io.Discard, c.conn, maxData) // until somebody ends it
		return errors.Join(errEnd, err)
	case Reset:
		if tcp, ok := c.raw.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		return errors.Join(errEnd, c.raw.Close())
	}
	return c.reply("250 2.0.0 ok")
}

// text reads a message to the line with a dot, and nothing but that ends it.
func (c *session) text() ([]byte, error) {
	var data []byte
	for start := true; ; {
		b, err := c.in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if start && string(b) == ".\r\n" {
			break
		}
		if start && len(b) > 0 && b[0] == '.' {
			b = b[1:]
		}
		if len(data)+len(b) > maxData {
			c.s.blame("a message has more than %d bytes", maxData)
			return nil, errors.Join(errEnd, c.reply("552 5.3.4 too large"))
		}
		data = append(data, b...)
		start = bytes.HasSuffix(data, []byte("\r\n")) || len(data) == 0
	}
	rest := bytes.ReplaceAll(data, []byte("\r\n"), nil)
	if bytes.ContainsAny(rest, "\r\n") {
		c.s.blame("a message has a bare CR or LF: another server finds its end elsewhere")
		return nil, errors.Join(errEnd, c.reply("500 5.5.2 bare CR or LF"))
	}
	return data, nil
}

// path reads FROM:<address> or TO:<address>. What stands behind it is left unread.
func path(rest, name string) (string, bool) {
	if len(rest) < len(name) || !strings.EqualFold(rest[:len(name)], name) {
		return "", false
	}
	text, ok := strings.CutPrefix(strings.TrimLeft(rest[len(name):], " "), "<")
	address, after, closed := strings.Cut(text, ">")
	if !ok || !closed || after != "" && after[0] != ' ' || len(address) > 320 {
		return "", false
	}
	// Neither routes nor quoted local parts: they make another address of it.
	return address, address == "" || strings.Count(address, "@") == 1 && !strings.ContainsAny(address, " \t,:;\"()[]\\<")
}
