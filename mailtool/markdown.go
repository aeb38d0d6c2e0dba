package mailtool

import (
	"bytes"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"golang.org/x/net/html"
)

// The time for the worst markdown grows with the square of its length, and so does the
// HTML of a table, whose rows are filled up to the width of its head.
const (
	maxMarkdown = 16 << 10 // bytes
	maxColumns  = 20       // | in a line
)

// converter knows CommonMark, tables and strikethrough. HTML in the source is left out.
var converter = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough))

// markdownPolicy is what of the converter's HTML may be in a mail: no picture, nothing
// that loads, and links by https and mailto.
var markdownPolicy = sync.OnceValue(func() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "strong", "em", "del", "code", "pre", "blockquote", "ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td")
	p.AllowAttrs("start").Matching(regexp.MustCompile(`^[0-9]{1,9}$`)).OnElements("ol")
	p.AllowAttrs("align").Matching(regexp.MustCompile(`^(left|center|right)$`)).OnElements("th", "td")
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("https", "mailto")
	p.RequireParseableURLs(true)
	p.RequireNoFollowOnLinks(true)
	p.RequireNoReferrerOnLinks(true)
	return p
})

// markdown makes HTML for a mail of CommonMark. What cannot be in a mail is left out:
// HTML, pictures, and links that are not https or mailto, whose text stays.
func markdown(src string) (string, error) {
	if len(src) > maxMarkdown {
		return "", refuse("markdown", "markdown must have at most %d bytes", maxMarkdown)
	}
	if !clean(strings.ReplaceAll(src, "\r\n", "\n")) {
		return "", refuse("markdown", "markdown holds invisible, bidirectional or control characters, or is not UTF-8")
	}
	for line := range strings.Lines(src) {
		if strings.Count(line, "|") > maxColumns {
			return "", refuse("markdown", "a line of markdown must have at most %d |", maxColumns)
		}
	}
	var b bytes.Buffer
	if err := converter.Convert([]byte(src), &b); err != nil {
		return "", fmt.Errorf("converting markdown: %w", err)
	}
	if b.Len() > maxRendered {
		return "", refuse("markdown", "what the markdown makes is longer than %d bytes", maxRendered)
	}
	return domains(nil).checkHTML(markdownPolicy().Sanitize(b.String()))
}

const maxRisks = 20

// risks tells what of a mail's HTML a person should look at twice before it is sent: a
// link whose text names another place than it leads to, one to an address or a name that
// can be mistaken, and text that is there and cannot be seen. It returns at most 20, of
// plain text, in which what comes from the mail is quoted.
func risks(s string) []string {
	var out []string
	z := html.NewTokenizer(strings.NewReader(s))
	href, label := "", ""
	for len(out) < maxRisks {
		switch z.Next() {
		case html.ErrorToken:
			return append(out, linkRisks(href, label)...)
		case html.TextToken:
			if len(label) < 500 {
				label += string(z.Text())
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			if tok.Data == "a" {
				out = append(out, linkRisks(href, label)...)
				href, label = attribute(tok, "href"), ""
			}
			if style := attribute(tok, "style"); unseen.MatchString(style) {
				out = append(out, fmt.Sprintf("%s has a style that can hide text", known(tok.Data)))
			}
			if src := attribute(tok, "src"); src != "" && !strings.HasPrefix(src, "cid:") {
				out = append(out, fmt.Sprintf("a picture is loaded from %s", quoted(host(src))))
			}
		case html.EndTagToken:
			if name, _ := z.TagName(); string(name) == "a" {
				out = append(out, linkRisks(href, label)...)
				href = ""
			}
		}
	}
	return out[:maxRisks]
}

var unseen = regexp.MustCompile(`(?i)display\s*:\s*none|visibility\s*:\s*hidden|(opacity|font-size|max-height|max-width|height|width)\s*:\s*0|position\s*:|text-indent\s*:\s*-`)

func attribute(tok html.Token, key string) string {
	for _, a := range tok.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func host(s string) string {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
}

// quoted is %+q of what fits on a line.
func quoted(s string) string {
	if len(s) > 100 {
		s = strings.ToValidUTF8(s[:100], "") + "..."
	}
	return fmt.Sprintf("%+q", s)
}

// named finds what reads like a place: a host with a dot, or an address.
var named = regexp.MustCompile(`(?i)(?:[\pL\pN](?:[\pL\pN-]*[\pL\pN])?\.)+\pL{2,63}`)

// linkRisks tells what is odd about one link.
func linkRisks(href, label string) []string {
	if href == "" {
		return nil
	}
	u, err := url.Parse(strings.TrimSpace(href))
	if err != nil {
		return []string{"a link that cannot be read"}
	}
	var out []string
	to := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if u.Scheme == "mailto" {
		to = strings.ToLower(u.Opaque[strings.LastIndexByte(u.Opaque, '@')+1:])
	}
	if n := strings.ToLower(named.FindString(label)); n != "" && n != to && n != strings.TrimPrefix(to, "www.") && to != strings.TrimPrefix(n, "www.") {
		out = append(out, fmt.Sprintf("the link's text names %s, and it leads to %s", quoted(n), quoted(to)))
	}
	if u.User != nil {
		out = append(out, fmt.Sprintf("a link has something before the @ that is not where it leads: %s", quoted(to)))
	}
	if _, err := netip.ParseAddr(to); err == nil {
		out = append(out, fmt.Sprintf("a link leads to a number: %s", quoted(to)))
	}
	if strings.Contains(to, "xn--") || strings.ContainsFunc(to, func(r rune) bool { return r > unicode.MaxASCII }) {
		out = append(out, fmt.Sprintf("a link leads to a name that can look like another: %s", quoted(to)))
	}
	return out
}
