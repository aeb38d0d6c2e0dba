package mailtool

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"mime/quotedprintable"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// A built message is fixed but for its stamp and signature, which are the moment's.
type built struct {
	from      string
	rcpts     []string // the envelope's: To, Cc and Bcc, as declared
	external  int      // of them, how many a person must be asked about
	messageID string
	signature []byte       // header lines, made when it is sent
	stamp     []byte       // the lines Date and Message-ID
	rest      []byte       // all other header lines, and the body
	digest    string       // of envelope and rest
	before    func() error // is asked before DATA, each time; nil is yes

	parts parts
}

func (b *built) signed() []byte { return bytes.Join([][]byte{b.signature, b.stamp, b.rest}, nil) }

func (b *built) receipt() Receipt {
	return Receipt{MessageID: b.messageID, Recipients: len(b.rcpts), RecipientsHash: b.recipientsHash(), Digest: b.digest}
}

// build makes a message that keeps to the policy, or says what is wrong with it.
func (c *Client) build(m Message) (*built, error) {
	p, err := c.check(m)
	if err != nil {
		return nil, err
	}
	b := &built{from: c.o.From, parts: p, messageID: "<" + strings.ToLower(rand.Text()) + "@" + c.o.Domain + ">"}
	for _, list := range [][]address{p.to, p.cc, p.bcc} {
		for _, a := range list {
			b.rcpts = append(b.rcpts, a.String())
			if !c.policy.internal.match(a) {
				b.external++
			}
		}
	}
	c.stamp(b)
	b.rest = c.write(p)
	b.digest = b.sum()
	switch {
	case !canonical(b.signed()):
		return nil, errForm
	case len(b.signed()) > c.o.MaxBytes:
		return nil, errSize(c.o.MaxBytes)
	}
	return b, nil
}

// stamp writes the lines that are the moment's.
func (c *Client) stamp(b *built) {
	b.stamp = []byte("Date: " + c.now().UTC().Format(time.RFC1123Z) + "\r\nMessage-ID: " + b.messageID + "\r\n")
}

// The boundaries cannot be in what they bound: quoted-printable writes = as =3D, and
// base64 has no _ (RFC 2045, 6.7).
const (
	mixed       = "=_mixed"
	alternative = "=_alternative"
)

// A writer writes header fields and parts whose values were checked.
type writer struct{ bytes.Buffer }

// write writes all but the stamp.
func (c *Client) write(p parts) []byte {
	w := &writer{}
	w.field("From", from(c.o.FromName, c.o.From))
	w.addresses("To", p.to)
	w.addresses("Cc", p.cc)
	w.field("Reply-To", p.replyTo)
	w.field("Subject", encoded(p.subject))
	w.field("In-Reply-To", p.inReplyTo)
	w.field("References", strings.Join(p.references, "\r\n "))
	if p.unsubscribe != "" {
		w.field("List-Unsubscribe", "<"+p.unsubscribe+">")
		w.field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
	w.field("MIME-Version", "1.0")
	if len(p.files) == 0 {
		w.content(p)
		return w.Bytes()
	}
	w.field("Content-Type", "multipart/mixed; boundary=\""+mixed+"\"")
	w.WriteString("\r\n--" + mixed + "\r\n")
	w.content(p)
	for _, f := range p.files {
		w.WriteString("\r\n--" + mixed + "\r\n")
		w.file(f)
	}
	w.WriteString("\r\n--" + mixed + "--\r\n")
	return w.Bytes()
}

func (w *writer) content(p parts) {
	if p.html == "" {
		w.text("plain", p.text)
		return
	}
	w.field("Content-Type", "multipart/alternative; boundary=\""+alternative+"\"")
	w.WriteString("\r\n--" + alternative + "\r\n")
	w.text("plain", p.text)
	w.WriteString("\r\n--" + alternative + "\r\n")
	w.text("html", p.html)
	w.WriteString("\r\n--" + alternative + "--\r\n")
}

func (w *writer) text(kind, s string) {
	w.field("Content-Type", "text/"+kind+"; charset=utf-8")
	w.field("Content-Transfer-Encoding", "quoted-printable")
	w.WriteString("\r\n")
	q := quotedprintable.NewWriter(w) // which ends lines with CRLF, whatever they ended with
	_, _ = q.Write([]byte(s))         // a bytes.Buffer has no errors
	_ = q.Close()
	if !bytes.HasSuffix(w.Bytes(), []byte("\r\n")) {
		w.WriteString("\r\n")
	}
}

func (w *writer) file(f file) {
	w.field("Content-Type", f.kind)
	w.field("Content-Transfer-Encoding", "base64")
	w.field("Content-Disposition", disposition(f.name))
	w.WriteString("\r\n")
	const width = 76
	for text := base64.StdEncoding.EncodeToString(f.data); len(text) > 0; {
		n := min(width, len(text))
		w.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
}

// field writes a header field, if it has a value. Names are constants.
func (w *writer) field(name, value string) {
	if value != "" {
		w.WriteString(name + ": " + value + "\r\n")
	}
}

func (w *writer) addresses(name string, as []address) {
	list := make([]string, len(as))
	for i, a := range as {
		list[i] = a.String()
	}
	w.field(name, strings.Join(list, ",\r\n "))
}

// from writes a name in quotes, or as words that nobody reads anything else in.
func from(name, address string) string {
	switch {
	case name == "":
		return address
	case plainName().MatchString(name):
		return `"` + name + `" <` + address + ">"
	}
	return words(name) + " <" + address + ">"
}

var plainName = lazy.Regexp(`^[A-Za-z0-9 .,'&()-]{1,60}$`)

// encoded is a text in a header: as it is if that is ASCII in which no reader finds
// an encoded word.
func encoded(s string) string {
	if strings.Contains(s, "=?") || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) || strings.TrimSpace(s) != s {
		return words(s)
	}
	return s
}

// words writes a text as encoded words of whole characters (RFC 2047).
func words(s string) string {
	const most = 45 // bytes, 60 of base64, so that a word has less than 75
	var out []string
	for len(s) > 0 {
		n := min(most, len(s))
		for n < len(s) && !utf8.RuneStart(s[n]) {
			n--
		}
		out = append(out, "=?utf-8?B?"+base64.StdEncoding.EncodeToString([]byte(s[:n]))+"?=")
		s = s[n:]
	}
	return strings.Join(out, "\r\n ")
}

// disposition names a file, for readers of RFC 2231 in its own letters.
func disposition(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r > '~' {
			return '_'
		}
		return r
	}, name)
	out := `attachment; filename="` + plain + `"`
	if plain != name {
		out += ";\r\n filename*=UTF-8''" + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	}
	return out
}
