package redact

import "strings"

// bounds returns where the value at v ends and starts, and whether it is quoted.
func (m *scanner) bounds(st style, from, v int) (to, start int, quoted bool) {
	s := m.s
	if st == styleLine {
		to = v
		for to < len(s) && s[to] != '\r' && s[to] != '\n' && s[to] != '"' && !hasAt(s, to, `\r\n`) {
			to++
		}
		m.work += to - v
		return to, v, false
	}
	if st == styleXML {
		return m.textEnd(v), v, false
	}
	if s[v] == '{' && from > 0 && s[from-1] == ';' { // a connection string's {v}
		return m.braceEnd(v + 1), v + 1, true
	}
	if s[v] == '$' {
		if tag := m.run(v+1, word); hasAt(s, tag, "$") && tag-v < maxKey { // PostgreSQL: $tag$v$tag$
			if to = tag + 1 + strings.Index(s[tag+1:min(len(s), tag+1+maxPlain)], s[v:tag+1]); to > tag {
				m.work += to - tag
				return to, tag + 1, true
			}
			m.work += maxPlain
		}
	}
	if start, quoted = skipQuote(s, v); quoted {
		if s[start-1] == '2' || s[start-1] == ';' { // %22, \u0022, &quot;
			return m.escapedEnd(start), start, true
		}
		return m.quoteEnd(start, s[start-1], start-1-v), start, true
	}
	return m.bareEnd(st, from, v), v, false
}

// braceEnd returns the end of a value in braces; }} stands for one of them.
func (m *scanner) braceEnd(i int) int {
	from := i
	for i < len(m.s) && i-from < maxPlain && m.s[i] != '\n' && m.s[i] != '"' {
		if m.s[i] == '}' {
			if i+1 == len(m.s) || m.s[i+1] != '}' {
				break
			}
			i++
		}
		i++
	}
	m.work += i - from
	return min(i, len(m.s))
}

// quoteEnd returns the end of the string that starts at i, opened by the quote
// q after so many backslashes: the next q with no more of them before it.
func (m *scanner) quoteEnd(i int, q byte, slashes int) int {
	s, from := m.s, i
	for i < len(s) {
		switch c := s[i]; {
		case c == '\n' && q != '`':
			m.work += i - from
			return trimSlashes(s, from, i)
		case c == '\\':
			j := i
			for j < len(s) && s[j] == '\\' {
				j++
			}
			if j < len(s) && s[j] == q {
				// A string of one level has its quote behind (2^level - 1)
				// backslashes; a longer row escapes a quote within it.
				if j-i <= slashes {
					m.work += i - from
					return i
				}
				j++
			}
			i = j
		case c == q:
			if q == '\'' && i > from && i+1 < len(s) && s[i+1] == q && i+2 < len(s) && is(s[i+2], alnum) { // SQL: ''
				i += 2
				continue
			}
			m.work += i - from
			return i
		default:
			i++
		}
	}
	m.work += i - from
	return i
}

func trimSlashes(s string, from, i int) int {
	for i > from && (s[i-1] == '\\' || s[i-1] == '\r') {
		i--
	}
	return i
}

// escapedEnd is quoteEnd for a string opened by %22 or &quot;.
func (m *scanner) escapedEnd(i int) int {
	from := i
	for i < len(m.s) && !hasAt(m.s, i, "%22") && !hasAt(m.s, i, "&quot;") && !hasAt(m.s, i, `\u0022`) && !is(m.s[i], white) && m.s[i] != '"' {
		i++
	}
	m.work += i - from
	return i
}

// bareEnd returns the end of an unquoted value: white space, a quote, or a
// mark that separates this value from the next. Passwords hold such marks too,
// so one counts only where something like a next key, or nothing, follows.
func (m *scanner) bareEnd(st style, from, i int) int {
	s, start := m.s, i
	query := from > 0 && (s[from-1] == '?' || s[from-1] == '&' || s[from-1] == '#')
	escaped := from >= 3 && s[from-3] == '%' && !query
	open, escapes := 0, false // brackets that the value opened itself; a\ b, a\:b
	for ; i < len(s); i++ {
		if !is(s[i], ends) {
			continue
		}
		switch c := s[i]; c {
		case ' ', '\t', '\r', '\n', '"', '\'', '`', '<', '>', 0x1b, 0:
			m.work += i - start
			return trimEnd(s, start, i)
		case '\\':
			if i+1 < len(s) && (s[i+1] == ' ' || s[i+1] == ':' || s[i+1] == '=' || s[i+1] == '\'' && escapes) {
				escapes = true
				i++
				continue
			}
			if i+1 < len(s) && !is(s[i+1], alnum) || escapeAt(s, i) {
				m.work += i - start
				return i
			}
		case '?':
			if hasFold(s, from, "jsessionid") {
				m.work += i - start
				return i
			}
		case '&', ',', ';':
			if query && c == '&' || separates(s, i) {
				m.work += i - start
				return i
			}
		case '(', '[', '{':
			open++
		case ')', ']', '}':
			if open > 0 {
				open--
				continue
			}
			if i+1 == len(s) || !is(s[i+1], alnum) {
				if hasAt(s, i-len(Mask)+1, Mask) {
					continue
				}
				m.work += i - start
				return i
			}
		case '%':
			if escaped && (hasFold(s, i, "%26") || hasFold(s, i, "%22")) || hasFold(s, i, "%22%") {
				m.work += i - start
				return i
			}
		}
	}
	m.work += i - start
	return trimEnd(s, start, i)
}

// trimEnd cuts the punctuation of a sentence.
func trimEnd(s string, start, i int) int {
	for i > start && (s[i-1] == ',' || s[i-1] == ';' || s[i-1] == ':') {
		i--
	}
	return i
}

// escapeAt reports whether the backslash at i starts \n, \r, \t or \u00.
func escapeAt(s string, i int) bool {
	return hasAt(s, i, `\n`) || hasAt(s, i, `\r`) || hasAt(s, i, `\t`) || hasAt(s, i, `\u00`)
}

// separates reports whether the mark at i stands before another key, white
// space, a quote or the end.
func separates(s string, i int) bool {
	if s[i] == '&' && hasAt(s, i, "&amp;") || s[i] == ';' && i >= 4 && hasAt(s, i-4, "&amp;") {
		return true
	}
	spaced := s[i] == ';' // User Id=
	query := s[i] == '&'
	i++
	if i >= len(s) || !is(s[i], ident) {
		return i >= len(s) || is(s[i], white) || isQuote(s[i]) || s[i] == '\\' || s[i] == '}' || s[i] == ']' || s[i] == ')'
	}
	for end := min(len(s), i+32); i < end; i++ {
		if !is(s[i], ident) && !(spaced && s[i] == ' ') {
			return s[i] == '=' || s[i] == ':' || query && (s[i] == '[' || hasFold(s, i, "%5b"))
		}
	}
	return false
}
