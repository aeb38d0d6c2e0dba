package mailtool

import (
	"errors"
	"strings"

	"golang.org/x/net/idna"

	"github.com/mcpsec/mcpsec-go/internal/text"
)

// An address is one mailbox in the one spelling that is used everywhere: in lower
// case, with the domain in A-labels (RFC 5890). Servers that tell upper from lower
// case in local parts are not heard of, and two spellings of a mailbox would be two
// recipients.
type address struct{ local, domain string }

func (a address) String() string { return a.local + "@" + a.domain }

// base is the address without its subaddress (RFC 5233): bob of bob+tag.
func (a address) base() address {
	if local, _, ok := strings.Cut(a.local, "+"); ok && local != "" {
		a.local = local
	}
	return a
}

// RFC 5321, 4.5.3.1.
const (
	maxLocal   = 64
	maxAddress = 254
)

var (
	errAddress = errors.New("an address must be one bare mailbox, as in ann@example.com: ASCII before the @, without names, comments, quotes, lists and routes")
	errDomain  = errors.New("a domain must be a full name, as in example.com or münchen.example: no IP address, one spelling")
)

// parseAddress reads Local-part@Domain of RFC 5321, without quoted strings, address
// literals and what goes around it in headers. There is one way to read it, which is
// also any server's.
func parseAddress(s string) (address, error) {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || len(s) > 4*maxAddress || !dotAtom(local) {
		return address{}, errAddress
	}
	domain, err := parseDomain(domain)
	if err != nil {
		return address{}, err
	}
	if len(local)+1+len(domain) > maxAddress {
		return address{}, errAddress
	}
	return address{strings.ToLower(local), domain}, nil
}

// dotAtom reports whether s is a Dot-string (RFC 5321, 4.1.2). Of atext, % and ! are
// left out: some servers read a route in them. So is what some decode before they read
// it (=?, RFC 2047), and what others take for an option, a file or a program.
func dotAtom(s string) bool {
	if s == "" || len(s) > maxLocal || strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") || strings.Contains(s, "..") || strings.Contains(s, "=?") || strings.Contains("-/|", s[:1]) {
		return false
	}
	for _, c := range []byte(s) {
		if !alnum(c) && !strings.ContainsRune("!#$&'*+-/=?^_`{|}~."[1:], rune(c)) {
			return false
		}
	}
	return true
}

func alnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// parseDomain returns a domain's A-labels. What has more spellings than upper and
// lower case, such as full-width letters and other dots, is refused: a person would
// read one name, and a list hold another.
func parseDomain(s string) (string, error) {
	if len(s) > 4*maxAddress || text.FirstHidden(s) >= 0 {
		return "", errDomain
	}
	lower := strings.ToLower(s)
	ascii, err := idna.Lookup.ToASCII(lower)
	if err != nil || !hostName(ascii) {
		return "", errDomain
	}
	unicode, err := idna.Lookup.ToUnicode(ascii)
	if err != nil || lower != unicode && lower != ascii {
		return "", errDomain
	}
	return ascii, nil
}

// hostName reports whether s has at least two labels of letters, digits and hyphens,
// and a last one that no IP address has (RFC 1123, 2.1).
func hostName(s string) bool {
	labels := strings.Split(s, ".")
	if len(s) > 253 || len(labels) < 2 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for _, c := range []byte(l) {
			if !alnum(c) && c != '-' {
				return false
			}
		}
	}
	last := labels[len(labels)-1]
	return len(last) > 1 && (last[0] < '0' || last[0] > '9')
}

// readable is the form of a domain that people know, if it has another.
func readable(domain string) string {
	if u, err := idna.Lookup.ToUnicode(domain); err == nil {
		return u
	}
	return domain
}
