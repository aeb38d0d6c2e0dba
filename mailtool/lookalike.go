package mailtool

import (
	"strings"
)

// letters are those that are taken for others. It is no complete list: it names what
// is used to deceive, and a person decides.
var letters = strings.NewReplacer("0", "o", "1", "l", "i", "l", "|", "l", "5", "s", "rn", "m", "vv", "w", "cl", "d", "-", "",
	"а", "a", "ɑ", "a", "à", "a", "á", "a", "â", "a", "ä", "a", "å", "a", "ã", "a", "ā", "a", "Ь", "b", "ь", "b", "с", "c", "ç", "c", "ԁ", "d", "е", "e", "é", "e", "è", "e", "ê", "e", "ë", "e",
	"ё", "e", "ē", "e", "ė", "e", "ģ", "g", "ɡ", "g", "һ", "h", "і", "l", "ı", "l", "í", "l", "ì", "l", "ï", "l", "î", "l", "ӏ", "l", "ł", "l", "ļ", "l", "ј", "j", "к", "k", "κ", "k", "м", "m",
	"ṃ", "m", "ñ", "n", "ń", "n", "η", "n", "п", "n", "о", "o", "ο", "o", "ö", "o", "ó", "o", "ò", "o", "ô", "o", "õ", "o", "ø", "o", "ō", "o", "р", "p", "ρ", "p", "ԛ", "q", "г", "r",
	"ѕ", "s", "ş", "s", "ś", "s", "š", "s", "т", "t", "τ", "t", "ţ", "t", "υ", "u", "ü", "u", "ú", "u", "ù", "u", "û", "u", "ν", "v", "ѵ", "v", "ԝ", "w", "ω", "w", "х", "x", "χ", "x",
	"у", "y", "ý", "y", "ÿ", "y", "γ", "y", "ž", "z", "ż", "z")

// looks is what a hasty reader sees of a domain.
func looks(domain string) string { return letters.Replace(strings.ToLower(readable(domain))) }

// known are the domains that the operator named.
func (c *Client) known() []string {
	_, own, _ := strings.Cut(c.o.From, "@")
	out := []string{own}
	for _, list := range []rules{c.policy.allow, c.policy.internal} {
		for _, r := range list {
			out = append(out, r.domain)
		}
	}
	return out
}

// lookalike returns the known domain for which one may be taken that is none.
func (c *Client) lookalike(domain string) string {
	like := ""
	for _, k := range c.known() {
		switch {
		case domain == k || strings.HasSuffix(domain, "."+k):
			return ""
		case looks(domain) == looks(k) || len(k) > 6 && oneEdit(domain, k) || strings.HasPrefix(domain, k+".") || strings.Contains(domain, "."+k+"."):
			like = k
		}
	}
	return like
}

// oneEdit reports whether a and b differ in one character that is another, is missing
// or is too many, or in two that are swapped.
func oneEdit(a, b string) bool {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	a, b = a[i:], b[i:]
	switch {
	case len(a) == len(b):
		return len(a) > 0 && (a[1:] == b[1:] || len(a) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:])
	case len(a) == len(b)+1:
		return a[1:] == b
	}
	return len(b) == len(a)+1 && a == b[1:]
}
