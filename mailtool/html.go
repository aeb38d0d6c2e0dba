package mailtool

import (
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// A link is a place that a reader can be led to.
type link struct {
	host string // or the address of a mailto
	text string // what is shown of it
	odd  bool   // text names another host
}

// A document is HTML that does nothing but show text and links, written anew so that
// every reader reads the same.
type document struct {
	html, text string
	links      []link
}

var (
	elements = []atom.Atom{atom.A, atom.Abbr, atom.B, atom.Blockquote, atom.Body, atom.Br, atom.Caption, atom.Center, atom.Code, atom.Col, atom.Colgroup, atom.Dd, atom.Del, atom.Div, atom.Dl, atom.Dt,
		atom.Em, atom.Font, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Head, atom.Hr, atom.Html, atom.I, atom.Ins, atom.Kbd, atom.Li, atom.Mark, atom.Ol, atom.P, atom.Pre, atom.Q, atom.S,
		atom.Small, atom.Span, atom.Strong, atom.Sub, atom.Sup, atom.Table, atom.Tbody, atom.Td, atom.Tfoot, atom.Th, atom.Thead, atom.Tr, atom.U, atom.Ul}
	attributes = strings.Fields("align bgcolor border cellpadding cellspacing class color colspan dir face height href lang role rowspan size start style title valign width")
	inline     = []atom.Atom{atom.A, atom.Abbr, atom.B, atom.Code, atom.Del, atom.Em, atom.Font, atom.I, atom.Ins, atom.Kbd, atom.Mark, atom.S, atom.Small, atom.Span, atom.Strong, atom.Sub, atom.Sup, atom.U}
	styles     = regexp.MustCompile(`^[a-zA-Z0-9#%., :;!'"()-]*$`)
	fetching   = regexp.MustCompile(`(?i)url|expression|import|behavior|binding|attr|image-set`)
	hostLike   = regexp.MustCompile(`(?i)\b((?:[a-z0-9\x{80}-\x{10ffff}-]{1,63}\.)+[a-z\x{80}-\x{10ffff}][a-z0-9\x{80}-\x{10ffff}-]{1,62})\b`)
	webLink    = regexp.MustCompile(`(?i)\bhttps?://[^\s<>"]+`)
)

const (
	maxLinks = 50
	maxHTML  = 1 << 20
)

var errHTML = "html may have text, tables, lists and links only: no scripts, forms, frames, comments, pictures and style sheets, which act when the mail is opened or tell somebody that it was"

// readHTML reads HTML of a caller's.
func readHTML(s string) (document, error) {
	var d document
	if len(s) > maxHTML || !clean(s) {
		return d, wrong("html", "html has invisible or control characters, is no UTF-8 or is too long")
	}
	var out, shown strings.Builder
	open := -1 // index of the link that is open
	for z := html.NewTokenizer(strings.NewReader(s)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			if z.Err() != io.EOF {
				return d, wrong("html", "%s", errHTML)
			}
			break
		}
		t := z.Token()
		switch {
		case kind == html.DoctypeToken:
			continue
		case kind == html.CommentToken, kind != html.TextToken && !slices.Contains(elements, t.DataAtom):
			return d, wrong("html", "%s", errHTML)
		case kind == html.TextToken:
			shown.WriteString(t.Data)
			if open >= 0 {
				d.links[open].text += t.Data
			}
		case !slices.Contains(inline, t.DataAtom):
			shown.WriteString("\n")
		}
		if kind == html.StartTagToken || kind == html.SelfClosingTagToken {
			l, err := readTag(t)
			if err != nil {
				return d, err
			}
			if l != nil {
				d.links, open = append(d.links, *l), len(d.links)
			}
		} else if kind == html.EndTagToken && t.DataAtom == atom.A {
			open = -1
		}
		if len(d.links) > maxLinks {
			return d, wrong("html", "html may have at most %d links", maxLinks)
		}
		out.WriteString(t.String())
	}
	for i := range d.links {
		d.links[i].text = oneLine(d.links[i].text)
		d.links[i].odd = misleads(d.links[i])
	}
	d.html, d.text = out.String(), strings.TrimSpace(blank.ReplaceAllString(shown.String(), "\n"))
	return d, nil
}

var blank = regexp.MustCompile(`[ \t\r]*\n\s*`)

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// readTag checks attributes, and returns the link that a tag begins.
func readTag(t html.Token) (*link, error) {
	var l *link
	for _, a := range t.Attr {
		switch {
		case a.Namespace != "" || !slices.Contains(attributes, a.Key):
			return nil, wrong("html", "html has an attribute that it may not have: it may have %s", strings.Join(attributes, " "))
		case a.Key == "style" && (!styles.MatchString(a.Val) || fetching.MatchString(a.Val)):
			return nil, wrong("html", "html has a style that fetches something, or could")
		case a.Key == "href":
			host, ok := target(a.Val)
			if !ok || l != nil || t.DataAtom != atom.A {
				return nil, wrong("html", "a link must lead to an https URL of ASCII or a mailto address")
			}
			l = &link{host: host}
		}
	}
	return l, nil
}

// target says where a link leads to.
func target(href string) (string, bool) {
	for _, c := range []byte(href) {
		if c <= ' ' || c > '~' || c == '\\' {
			return "", false
		}
	}
	u, err := url.Parse(href)
	switch {
	case err != nil || len(href) > 2000:
		return "", false
	case u.Scheme == "mailto":
		a, err := parseAddress(u.Opaque)
		return a.String(), err == nil && u.RawQuery == ""
	}
	host, err := parseDomain(u.Hostname())
	return host, err == nil && u.Scheme == "https" && u.User == nil
}

// misleads reports whether a link's text names a host, and it leads to another.
func misleads(l link) bool {
	for _, m := range hostLike.FindAllString(l.text, -1) {
		host, err := parseDomain(m)
		if err != nil || host != l.host && !strings.HasSuffix(l.host, "@"+host) && "www."+host != l.host && host != "www."+l.host {
			return true
		}
	}
	return false
}

// textLinks are the links that readers find in plain text.
func textLinks(s string) []link {
	var out []link
	for _, m := range webLink.FindAllString(s, maxLinks) {
		l := link{host: "an unreadable place", text: m}
		if u, err := url.Parse(m); err == nil && u.Hostname() != "" {
			l.host = u.Hostname()
			if d, err := parseDomain(l.host); err == nil {
				l.host = d
			}
		}
		out = append(out, l)
	}
	return out
}
