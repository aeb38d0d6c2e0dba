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
	if !is(s[v], alnum) {
		v = skipColour(s, skipBlank(s, skipColour(s, v)))
	}
	if v > gap && st == styleSpaced && s[gap-1] == '=' && !is(s[gap-2], blank) && m.startsPair(v) {
		return 0 // password= user=bob
	}
	if st != styleEqual {
		st, v = m.typed(st, v)
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

// typed skips a type that stands between a name and its value: token: String = "v".
func (m *scanner) typed(st style, v int) (style, int) {
	s, typ := m.s, m.run(v, ident)
	if typ > v && typ-v < maxKey && (hasAt(s, typ, ` = "`) || hasAt(s, typ, " = '") || hasAt(s, typ, " = `")) {
		return styleSpaced, typ + len(" = ")
	}
	return st, v
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
