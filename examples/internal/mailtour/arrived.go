package mailtour

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/textproto"
	"os"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/examples/internal/mailbox"
	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
)

// A receipt is what mail_send and mail_preview say of a message.
type receipt struct {
	MessageID string `json:"message_id"`
	Digest    string `json:"digest"`
}

// send shows a letter, has it confirmed, and sends it.
func (g *Guide) send(ctx context.Context) error {
	g.P.Header()
	for _, st := range []tour.Step{verify, allowed, link, declined} {
		if _, err := g.do(ctx, step{Step: st}); err != nil {
			return err
		}
	}
	var answers [3]string
	var asked string
	for i, st := range []step{{preview, 0}, {send, 1}, {again, 0}} {
		var err error
		if answers[i], err = g.do(ctx, st); err != nil {
			return err
		}
		if i == 1 {
			asked = g.s.Asked()
		}
	}
	return g.compare(answers[0], asked, answers[1], answers[2])
}

// compare looks whether what was shown, asked about and sent is one message.
func (g *Guide) compare(shown, asked, sent, again string) error {
	var p, r receipt
	if err := errors.Join(json.Unmarshal([]byte(shown), &p), json.Unmarshal([]byte(sent), &r)); err != nil {
		return fmt.Errorf("reading a receipt: %w", err)
	}
	switch {
	case p.Digest == "" || p.Digest != r.Digest || !strings.Contains(asked, "[message "+r.Digest+"]"):
		return errors.New("what was shown, asked about and sent are not one message")
	case !strings.Contains(asked, canary):
		return errors.New("the person was not shown the text")
	case sent != again:
		return errors.New("an equal call got another receipt")
	}
	g.P.Good("Preview, question and receipt name one message: %s…", r.Digest[:16])
	g.P.Good("The second receipt is the first one, and the letter came once: %s", r.MessageID)
	g.id = r.MessageID
	return nil
}

// arrived shows the letter as its server has it, and checks it as a receiver does.
func (g *Guide) arrived(context.Context) error {
	l := g.last()
	m, err := l.Read()
	if err != nil {
		return fmt.Errorf("reading what arrived: %w", err)
	}
	g.P.Say("  MAIL FROM:<%s>", l.From)
	for _, to := range l.To {
		g.P.Say("  RCPT TO:<%s>", to)
	}
	for _, name := range []string{"From", "To", "Cc", "Subject", "Message-ID", "Content-Type"} {
		g.P.Say("  %s: %s", name, m.Header.Get(name))
	}
	if err := g.declared(l, m); err != nil {
		return err
	}
	g.P.Good("Envelope and header are what the person was asked about: nobody else got it, openly or not.")
	return g.signature(l, m)
}

// declared compares a letter with what was declared.
func (g *Guide) declared(l mailbox.Letter, m mailbox.Mail) error {
	host, _ := os.Hostname() // without one there is none to be told
	switch {
	case l.From != sender || !slices.Equal(l.To, []string{ann, desk}):
		return fmt.Errorf("the envelope is from %s to %s", l.From, l.To)
	case m.Header.Get("To") != ann || m.Header.Get("Cc") != desk || m.Header.Get("From") != `"The record shop" <`+sender+`>`:
		return errors.New("the header names others than the envelope")
	case len(m.Header["Bcc"]) > 0:
		return errors.New("there is a Bcc in the header")
	case m.Subject != subject || m.Text != lines(body):
		return fmt.Errorf("another letter arrived: %q", m.Text)
	case m.Header.Get("Message-ID") != g.id:
		return errors.New("the receipt names another letter")
	case len(host) > 3 && host != "localhost" && strings.Contains(string(l.Data), host):
		return errors.New("the letter tells the machine's name")
	}
	return nil
}

// lines ends lines with CRLF, as they are sent.
func lines(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

const record = selector + "._domainkey." + domain

// signature checks the letter's, and that no change gets through it.
func (g *Guide) signature(l mailbox.Letter, m mailbox.Mail) error {
	signed, err := g.key.Verify(l.Data, record, domain)
	if err != nil {
		return fmt.Errorf("the signature does not verify: %w", err)
	}
	times := map[string]int{}
	for _, name := range signed {
		times[textproto.CanonicalMIMEHeaderKey(name)]++
	}
	for name, n := range times {
		if is := len(m.Header[name]); n != is+1 {
			return fmt.Errorf("%s is there %d times, and signed %d times", name, is, n)
		}
	}
	g.P.Good("The DKIM signature of %s verifies. It signs %d fields once more often than they are there: none can be added.", domain, len(times))
	return g.tampered(string(l.Data))
}

func (g *Guide) tampered(data string) error {
	for _, c := range []struct{ what, changed string }{
		{"another price", strings.Replace(data, "19.50", "91.50", 1)},
		{"a second subject above the first", "Subject: Your account is locked\r\n" + data},
		{"a Reply-To to Eve", "Reply-To: " + eve + "\r\n" + data},
	} {
		if c.changed == data {
			return fmt.Errorf("there is nothing to change for %s", c.what)
		}
		_, err := g.key.Verify([]byte(c.changed), record, domain)
		if err == nil {
			return fmt.Errorf("with %s the signature still verifies", c.what)
		}
		g.P.Good("With %s it does not: %v", c.what, err)
	}
	return nil
}

// smuggling looks at the letter with the ends of a message in it.
func (g *Guide) smuggling(ctx context.Context) error {
	if err := g.each(ctx, attacks); err != nil {
		return err
	}
	l := g.last()
	m, err := l.Read()
	if err != nil {
		return fmt.Errorf("reading what arrived: %w", err)
	}
	if !slices.Equal(l.To, []string{ann, desk}) || m.Subject != subject || !strings.Contains(m.Text, "\r\n.\r\nMAIL FROM:<"+sender+">\r\nRCPT TO:<"+eve+">") || !strings.HasSuffix(m.Text, "Yours\r\n") {
		return fmt.Errorf("the text did not arrive as it was: %q", m.Text)
	}
	if data := string(l.Data); strings.Count(data, "\n") != strings.Count(data, "\r\n") || strings.Count(data, "\r") != strings.Count(data, "\r\n") {
		return errors.New("there is a CR or LF by itself, in which some server sees an end")
	}
	if slices.ContainsFunc(g.box.Letters(), func(l mailbox.Letter) bool { return slices.Contains(l.To, eve) }) {
		return errors.New("mail came to Eve")
	}
	g.P.Good("Of %d attacks none brought mail to Eve, and the last one is a letter with dots in it, to its end.", len(attacks))
	return nil
}

// trouble is what can be wrong with a server, or on the way to it.
func (g *Guide) trouble(ctx context.Context) error {
	g.P.Header()
	g.box.StripTLS(true)
	if _, err := g.do(ctx, stripped); err != nil {
		return err
	}
	g.box.StripTLS(false)
	g.box.ResetNext()
	text, err := g.do(ctx, lost)
	if err != nil {
		return err
	}
	m, err := g.last().Read()
	if err != nil {
		return fmt.Errorf("reading what arrived: %w", err)
	}
	if id := m.Header.Get("Message-ID"); id == "" || !strings.Contains(text, id) {
		return errors.New("the answer does not name the letter that arrived")
	}
	if _, err := g.do(ctx, lostAgain); err != nil {
		return err
	}
	heard := g.box.Heard()
	switch {
	case !strings.Contains(heard, "EHLO "+domain):
		return errors.New("nothing was heard on the way")
	case strings.Contains(heard, "AUTH PLAIN") || strings.Contains(heard, "MAIL FROM") || strings.Contains(heard, "19.50"):
		return errors.New("a password or a letter was to be read on the way")
	}
	g.P.Good("On the way were %d bytes to be read: EHLO, STARTTLS and what TLS makes of the rest.", len(heard))
	return nil
}
