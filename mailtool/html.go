package mailtool

import (
	"io"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// A document is HTML that does nothing but show text and links, written anew so that
// every reader reads the same.
type document struct {
	html, text string
	links      []link
}

var (
	elements = []atom.Atom{atom.A, atom.Abbr, atom.B, atom.Blockquote, atom.Body, atom.Br, atom.Caption, atom.Center, atom.Code, atom.Col, atom.Colgroup, atom.Dd, atom.Del, atom.Div, atom.Dl, atom.Dt,
		atom.Em, atom.Font, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Head, atom.Hr, atom.Html, atom.I, atom.Ins, atom.Kbd, atom.Li, atom.Ol, atom.P, atom.Pre, atom.Q, atom.S,
		atom.Small, atom.Span, atom.Strong, atom.Sub, atom.Sup, atom.Table, atom.Tbody, atom.Td, atom.Tfoot, atom.Th, atom.Thead, atom.Tr, atom.U, atom.Ul}
	inline   = []atom.Atom{atom.A, atom.Abbr, atom.B, atom.Code, atom.Del, atom.Em, atom.Font, atom.I, atom.Ins, atom.Kbd, atom.Q, atom.S, atom.Small, atom.Span, atom.Strong, atom.Sub, atom.Sup, atom.U}
	smaller  = []atom.Atom{atom.Small, atom.Sub, atom.Sup}
	headings = []atom.Atom{atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6}
	struck   = []atom.Atom{atom.Del, atom.S}
)

const (
	maxHTML   = 1 << 20
	maxInline = 20 // within each other
)

var (
	errHTML      = wrong("html", "html may have text, tables, lists and links only: no scripts, forms, frames, comments, pictures and style sheets, which act when the mail is opened or tell somebody that it was")
	errManyLinks = wrong("html", "html may have at most %d links", maxLinks)
	errStyle     = wrong("html", "html has a style that it may not have: there are %s, and beside them, of blocks and cells, %s. Text must be dark, backgrounds light, sizes in px",
		strings.Join(sortedKeys(lettering), " "), strings.Join(sortedKeys(boxes), " "))
	errNested = wrong("html", "html must have one reading: elements within a line are closed in order and hold text and each other, headings no headings, and the text of a table stands in its cells")
)

// readHTML reads HTML of a caller's.
func readHTML(s string) (document, error) {
	if len(s) > maxHTML || !clean(s) {
		return document{}, wrong("html", "html has invisible or control characters, is no UTF-8 or is too long")
	}
	r := htmlReader{}
	for z := html.NewTokenizer(strings.NewReader(s)); z.Next() != html.ErrorToken || z.Err() != io.EOF; {
		if err := r.token(z.Token()); err != nil {
			return document{}, err
		}
	}
	return r.document()
}

// An htmlReader reads tags and texts as they come.
type htmlReader struct {
	out, shown strings.Builder
	plain      strings.Builder // what is shown of no link
	links      []link
	open       []atom.Atom // the elements within a line, each in the one before
	heading    bool
}

func (r *htmlReader) token(t html.Token) (err error) {
	switch {
	case t.Type == html.DoctypeToken:
		return nil
	case t.Type == html.TextToken:
		r.show(t.Data)
	case t.Type != html.StartTagToken && t.Type != html.SelfClosingTagToken && t.Type != html.EndTagToken || !slices.Contains(elements, t.DataAtom):
		return errHTML
	case !slices.Contains(inline, t.DataAtom):
		r.shown.WriteString("\n")
		r.plain.WriteString("\n")
		err = r.block(t)
	case t.Type == html.EndTagToken:
		err = r.close(t.DataAtom)
	default:
		err = r.begin(t)
	}
	if err == nil && t.Type != html.TextToken {
		err = r.attributes(&t)
	}
	r.out.WriteString(t.String())
	return err
}

// show takes a text, which is a link's if one is open.
func (r *htmlReader) show(s string) {
	r.shown.WriteString(s)
	if !slices.Contains(r.open, atom.A) {
		r.plain.WriteString(s)
	} else if l := &r.links[len(r.links)-1]; len(l.text) < maxLinkText {
		l.text += s
	}
}

// block reads a tag that is not within a line: readers would close what is open there,
// and open it again in places of their own choice.
func (r *htmlReader) block(t html.Token) error {
	if len(r.open) > 0 && t.DataAtom != atom.Br {
		return errNested
	}
	if slices.Contains(headings, t.DataAtom) {
		if r.heading == (t.Type != html.EndTagToken) { // in one another they get smaller and smaller
			return errNested
		}
		r.heading = !r.heading
	}
	return nil
}

func (r *htmlReader) begin(t html.Token) error {
	small := 0
	for _, a := range r.open {
		if slices.Contains(smaller, a) {
			small++
		}
	}
	switch {
	case len(r.open) == maxInline, small == 1 && slices.Contains(smaller, t.DataAtom), t.DataAtom == atom.A && slices.Contains(r.open, atom.A):
		return errNested
	case slices.Contains(struck, t.DataAtom):
		r.shown.WriteString("[struck out: ")
	case t.DataAtom == atom.A:
		r.links = append(r.links, link{})
		if len(r.links) > maxLinks {
			return errManyLinks
		}
	}
	r.open = append(r.open, t.DataAtom)
	return nil
}

func (r *htmlReader) close(a atom.Atom) error {
	if len(r.open) == 0 || r.open[len(r.open)-1] != a {
		return errNested
	}
	r.open = r.open[:len(r.open)-1]
	if slices.Contains(struck, a) {
		r.shown.WriteString("]")
	}
	return nil
}

// attributes checks those of a tag, and leaves out what no reader shows.
func (r *htmlReader) attributes(t *html.Token) error {
	t.Attr = slices.DeleteFunc(t.Attr, func(a html.Attribute) bool { return a.Key == "class" })
	for _, a := range t.Attr {
		switch form, known := values[a.Key]; {
		case a.Namespace != "" || !known:
			return wrong("html", "html has an attribute that it may not have: it may have %s", strings.Join(sortedKeys(values), " "))
		case a.Key == "href":
			host, ok := target(a.Val)
			if !ok || t.DataAtom != atom.A {
				return wrong("html", "a link must lead to an https URL of ASCII or a mailto address")
			}
			l := &r.links[len(r.links)-1]
			l.host, l.long = host, len(a.Val)
		case a.Key == "title": // some readers show it under the mouse
			r.shown.WriteString(" [title: " + a.Val + "] ")
		case a.Key == "style":
			if !style(strings.ToLower(a.Val), slices.Contains(inline, t.DataAtom)) {
				return errStyle
			}
		case !form(strings.ToLower(strings.TrimSpace(a.Val))):
			return wrong("html", "html has a value of %s that it may not have: text must be dark, and backgrounds light", a.Key)
		}
	}
	return nil
}

func (r *htmlReader) document() (document, error) {
	d := document{html: r.out.String(), text: strings.TrimSpace(blank().ReplaceAllString(r.shown.String(), "\n"))}
	switch {
	case len(r.open) > 0 || r.heading || !inOrder(d.html):
		return document{}, errNested
	case gap(r.shown.String()):
		return document{}, wrong("html", "html has so many empty lines that nobody scrolls past them")
	case !clean(d.html): // references name characters, too
		return document{}, wrong("html", "html has invisible or control characters")
	}
	for _, l := range r.links {
		if l.host == "" {
			continue
		}
		l.odd = misleads(l)
		l.text = oneLine(l.text)
		d.links = append(d.links, l)
	}
	if d.links = append(d.links, textLinks(r.plain.String())...); len(d.links) > maxLinks {
		return document{}, errManyLinks
	}
	return d, nil
}

// inOrder reports whether readers show texts in the order in which they are written:
// what stands in a table and in no cell of it is moved before the table.
func inOrder(s string) bool {
	nodes, err := html.ParseFragment(strings.NewReader(s), &html.Node{Type: html.ElementNode, DataAtom: atom.Body, Data: "body"})
	if err != nil {
		return false
	}
	var parsed, written strings.Builder
	for _, top := range nodes {
		for n := range top.Descendants() {
			if n.Type == html.TextNode {
				parsed.WriteString(n.Data)
			}
		}
		if top.Type == html.TextNode {
			parsed.WriteString(top.Data)
		}
	}
	for z := html.NewTokenizer(strings.NewReader(s)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return strings.Join(strings.Fields(parsed.String()), "") == strings.Join(strings.Fields(written.String()), "")
		case html.TextToken:
			written.WriteString(z.Token().Data)
		}
	}
}

// gap reports whether a text has lines without end that are empty: a person who is asked
// does not see them, and a recipient does not read on behind them.
func gap(s string) bool {
	lines := 0
	for _, r := range s {
		if r == '\n' {
			lines++
		} else if !unicode.IsSpace(r) {
			lines = 0
		}
		if lines == 80 {
			return true
		}
	}
	return false
}

var blank = lazy.Regexp(`[ \t\r]*\n\s*`)

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
