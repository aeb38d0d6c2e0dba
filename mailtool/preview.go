package mailtool

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A preview is what a person should know of a message before it is sent.
type preview struct {
	From        string       `json:"from"`
	Recipients  []recipient  `json:"recipients"`
	ReplyTo     string       `json:"reply_to"`
	Subject     string       `json:"subject"`
	Text        string       `json:"text"`
	HTMLText    string       `json:"html_text"`
	Links       []string     `json:"links"`
	Attachments []attachment `json:"attachments"`
	Risks       []string     `json:"risks"`
	Bytes       int          `json:"bytes"`
	Digest      string       `json:"digest"`
}

type recipient struct {
	Address  string `json:"address"`
	As       string `json:"as"` // to, cc or bcc
	External bool   `json:"external"`
	Confirm  bool   `json:"confirm"`
}

type attachment struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Bytes int    `json:"bytes"`
}

func previewTool(c *Client) *mcpsec.Tool {
	spec := c.spec("mail_preview", "Show a message as mail_send would send it, with what is risky about it. Sends nothing.", mcpsec.Read)
	spec.InputSchema, spec.MaxResult, spec.Narrow = c.schema(), 2<<20, "write a shorter message"
	return mcpsec.NewTool(spec, func(ctx context.Context, in sendIn) (preview, error) {
		b, err := c.build(in.message())
		if err != nil {
			return preview{}, err
		}
		return c.preview(b), c.suppressed(ctx, b)
	})
}

func (c *Client) preview(b *built) preview {
	p := b.parts
	out := preview{
		From: c.o.From, ReplyTo: p.replyTo, Subject: p.subject, Text: p.text, HTMLText: p.shown,
		Recipients: []recipient{}, Links: []string{}, Attachments: []attachment{}, Bytes: len(b.rest) + len(b.stamp), Digest: b.digest,
	}
	for _, l := range []struct {
		as   string
		list []address
	}{{"to", p.to}, {"cc", p.cc}, {"bcc", p.bcc}} {
		for _, a := range l.list {
			out.Recipients = append(out.Recipients, recipient{a.String(), l.as, c.external(a), !c.policy.internal.match(a)})
		}
	}
	for _, l := range p.links {
		if !slices.Contains(out.Links, l.host) {
			out.Links = append(out.Links, l.host)
		}
	}
	for _, f := range p.files {
		out.Attachments = append(out.Attachments, attachment{f.name, f.kind, len(f.data)})
	}
	out.Risks = c.risks(p)
	return out
}

// external reports whether an address is of another domain than the sender's, and
// nobody has said that it is internal.
func (c *Client) external(a address) bool {
	_, own, _ := strings.Cut(c.o.From, "@")
	return a.domain != own && !strings.HasSuffix(a.domain, "."+own) && !c.policy.internal.match(a)
}

// maxShownLink is how long a link may be without a note: what it carries is not shown.
const maxShownLink = 200

// risks says in words what a person may overlook.
func (c *Client) risks(p parts) []string {
	out := []string{}
	add := func(s string) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, a := range slices.Concat(p.to, p.cc, p.bcc) {
		if c.external(a) {
			add("goes outside, to " + a.domain)
		}
		c.domainRisk(a.domain, add)
	}
	for _, l := range p.links {
		if l.odd {
			add(fmt.Sprintf("a link shows %q and leads to %s", cut(l.text, 60), l.host))
		}
		if l.long > maxShownLink {
			add(fmt.Sprintf("a link to %s is %d characters long", l.host, l.long))
		}
		c.domainRisk(l.host[strings.LastIndexByte(l.host, '@')+1:], add)
	}
	for _, f := range p.files {
		add("has an attachment: " + f.name)
	}
	if p.html != "" && oneLine(p.shown) != oneLine(p.text) {
		add("its HTML does not say the same as its text")
	}
	return out
}

func (c *Client) domainRisk(domain string, add func(string)) {
	if like := c.lookalike(domain); like != "" {
		add(domain + " looks like " + like)
	}
	if u := readable(domain); u != domain {
		add(domain + " is written " + u)
	}
}

// maxQuestion leaves room for what other guards say.
const maxQuestion = 3600

// question is all of a message that a person decides on: of a long text the
// beginning, of all of it the digest.
func (c *Client) question(b *built) (string, error) {
	p := c.preview(b)
	var s strings.Builder
	fmt.Fprintf(&s, "sends mail from %s", p.From)
	as := ""
	for _, r := range p.Recipients {
		if sep := ", "; r.As != as {
			as, sep = r.As, " "
			s.WriteString("; " + as + sep + r.Address)
			continue
		}
		s.WriteString(", " + r.Address)
	}
	if p.ReplyTo != "" {
		s.WriteString("; answers go to " + p.ReplyTo)
	}
	if in := b.parts.inReplyTo; in != "" {
		s.WriteString("; in reply to " + in)
	}
	if len(b.parts.references) > 0 {
		s.WriteString("; refers to " + strings.Join(b.parts.references, " "))
	}
	fmt.Fprintf(&s, "; subject %q", p.Subject)
	for _, a := range p.Attachments {
		fmt.Fprintf(&s, "; attached %q, %d bytes", a.Name, a.Bytes)
	}
	if len(p.Links) > 0 {
		s.WriteString("; links to " + strings.Join(p.Links, ", "))
	}
	if len(p.Risks) > 0 {
		s.WriteString("; note: " + strings.Join(p.Risks, "; "))
	}
	end := " [message " + p.Digest + "]"
	left := maxQuestion - s.Len() - len(end)
	if left < 400 {
		return "", wrong("confirmation", "there is more to it than a person can be shown: fewer recipients, links or attachments in one message")
	}
	texts := []string{"; text " + quoted(p.Text, left/2)}
	if p.HTMLText != "" && oneLine(p.HTMLText) != oneLine(p.Text) {
		texts = append(texts, "; HTML shows "+quoted(p.HTMLText, left/2))
	} else {
		texts[0] = "; text " + quoted(p.Text, left)
	}
	return s.String() + strings.Join(texts, "") + end, nil
}

// quoted is a text as it reads, in at most max bytes.
func quoted(s string, max int) string {
	for n := min(len(s), max); ; n = n * 9 / 10 {
		t := cut(s, n)
		q := fmt.Sprintf("%q", t)
		if len(t) < len(s) {
			q += fmt.Sprintf(" and %d more characters", utf8.RuneCountInString(s[len(t):]))
		}
		if len(q) <= max-10 || n == 0 {
			return q
		}
	}
}

// cut is at most n bytes of s, of whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
