package mailtool

import (
	"errors"
	"fmt"
	"io"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// domains are where links may lead: "example.com", and "*.example.com" for what is
// below it. None is anywhere, by https.
type domains []string

var domainPattern = regexp.MustCompile(`^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$`)

func (d domains) check() error {
	for i, s := range d {
		if !domainPattern.MatchString(s) {
			return fmt.Errorf("TemplateOptions.Links[%d] must be as example.com or *.example.com, in lower case and ASCII", i)
		}
	}
	return nil
}

func (d domains) has(host string) bool {
	host = strings.ToLower(host)
	return slices.ContainsFunc(d, func(s string) bool {
		below, ok := strings.CutPrefix(s, "*")
		return host == s || ok && strings.HasSuffix(host, below)
	})
}

// elements and attributes are what the HTML of a mail is made of. There is no script,
// form, frame or picture of vectors, nothing that loads, and no handler of events.
var (
	elements = set("html head title meta style body div span p br hr h1 h2 h3 h4 h5 h6 b i u s strong em small sub sup del ins mark a img table caption colgroup col thead tbody tfoot tr td th " +
		"ul ol li dl dt dd blockquote pre code center font abbr address article section header footer main figure figcaption")
	attributes = set("href src alt title width height align valign bgcolor color border cellpadding cellspacing colspan rowspan scope style class id lang dir role start target rel charset name content face size type media")
	loads      = []string{"url(", "@import", "expression", "behavior", "-moz-binding", "image(", "image-set(", "src(", `\`, "/*", "<"}
)

func set(words string) map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		out[w] = true
	}
	return out
}

func notAllowed(format string, args ...any) error { return refuse("html", "html: "+format, args...) }

// checkHTML refuses HTML that holds anything else than elements and attributes, or a
// link that may not be. It is for what a template has made, values included. It returns
// what was read, written anew: a reader who reads otherwise (an attribute that comes
// twice, odd quotes) finds nothing that was not looked at.
func (d domains) checkHTML(s string) (string, error) {
	if strings.Contains(s, "ZgotmplZ") { // what html/template writes for a value that is not safe
		return "", notAllowed("a value is not fit for the place that it is put in")
	}
	var out strings.Builder
	style := false
	for z := html.NewTokenizer(strings.NewReader(s)); ; {
		kind := z.Next()
		if kind == html.ErrorToken {
			if err := z.Err(); !errors.Is(err, io.EOF) {
				return "", notAllowed("cannot be read")
			}
			return out.String(), nil
		}
		tok := z.Token()
		if err := d.checkToken(tok, style); err != nil {
			return "", err
		}
		if kind == html.TextToken && style {
			out.WriteString(tok.Data) // has no escapes
			continue
		}
		style = kind == html.StartTagToken && tok.Data == "style"
		out.WriteString(tok.String())
	}
}

func (d domains) checkToken(tok html.Token, style bool) error {
	switch tok.Type {
	case html.TextToken:
		if style && fetches(tok.Data) {
			return notAllowed("a style must not load anything, nor hold comments and escapes")
		}
		if !clean(tok.Data) {
			return notAllowed("invisible or bidirectional characters")
		}
	case html.StartTagToken, html.SelfClosingTagToken:
		if !elements[tok.Data] {
			return notAllowed("the element %s is not allowed", known(tok.Data))
		}
		return d.checkAttributes(tok)
	case html.EndTagToken:
		if !elements[tok.Data] {
			return notAllowed("the end of an element that is not allowed")
		}
	case html.CommentToken:
		return notAllowed("comments are not allowed")
	case html.DoctypeToken:
		if !strings.EqualFold(tok.Data, "html") {
			return notAllowed("the document type must be html")
		}
	}
	return nil
}

// known is a name as it may be told.
func known(name string) string {
	if !variableName.MatchString(name) {
		return "of that name"
	}
	return name
}

func fetches(css string) bool {
	css = strings.ToLower(css)
	return slices.ContainsFunc(loads, func(s string) bool { return strings.Contains(css, s) })
}

func (d domains) checkAttributes(tok html.Token) error {
	for _, a := range tok.Attr {
		switch {
		case !attributes[a.Key] && !strings.HasPrefix(a.Key, "aria-"):
			return notAllowed("the attribute %s of %s is not allowed", known(a.Key), tok.Data)
		case !clean(a.Val):
			return notAllowed("invisible or bidirectional characters in an attribute")
		case a.Key == "style" && fetches(a.Val):
			return notAllowed("a style must not load anything, nor hold comments and escapes")
		case a.Key == "href" && tok.Data != "a", a.Key == "src" && tok.Data != "img":
			return notAllowed("only a has href, and only img has src")
		case a.Key == "href":
			if err := d.checkLink(a.Val); err != nil {
				return err
			}
		case a.Key == "src" && !strings.HasPrefix(a.Val, "cid:") && (len(d) == 0 || !d.leads(a.Val)):
			return refuse("link", "html: a picture must be attached (cid:), or be of a host that Links allow")
		}
	}
	return nil
}

func (d domains) checkLink(s string) error {
	if strings.HasPrefix(s, "#") || d.mailto(s) || d.leads(s) {
		return nil
	}
	return refuse("link", "a link must be https or mailto, without credentials or port, to a host that Links allow")
}

// leads reports whether a URL is of https and goes where it may.
func (d domains) leads(s string) bool {
	u, err := url.Parse(s)
	if err != nil || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '\\' }) {
		return false // browsers take \ for /, and drop tabs and line ends
	}
	return u.Scheme == "https" && u.User == nil && u.Port() == "" && u.Opaque == "" && u.Hostname() != "" && (len(d) == 0 || d.has(u.Hostname()))
}

// mailto reports whether a URL writes to one address, and adds no recipients.
func (d domains) mailto(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "mailto" {
		return false
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return false
	}
	for k := range query {
		if k != "subject" && k != "body" {
			return false
		}
	}
	to, err := url.PathUnescape(u.Opaque)
	if err != nil {
		return false
	}
	a, err := mail.ParseAddress(to)
	if err != nil || a.Address != to {
		return false
	}
	return len(d) == 0 || d.has(to[strings.LastIndexByte(to, '@')+1:])
}

var textLink = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s<>"]*`)

// checkText is checkHTML for text, in which mail programs find links: where Links are
// given, each URL must be of them.
func (d domains) checkText(s string) error {
	if len(d) == 0 {
		return nil
	}
	for _, link := range textLink.FindAllString(s, -1) {
		if !d.leads(strings.TrimRight(link, `.,;:!?)]}'`)) {
			return refuse("link", "text: a link must be https, without credentials or port, to a host that Links allow")
		}
	}
	return nil
}
