package mailtool

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/internal/text"
)

// parts is a message that was checked: nothing in it can be read as anything else.
type parts struct {
	to, cc, bcc []address
	replyTo     string
	subject     string
	text        string
	html        string
	shown       string // the text that html shows
	links       []link
	inReplyTo   string
	references  []string
	unsubscribe string
	files       []file
}

var (
	errForm     = errors.New("a message has not the form that it must have")
	messageID   = lazy.Regexp(`^<[A-Za-z0-9!#$%&'*+/=?^_{|}~.-]{1,200}@[A-Za-z0-9.-]{1,200}>$`)
	clickTarget = lazy.Regexp(`^https://[!#-;=?-~]+$`) // of ASCII, without quotes and angle brackets
)

const (
	maxSubject    = 250 // characters
	maxReferences = 20
)

func errSize(max int) error {
	return wrong("size", "the message is larger than %d bytes: write or attach less", max)
}

// check reads a message by the policy. Its errors name the part and never the value.
func (c *Client) check(m Message) (parts, error) {
	var p parts
	if err := c.readRecipients(&p, m); err != nil {
		return p, err
	}
	if err := c.readHeader(&p, m); err != nil {
		return p, err
	}
	if len(m.Text)+len(m.HTML) > c.o.MaxBytes {
		return p, errSize(c.o.MaxBytes)
	}
	if strings.TrimSpace(m.Text) == "" {
		return p, wrong("text", "text is required, beside html too")
	}
	if !clean(m.Text) {
		return p, wrong("text", "text has invisible or control characters, or is no UTF-8")
	}
	p.text = m.Text
	if m.HTML != "" {
		d, err := readHTML(m.HTML)
		if err != nil {
			return p, err
		}
		p.html, p.shown, p.links = d.html, d.text, d.links
	}
	inText := textLinks(m.Text)
	if len(inText) > maxLinks {
		return p, wrong("text", "text may have at most %d links", maxLinks)
	}
	p.links = append(p.links, inText...)
	var err error
	p.files, err = c.readFiles(m.Attachments)
	return p, err
}

func (c *Client) readRecipients(p *parts, m Message) error {
	if len(m.To) == 0 {
		return wrong("recipients", "to is required: one address at least")
	}
	if len(m.Bcc) > 0 && !c.o.Bcc {
		return wrong("recipients", "the operator allows no bcc: write to all openly")
	}
	if n := len(m.To) + len(m.Cc) + len(m.Bcc); n > c.policy.MaxPerMessage {
		return wrong("recipients", "a message may have at most %d recipients", c.policy.MaxPerMessage)
	}
	seen := map[address]bool{}
	for _, l := range []struct {
		name string
		from []string
		into *[]address
	}{{"to", m.To, &p.to}, {"cc", m.Cc, &p.cc}, {"bcc", m.Bcc, &p.bcc}} {
		for i, s := range l.from {
			a, err := parseAddress(s)
			if err == nil {
				err = c.policy.allows(a)
			}
			if err == nil && seen[a] {
				err = errors.New("it is named twice")
			}
			if err != nil {
				return wrong("recipients", "%s[%d] may not be written to: %s", l.name, i, err)
			}
			seen[a] = true
			*l.into = append(*l.into, a)
		}
	}
	return nil
}

func (c *Client) readHeader(p *parts, m Message) error {
	if m.ReplyTo != "" {
		a, err := parseAddress(m.ReplyTo)
		if err != nil || !slices.Contains(c.o.ReplyTo, a.String()) {
			return wrong("reply_to", "reply_to must be one of the addresses that the operator lists, see mail_list_recipients")
		}
		p.replyTo = a.String()
	}
	switch {
	case strings.TrimSpace(m.Subject) == "":
		return wrong("subject", "subject is required")
	case !clean(m.Subject) || strings.ContainsAny(m.Subject, "\r\n\t\u2028\u2029") || utf8.RuneCountInString(m.Subject) > maxSubject:
		return wrong("subject", "subject must be one line of at most %d characters, without invisible ones", maxSubject)
	case m.InReplyTo != "" && !messageID().MatchString(m.InReplyTo):
		return wrong("in_reply_to", "in_reply_to must be a Message-ID, as in <id@example.com>")
	case len(m.References) > maxReferences || slices.ContainsFunc(m.References, func(s string) bool { return !messageID().MatchString(s) }):
		return wrong("references", "references must be at most %d Message-IDs, as in <id@example.com>", maxReferences)
	}
	p.subject, p.inReplyTo, p.references = m.Subject, m.InReplyTo, m.References
	if m.Unsubscribe == "" {
		return nil
	}
	p.unsubscribe = m.Unsubscribe
	return checkUnsubscribe(m.Unsubscribe)
}

func checkUnsubscribe(link string) error {
	if u, err := url.Parse(link); err != nil || u.Host == "" || u.User != nil || len(link) > 900 || !clickTarget().MatchString(link) {
		return errors.New("Message.Unsubscribe must be an https URL of ASCII")
	}
	return nil
}

// clean reports whether a text is UTF-8 without what nobody sees.
func clean(s string) bool {
	_, hidden := text.Strip(s)
	return utf8.ValidString(s) && hidden == 0 && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '\t' && r != '\n' && r != '\r' && unicode.IsControl(r)
	})
}
