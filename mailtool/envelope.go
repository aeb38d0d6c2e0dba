package mailtool

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// An envelopeError says that what was about to be sent is not what was declared. It
// is never the caller's doing: something between has changed it.
type envelopeError struct{ what string }

func (e *envelopeError) Error() string { return "nothing was sent: " + e.what }

// A gate is the last step before the network, below the library that speaks the
// protocol: every byte after the login passes it, in the clear. It lets commands
// through that are known, DATA once, and only if the recipients that were named to the server
// since MAIL are those of the message, and behind it only the message's bytes. What
// it refuses ends the connection.
type gate struct {
	w       *bufio.Writer
	line    []byte   // of a command that is not complete
	from    string   // named to the server
	rcpts   []string // named to the server
	message *built
	content []byte // what is left to be sent behind DATA, with its final dot
	over    bool   // the final dot was given to the network: the message may be sent
	allows  func(address) error
}

// expect takes the one message that may pass.
func (g *gate) expect(b *built) { g.message, g.content, g.over = b, nil, false }

func (g *gate) Write(p []byte) (int, error) {
	if len(g.content) > 0 {
		return g.data(p)
	}
	for rest := p; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		g.line, rest = append(g.line, line...), after
		if !whole {
			if len(g.line) > 2048 {
				return 0, &envelopeError{"a command is too long"}
			}
			break
		}
		if err := g.command(strings.TrimSuffix(string(g.line), "\r")); err != nil {
			return 0, err
		}
		if _, err := g.w.Write(append(g.line, '\n')); err != nil {
			return 0, err
		}
		g.line = g.line[:0]
		if len(g.content) > 0 && len(rest) > 0 {
			return 0, &envelopeError{"content came with its command"}
		}
	}
	return len(p), g.w.Flush()
}

// data lets the message's bytes through, and no others.
func (g *gate) data(p []byte) (int, error) {
	if !bytes.HasPrefix(g.content, p) {
		return 0, &envelopeError{"the content is not the message's"}
	}
	g.content = g.content[len(p):]
	g.over = len(g.content) == 0
	if _, err := g.w.Write(p); err != nil {
		return 0, err
	}
	return len(p), g.w.Flush()
}

var (
	mailFrom = lazy.Regexp(`^MAIL FROM:<([^<> ]+)>( BODY=8BITMIME)?$`)
	rcptTo   = lazy.Regexp(`^RCPT TO:<([^<> ]+)>$`)
)

func (g *gate) command(line string) error {
	if m := mailFrom().FindStringSubmatch(line); m != nil {
		g.from, g.rcpts = m[1], nil
		return nil
	}
	if m := rcptTo().FindStringSubmatch(line); m != nil {
		g.rcpts = append(g.rcpts, m[1])
		return nil
	}
	switch line {
	case "RSET", "NOOP", "QUIT":
		g.from, g.rcpts = "", nil
		return nil
	case "DATA":
		if err := g.message.check(g.from, g.rcpts, g.allows); err != nil {
			return err
		}
		if before := g.message.before; before != nil {
			if err := before(); err != nil {
				return &heldBack{err}
			}
		}
		g.content, g.message = stuffed(g.message.signed()), nil // once
		return nil
	}
	return &envelopeError{"another command than there should be"}
}

// check is the assertion of the envelope: the server knows the declared recipients,
// all of them and no other, each may be written to, and the message is the one whose
// digest was confirmed.
func (b *built) check(from string, rcpts []string, allows func(address) error) error {
	if b == nil || from != b.from || !slices.Equal(sorted(rcpts), sorted(b.rcpts)) || len(rcpts) == 0 {
		return &envelopeError{"sender and recipients are not those of the message"}
	}
	for _, r := range rcpts {
		a, err := parseAddress(r)
		if err != nil || a.String() != r || allows(a) != nil {
			return &envelopeError{"a recipient may not be written to"}
		}
	}
	if subtle.ConstantTimeCompare([]byte(b.sum()), []byte(b.digest)) != 1 {
		return &envelopeError{"the message is not the one that was confirmed"}
	}
	if !stampForm().Match(b.stamp) || !signatureForm().Match(b.signature) || !canonical(b.signed()) {
		return &envelopeError{"the message has not the form that it must have"}
	}
	return nil
}

// What is beside the digest has a form in which nothing else fits.
var (
	stampForm     = lazy.Regexp(`^Date: [A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} \+0000\r\nMessage-ID: <[a-z2-7]{26}@[a-z0-9.-]+>\r\n$`)
	signatureForm = lazy.Regexp(`^(DKIM-Signature: [!-~ ]*\r\n([ \t][!-~ ]*\r\n)*)*$`)
)

// sum is the digest of envelope and message.
func (b *built) sum() string {
	h := sha256.New()
	h.Write([]byte("mailtool 1\n" + b.from + "\n" + strings.Join(sorted(b.rcpts), "\n") + "\n\n"))
	h.Write(b.rest)
	return hex.EncodeToString(h.Sum(nil))
}

// recipientsHash names a set of recipients in logs.
func (b *built) recipientsHash() string {
	h := sha256.Sum256([]byte(strings.Join(sorted(b.rcpts), "\n")))
	return hex.EncodeToString(h[:])
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// maxLine is the longest line without its end (RFC 5321, 4.5.3.1.6).
const maxLine = 998

// canonical reports whether a message is of ASCII lines that end with CRLF and hold
// no other CR, LF or NUL: then no server finds an end in it (CVE-2023-51764 and its
// like read one in LF . LF or CR LF . CR), and none has to change a byte.
func canonical(message []byte) bool {
	if !bytes.HasSuffix(message, []byte("\r\n")) || !bytes.Contains(message, []byte("\r\n\r\n")) {
		return false
	}
	for line := range bytes.SplitSeq(message[:len(message)-2], []byte("\r\n")) {
		if len(line) > maxLine {
			return false
		}
		for _, c := range line {
			if c < ' ' && c != '\t' || c > '~' {
				return false
			}
		}
	}
	return true
}

// stuffed is a message as it stands behind DATA (RFC 5321, 4.5.2).
func stuffed(message []byte) []byte {
	out := bytes.ReplaceAll(message, []byte("\r\n."), []byte("\r\n.."))
	if bytes.HasPrefix(out, []byte(".")) {
		out = append([]byte("."), out...)
	}
	return append(out, ".\r\n"...)
}
