// Package uritemplate reads URIs that a stranger wrote by templates that the
// developer wrote. A variable takes one path segment and nothing that could be
// read as more: its value is percent-decoded exactly once and then holds no
// separator, no control or hidden character, no second layer of escapes, and is
// not a run of dots. So it is safe as an element of a path or a key.
//
// It knows two of RFC 6570's expressions: {name} for a segment or a part of it,
// and {+name} at the end for all segments that are left.
package uritemplate

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/internal/text"
)

// MaxURI bounds a URI, in bytes.
const MaxURI = 2048

// A Template matches URIs. It is immutable.
type Template struct {
	text     string
	segments []segment
	vars     []string
}

// A segment is what stands between two slashes: a literal, or a variable with
// literals around it.
type segment struct {
	before, after string
	variable      string // empty: the segment is before
	rest          bool   // the variable takes all segments from here on
}

var (
	scheme  = lazy.Regexp(`^[a-z][a-z0-9+.-]*:`)
	varName = lazy.Regexp(`^[A-Za-z][A-Za-z0-9_]*$`)
	scripts = []string{"javascript:", "data:", "vbscript:"} // what a browser runs or shows instead of fetching
)

// CheckURI refuses what is not an absolute URI in plain ASCII (RFC 3986), or
// one that is a program or its own content.
func CheckURI(s string) error {
	if err := check(s); err != nil {
		return err
	}
	if _, err := url.Parse(s); err != nil {
		return errors.New("the URI does not parse") // the cause quotes it
	}
	return nil
}

func check(s string) error {
	lower := strings.ToLower(s)
	head := scheme().FindString(lower)
	switch {
	case len(s) > MaxURI:
		return fmt.Errorf("the URI is longer than %d bytes", MaxURI)
	case head == "" || len(s) == len(head):
		return errors.New("the URI must begin with a scheme, such as orders: is")
	case slices.Contains(scripts, head):
		return fmt.Errorf("the scheme %s carries its content in the URI", head)
	}
	for i := 0; i < len(s); i++ {
		if !inURI(s[i]) || s[i] == '%' && !escape(s[i:]) {
			return fmt.Errorf("the URI has a character at byte %d that must be percent-encoded", i)
		}
	}
	return nil
}

// inURI reports whether c may stand in a URI: RFC 3986, section 2.
func inURI(c byte) bool {
	return isAlnum(c) || strings.IndexByte("-._~:/?#[]@!$&'()*+,;=%", c) >= 0
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// Parse reads a template. One without variables matches itself only.
func Parse(s string) (*Template, error) {
	plain := strings.NewReplacer("{", "", "}", "").Replace(s)
	err := check(plain)
	if plain == s {
		err = CheckURI(s)
	}
	if err != nil {
		return nil, err
	}
	head, _, _ := strings.Cut(s, ":")
	switch {
	case head != strings.ToLower(head) || strings.ContainsAny(head, "{}"):
		return nil, errors.New("the scheme must be written out, in lower case")
	case strings.Contains(s, "#"), strings.Contains(s, "?") && plain != s:
		return nil, errors.New("a fragment, and a query beside variables, are not supported")
	case strings.Contains(s, "'") && plain != s:
		return nil, errors.New("an apostrophe is no literal of a template (RFC 6570, section 2.1)")
	}
	t := &Template{text: s}
	parts := strings.Split(s, "/")
	for i, part := range parts {
		seg, err := parseSegment(part)
		if err != nil {
			return nil, err
		}
		if seg.rest && (i < len(parts)-1 || seg.before+seg.after != "") {
			return nil, fmt.Errorf("{+%s} must be all that follows the last slash", seg.variable)
		}
		if seg.variable != "" {
			if slices.Contains(t.vars, seg.variable) {
				return nil, fmt.Errorf("the variable %s occurs twice", seg.variable)
			}
			t.vars = append(t.vars, seg.variable)
		}
		t.segments = append(t.segments, seg)
	}
	return t, nil
}

func parseSegment(s string) (segment, error) {
	open := strings.IndexByte(s, '{')
	if open < 0 && !strings.Contains(s, "}") {
		if _, ok := decode(s); s != "" && !strings.Contains(s, "?") && !ok {
			return segment{}, fmt.Errorf("the segment %q can be read in more than one way", s)
		}
		return segment{before: s}, nil
	}
	inner, after, closed := strings.Cut(s[open+1:], "}")
	if open < 0 || !closed || strings.ContainsAny(inner+after, "{}") {
		return segment{}, fmt.Errorf("%q must hold one variable at most, as in {name}", s)
	}
	name, rest := strings.CutPrefix(inner, "+")
	if !varName().MatchString(name) {
		return segment{}, fmt.Errorf("{%s}: there are {name}, for one segment, and {+name}, for the rest of the path", inner)
	}
	return segment{before: s[:open], after: after, variable: name, rest: rest}, nil
}

// String returns the template as it was written.
func (t *Template) String() string { return t.text }

// Variables lists the variables in order.
func (t *Template) Variables() []string { return t.vars }

// Match returns the values of the variables, or false.
func (t *Template) Match(uri string) (map[string]string, bool) {
	if len(t.vars) == 0 {
		return nil, uri == t.text
	}
	parts := splitURI(uri)
	if n := len(t.segments); len(parts) < n || len(parts) > n && !t.segments[n-1].rest {
		return nil, false
	}
	vars := make(map[string]string, len(t.vars))
	for i, seg := range t.segments {
		if seg.rest {
			value, ok := decodePath(parts[i:])
			vars[seg.variable] = value
			return vars, ok
		}
		value, ok := seg.match(parts[i])
		if !ok {
			return nil, false
		}
		if seg.variable != "" {
			vars[seg.variable] = value
		}
	}
	return vars, true
}

// splitURI returns nil for what no template matches.
func splitURI(uri string) []string {
	if len(uri) > MaxURI {
		return nil
	}
	for i := 0; i < len(uri); i++ {
		if !inURI(uri[i]) || uri[i] == '?' || uri[i] == '#' {
			return nil
		}
	}
	return strings.Split(uri, "/")
}

func (s segment) match(part string) (string, bool) {
	if s.variable == "" {
		return "", part == s.before
	}
	inner, ok := strings.CutPrefix(part, s.before)
	if !ok {
		return "", false
	}
	if inner, ok = strings.CutSuffix(inner, s.after); !ok {
		return "", false
	}
	return decode(inner)
}

func decodePath(parts []string) (string, bool) {
	out := make([]string, len(parts))
	for i, p := range parts {
		var ok bool
		if out[i], ok = decode(p); !ok {
			return "", false
		}
	}
	return strings.Join(out, "/"), true
}

// decode removes one layer of percent-encoding from a segment, and refuses what
// is not plainly one name.
func decode(s string) (string, bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if !escape(s[i:]) {
			return "", false
		}
		b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
		i += 2
	}
	value := string(b)
	return value, isName(value)
}

// isName reports whether a decoded value is one element of a path to every
// reader: also to one that decodes it again, or drops dots and spaces at its
// end, as Windows does.
func isName(s string) bool {
	if !utf8.ValidString(s) || strings.Trim(s, ". ") == "" || strings.ContainsAny(s, "/\\") {
		return false
	}
	for i, r := range s {
		if r < ' ' || text.Hidden(r) || r == '%' && escape(s[i:]) {
			return false
		}
	}
	return true
}

// escape reports whether s begins with a percent-encoded byte.
func escape(s string) bool {
	return len(s) >= 3 && s[0] == '%' && isHex(s[1]) && isHex(s[2])
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

// Overlaps reports whether some URI may match both templates. It is wrong only
// on the safe side.
func (t *Template) Overlaps(u *Template) bool {
	if len(t.vars) == 0 || len(u.vars) == 0 {
		if len(t.vars) == 0 {
			t, u = u, t
		}
		_, ok := t.Match(u.text)
		return ok
	}
	for i := range max(len(t.segments), len(u.segments)) {
		a, b := t.at(i), u.at(i)
		switch {
		case a == nil || b == nil:
			return false
		case a.rest || b.rest:
			return true // at least one segment is left on both sides
		case !a.meets(b):
			return false
		}
	}
	return true
}

// at returns the segment that decides on the i-th part of a URI.
func (t *Template) at(i int) *segment {
	if i < len(t.segments) {
		return &t.segments[i]
	}
	return nil
}

func (s *segment) meets(o *segment) bool {
	switch {
	case s.variable == "" && o.variable == "":
		return s.before == o.before
	case s.variable == "":
		_, ok := o.match(s.before)
		return ok
	case o.variable == "":
		_, ok := s.match(o.before)
		return ok
	}
	return (strings.HasPrefix(s.before, o.before) || strings.HasPrefix(o.before, s.before)) &&
		(strings.HasSuffix(s.after, o.after) || strings.HasSuffix(o.after, s.after))
}
