package mailtool

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// domains are where links may lead: "example.com", and "*.example.com" for what is
// below it. None is anywhere, by https.
type domains []string

func (d domains) check() error {
	for i, s := range d {
		if name, err := parseDomain(strings.TrimPrefix(s, "*.")); err != nil || !strings.HasSuffix(s, name) {
			return fmt.Errorf("TemplateOptions.Links[%d] must be as example.com or *.example.com, in lower case and ASCII", i)
		}
	}
	return nil
}

// has takes a host, or the address of a mailto.
func (d domains) has(host string) bool {
	host = strings.ToLower(host[strings.LastIndexByte(host, '@')+1:])
	return len(d) == 0 || slices.ContainsFunc(d, func(s string) bool {
		below, ok := strings.CutPrefix(s, "*")
		return host == s || ok && strings.HasSuffix(host, below)
	})
}

// checkHTML reads what a template has made, values included, as the HTML of any message
// is read, and refuses links that lead elsewhere.
func (d domains) checkHTML(s string) (document, error) {
	if strings.Contains(s, "ZgotmplZ") { // what html/template writes for a value that is not safe
		return document{}, wrong("html", "html: a value is not fit for the place that it is put in")
	}
	doc, err := readHTML(s)
	if err != nil {
		return document{}, err
	}
	if slices.ContainsFunc(doc.links, func(l link) bool { return !d.has(l.host) }) {
		return document{}, errLinks
	}
	return doc, nil
}

var (
	textLink = lazy.Regexp(`[A-Za-z][A-Za-z0-9+.-]*://[^\s<>"]*`)
	errLinks = wrong("link", "a link must be https or mailto, without credentials, to a host that the operator allows for links")
)

// checkText is checkHTML for text, in which mail programs find links: where Links are
// given, each URL must be of them.
func (d domains) checkText(s string) error {
	if len(d) == 0 {
		return nil
	}
	for _, found := range textLink().FindAllString(s, -1) {
		u, err := url.Parse(strings.TrimRight(found, `.,;:!?)]}'`))
		if err != nil || u.Scheme != "https" || u.User != nil || !d.has(u.Host) || strings.Contains(found, `\`) {
			return errLinks
		}
	}
	return nil
}

// linkRisks tells what of a template's links a person should look at twice.
func linkRisks(links []link) []string {
	out := []string{}
	for _, l := range links {
		if l.odd {
			out = append(out, fmt.Sprintf("a link shows %q and leads to %s", cut(l.text, 60), l.host))
		}
		if domain := l.host[strings.LastIndexByte(l.host, '@')+1:]; readable(domain) != domain {
			out = append(out, domain+" is written "+readable(domain))
		}
	}
	return out
}
