package redact

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// authorization masks the credentials of an Authorization header whose value
// starts at v. A scheme with parameters (AWS4, Digest, OAuth) is left to the
// matchers of their names.
func (m *scanner) authorization(v int) int {
	v = m.headerStart(v)
	if hasFold(m.s, v, "bearer") {
		return m.scheme(v, v+len("bearer"))
	}
	if hasFold(m.s, v, "basic") {
		return m.scheme(v, v+len("basic"))
	}
	end := m.run(v, opaque)
	if end == v {
		return 0
	}
	if next := skipBlank(m.s, end); next > end && next < len(m.s) && end-v < 32 {
		creds := m.run(next, opaque)
		if end := m.run(creds+1, b64); creds < len(m.s) && m.s[creds] == ':' && end-creds > 16 { // id:signature
			return m.mask(creds+1, end)
		}
		if c := m.s[next:creds]; credentials(c) {
			return m.mask(next, creds)
		}
	}
	if credentials(m.s[v:end]) && (end == len(m.s) || m.s[end] != '(') && !strings.HasPrefix(m.s[v:end], "AWS4-") {
		return m.mask(v, end)
	}
	return 0
}

// headerStart skips what Go, JSON and shells put around a header's value.
func (m *scanner) headerStart(v int) int {
	s := m.s
	for end := min(len(s), v+maxEscape); v < end; v++ {
		if c := s[v]; !is(c, blank) && !isQuote(c) && c != '[' && c != '\\' || hasAt(s, v, Mask) {
			break
		}
	}
	for hasAt(s, v, "%20") {
		v += 3
	}
	return v
}

// credentials reports whether c is what follows an authentication scheme, not
// a word or a parameter.
func credentials(c string) bool {
	if len(c) < 8 || !mixed(c) && len(c) < 24 || placeholder(c) {
		return false
	}
	head := c[:min(len(c), maxPlain)]
	eq := strings.IndexByte(head, '=')
	return eq < 0 || eq >= len(head)-2 || len(c) > maxPlain
}

// scheme finds "Bearer …" and "Basic …" wherever they stand.
func (m *scanner) scheme(start, end int) int {
	s := m.s
	if !m.startsWord(start) {
		return 0
	}
	v := skipBlank(s, end)
	switch {
	case end < len(s) && (s[end] == ':' || s[end] == '='):
		v = skipBlank(s, end+1)
	case v > end || is(s[end-1], blank):
	case hasAt(s, end, "%20"):
		v = end + 3
	case hasAt(s, end, "+"):
		v = end + 1
	case hasAt(s, end, ".") && hasFold(s, start, "bearer"):
		v = end + 1
	default:
		return 0
	}
	to := m.run(v, opaque)
	for to > v && s[to-1] == '.' {
		to--
	}
	c := s[v:to]
	if !credentials(c) || (hasFold(s, start, "basic") || hasFold(s, start, "negotiate")) && !userPassword(c) {
		return 0
	}
	if strings.HasPrefix(c, "eyJ") {
		if end := m.jwt(v); end > 0 {
			return end
		}
	}
	return m.mask(v, to)
}

// userPassword reports whether c may be the base64 of user:password, not a word
// like http/1.1.
func userPassword(c string) bool {
	if !all(c[:min(len(c), maxPlain)], b64) {
		return false
	}
	if c[len(c)-1] == '=' || mixed(c) {
		return true
	}
	plain, err := base64.RawStdEncoding.DecodeString(c[:min(len(c)/4*4, maxPlain)])
	return err == nil && bytes.IndexByte(plain, ':') > 0
}

// cookies masks the values of the header that starts at v that look like
// sessions: the first pair of a Set-Cookie, every pair of a Cookie.
func (m *scanner) cookies(v int, first bool) int {
	v = m.headerStart(v)
	if v < m.jarEnd {
		return 0
	}
	end, i := 0, v
	for i < len(m.s) {
		name := m.run(i, ident)
		if name == i || name >= len(m.s) || m.s[name] != '=' {
			break
		}
		to := m.cookieEnd(name + 1)
		if m.secretCookie(m.s[i:name], m.s[name+1:to]) {
			end = m.mask(name+1, to)
		}
		i = to
		if first || i >= len(m.s) || m.s[i] != ';' {
			break
		}
		i = skipBlank(m.s, i+1)
	}
	m.jarEnd = i
	return end
}

func (m *scanner) cookieEnd(i int) int {
	from := i
	for i < len(m.s) {
		switch c := m.s[i]; c {
		case ';', '"', '\'', '\\', ']', ' ', '\t', '\r', '\n', ',':
			if c == ']' && hasAt(m.s, i-len(Mask)+1, Mask) {
				break
			}
			m.work += i - from
			return i
		}
		i++
	}
	m.work += i - from
	return i
}

func (m *scanner) secretCookie(name, v string) bool {
	if v == "" || masked(v) {
		return false
	}
	if class := m.t.classify(name); class != notSecret && len(v) >= 8 && mixed(v) {
		return true
	}
	return len(v) >= 16 && mixed(v)
}

// smtp finds the base64 that follows an AUTH command, on its line or the next
// ones up to two (user name and password of AUTH LOGIN).
func (m *scanner) smtp(end int) int {
	masked := 0
	for range 3 {
		i := m.smtpGap(end)
		to := m.run(i, b64)
		if i == end || to-i < 8 || strings.HasPrefix(m.s[i:], "PLAIN") {
			return masked
		}
		if m.s[to-1] != '=' && !mixed(m.s[i:to]) {
			return masked
		}
		masked = m.mask(i, to)
		end = to
	}
	return masked
}

// smtpGap skips line breaks, prompts and quotes before the next base64 text.
func (m *scanner) smtpGap(i int) int {
	s := m.s
	for end := min(len(s), i+64); i < end; {
		switch {
		case is(s[i], white), isQuote(s[i]), s[i] == '>', s[i] == '<', s[i] == ':':
			i++
		case hasAt(s, i, `\r`), hasAt(s, i, `\n`):
			i += 2
		case hasAt(s, i, "334 "):
			i = m.run(i+4, b64)
			end = min(len(s), i+64)
		case hasAt(s, i, "C: "), hasAt(s, i, "S: "), hasAt(s, i, "-> "), hasAt(s, i, "<- "):
			i += 3
		default:
			return i
		}
	}
	return i
}
