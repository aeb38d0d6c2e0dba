package redact

const (
	// maxEscape is how many backslashes before a quote are understood: JSON
	// quoted in JSON four times over.
	maxEscape = 16
	// maxPlain is the length from which a value is no word or placeholder, and
	// is judged by its first bytes alone.
	maxPlain = 128
)

// value masks the value of a key if it is one; the key starts at from, the
// value after v.
func (m *scanner) value(class secrecy, st style, from, v int) int {
	s := m.s
	gap := v
	v = skipColour(s, skipBlank(s, skipColour(s, v)))
	if v > gap && st == styleSpaced && s[gap-1] == '=' && !is(s[gap-2], blank) && m.startsPair(v) {
		return 0 // password= user=bob
	}
	if v = m.unwrap(v); v >= len(s) || st == styleTable && !is(s[v], alnum) {
		return 0
	}
	array := s[v] == '[' && !hasAt(s, v, Mask) && !hasAt(s, v, "[]")
	if array {
		v = skipBlank(s, v+1)
	}
	if m.hopeless(class, st, v) {
		return 0
	}
	to, start, quoted := m.bounds(st, from, v)
	if quoted && start < to && is(s[start], blank) && (to == len(s) || s[to] == '\n') {
		return 0 // the quote closes a string that held the name
	}
	if st == stylePair && (!quoted || !closed(s, to)) || st == styleXML && !hasAt(s, m.skipWhite(to), "</") && !hasAt(s, to, "]]>") {
		return 0
	}
	if !quoted && m.entry(st, from, to) {
		st = styleEntry
	}
	if start >= to || !secretValue(class, st, quoted, s[start:to]) {
		return 0
	}
	if !quoted && st == styleMember && number(s[start:to]) {
		return m.replace(start, to, `"`+Mask+`"`)
	}
	end := m.mask(start, to)
	if array && quoted {
		end = m.elements(class, end)
	}
	if quoted && hasAt(s, end, `" -> "`) { // a plan's old value and its new one
		next := end + len(`" -> "`)
		end = m.mask(next, m.quoteEnd(next, '"', 0))
	}
	return end
}

// startsPair reports whether a name and an equals sign stand at i.
func (m *scanner) startsPair(i int) bool {
	to := m.run(i, ident)
	return to > i && to < len(m.s) && m.s[to] == '='
}

// hopeless reports, from the first bytes at v, that no secret starts there. It
// comes before the end is looked for: a value that is rejected afterwards must
// be a short one, or a row of keys would be read again for each of them.
func (m *scanner) hopeless(class secrecy, st style, v int) bool {
	s := m.s
	start, _ := skipQuote(s, v)
	if start >= len(s) || hasAt(s, start, Mask) || hasAt(s, start, "***") {
		return true
	}
	m.work += 64
	switch class {
	case isRandom:
		return st == styleProse || st == styleCode || !mixed(s[start:])
	case isDigits:
		n := m.run(start, digit) - start
		return n < 3 || n > 8
	}
	return false
}

// entry reports whether the key at from and its value up to to are a whole
// entry of something: a line of YAML, a field of a struct printed by Go.
func (m *scanner) entry(st style, from, to int) bool {
	s := m.s
	switch st {
	case styleSpaced:
		i := from
		for i > 0 && from-i < 32 && (is(s[i-1], blank) || s[i-1] == '-') {
			i--
		}
		return (i > 0 && s[i-1] == '\n' || shouted(s[from:m.run(from, ident)])) && (to == len(s) || s[to] == '\n' || s[to] == '\r')
	case styleColon:
		if from == 0 || s[from-1] != ' ' && s[from-1] != '{' && s[from-1] != '[' || to == len(s) {
			return false
		}
		if s[to] == '}' || s[to] == ']' {
			return true
		}
		next := to + 1
		for end := min(len(s), next+32); next < end && is(s[next], word); next++ {
			continue
		}
		return s[to] == ' ' && next > to+1 && next < len(s) && s[next] == ':'
	}
	return false
}

// elements masks the further strings of an array whose first element ended at i.
func (m *scanner) elements(class secrecy, i int) int {
	for {
		q, ok := skipQuote(m.s, i)
		c := skipBlank(m.s, q)
		if !ok || c >= len(m.s) || m.s[c] != ',' {
			return i
		}
		to, start, quoted := m.bounds(styleMember, i, skipBlank(m.s, c+1))
		if !quoted || start >= to || !secretValue(class, styleMember, true, m.s[start:to]) {
			return i
		}
		i = m.mask(start, to)
	}
}

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
	for i < len(m.s) && !is(m.s[i], white) && m.s[i] != '"' {
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
	path := hasFold(s, from, "jsessionid")
	open, escapes := 0, false // brackets that the value opened itself; a\ b, a\:b
	for ; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\t', '\r', '\n', '"', '\'', '`', '<', '>', 0x1b:
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
			if path {
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

// number reports whether v is a JSON number, near enough.
func number(v string) bool {
	for i := range len(v) {
		switch c := v[i]; {
		case is(c, digit), c == '+', c == '-', c == '.', c == 'e', c == 'E':
		default:
			return false
		}
	}
	return v != ""
}
