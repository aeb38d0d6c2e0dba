package redact

import "strings"

// The functions here read the shapes in which languages, formats and protocols
// print a name and its value.

// wrappers stand before a string that is the value. One that ends with a space
// or a bracket is looked for as it is.
var wrappers = []string{"!!str ", "!!binary ", "<![CDATA[", "Some(", "Optional(", "Just(", "[]string{", `{"value":`, "(string) (len=", "string("}

// unwrap returns where the value at v really starts: behind a wrapper, on the
// next line, after the letter of b'…' and N'…'.
func (m *scanner) unwrap(v int) int {
	s := m.s
	if v >= len(s) || !is(s[v], wraps) {
		return v
	}
	if s[v] == '\n' || s[v] == '\r' || s[v] == '|' || s[v] == '>' {
		next, block := m.nextLine(v)
		if block || next < len(s) && isQuote(s[next]) {
			return next
		}
		if next > v && m.wrapped(next) > next {
			return m.wrapped(next)
		}
		if m.alone(next) {
			return next
		}
		return v
	}
	if s[v] == '&' { // an anchor of YAML
		if to := m.run(v+1, word); to > v+1 && to < len(s) && s[to] == ' ' {
			return skipBlank(s, to)
		}
		return v
	}
	if w := m.wrapped(v); w > v {
		return w
	}
	if v+1 < len(s) && (s[v+1] == '\'' || s[v+1] == '"') && (s[v] == 'b' || s[v] == 'N' || s[v] == 'E' || s[v] == 'u' || s[v] == 'r') {
		return v + 1
	}
	return v
}

// alone reports whether a random word stands at i, indented, and nothing else on its
// line: a scalar of YAML beneath its key.
func (m *scanner) alone(i int) bool {
	s := m.s
	if i == 0 || i >= len(s) || s[i-1] != ' ' {
		return false
	}
	to := m.run(i, opaque)
	return (to == len(s) || s[to] == '\n' || s[to] == '\r') && to-i >= 8 && to-i < maxPlain && mixed(s[i:to])
}

// wrapped returns where the string starts that a wrapper at v holds, or v.
func (m *scanner) wrapped(v int) int {
	s := m.s
	if v+1 >= len(s) || !is(s[v], wraps) {
		return v
	}
	switch s[v : v+2] {
	case "!!", "<!", "So", "Op", "Ju", "[]", `{"`, "(s", "st":
	default:
		return v
	}
	for _, w := range wrappers {
		if w[0] != s[v] || !hasAt(s, v, w) {
			continue
		}
		i := v + len(w)
		switch w[len(w)-1] {
		case ' ':
			return skipBlank(s, i)
		case '[':
			return i
		}
		if w == "string(" || w == "(string) (len=" { // string(12) "…"
			if i = m.run(i, digit); !hasAt(s, i, ") ") {
				return v
			}
			i += len(") ")
		}
		if i = m.skipWhite(i); i < len(s) && isQuote(s[i]) {
			return i
		}
		return v
	}
	return v
}

// nextLine returns where the text of the next line starts, and whether a block
// scalar of YAML (| or >) announces it.
func (m *scanner) nextLine(v int) (next int, block bool) {
	s, i := m.s, v
	if s[i] == '|' || s[i] == '>' {
		block = true
		for i++; i < len(s) && i-v < 4 && (s[i] == '-' || s[i] == '+' || is(s[i], digit)); i++ {
			continue
		}
		if i >= len(s) || s[i] != '\n' && s[i] != '\r' {
			return v, false
		}
	}
	return m.skipWhite(i), block
}

// skipWhite skips white space, 64 bytes of it at most.
func (m *scanner) skipWhite(i int) int {
	from := i
	for end := min(len(m.s), i+64); i < end && is(m.s[i], white); {
		i++
	}
	m.work += i - from + 1
	return i
}

// bracketed reads what follows a name in brackets: [password] => v, a[password]=v,
// (password)=(v).
func bracketed(s string, from, j int) (style, int) {
	if j+3 < len(s) && s[j] == '[' && is(s[j+1], digit) && s[j+2] == ']' && s[j+3] == '=' { // key[0]=v
		return styleEqual, j + 4
	}
	if hasAt(s, j, "[]=") {
		return styleEqual, j + len("[]=")
	}
	if from == 0 || j >= len(s) {
		return styleNone, 0
	}
	switch {
	case s[from-1] == '[' && hasAt(s, j, "] => "):
		return styleLine, j + len("] => ")
	case s[from-1] == '[' && (hasAt(s, j, ":protected] => ") || hasAt(s, j, ":private] => ")):
		return styleLine, j + strings.IndexByte(s[j:], '>') + 2
	case s[from-1] == '[' && hasAt(s, j, "]=") && !hasAt(s, j, "]=="):
		return styleEqual, j + len("]=")
	case hasFold(s, from-3, "%5b") && hasFold(s, j, "%5d="):
		return styleEqual, j + len("%5d=")
	case s[from-1] == '(' && hasAt(s, j, ")=("):
		return styleEqual, j + len(")=(")
	}
	return styleNone, 0
}

// pair reads ('name', 'value') from its comma at k on: the first two arguments
// of a call, or a tuple. The quote of the name is at from-1.
func pair(s string, from, k int) (style, int) {
	o := from - 2
	for n := 0; n < maxEscape && o > 0 && s[o] == '\\'; n++ {
		o--
	}
	if o > 0 && (s[o] == 'b' || s[o] == 'u') {
		o--
	}
	for n := 0; n < 4 && o > 0 && is(s[o], blank); n++ {
		o--
	}
	v := skipBlank(s, k+1)
	if o < 0 || s[o] != '(' && (s[o] != '[' || !lastElement(s, v)) {
		return styleNone, 0
	}
	return stylePair, v
}

// lastElement reports whether the string at v is the last of an array.
func lastElement(s string, v int) bool {
	start, quoted := skipQuote(s, v)
	if !quoted {
		return false
	}
	n := strings.IndexByte(s[start:min(len(s), start+maxPlain)], s[start-1])
	if n < 0 {
		return false
	}
	end := skipBlank(s, start+n+1)
	return end < len(s) && s[end] == ']'
}

// closed reports whether the quote at i ends the last argument: ') and ' ).
func closed(s string, i int) bool {
	i, _ = skipQuote(s, i)
	i = skipBlank(s, i)
	return i < len(s) && (s[i] == ')' || s[i] == ',' || s[i] == ']')
}

// serialized reads what PHP's serialize puts after a name: ;s:12:"v".
func (m *scanner) serialized(k int) (style, int) {
	if !hasAt(m.s, k, ";s:") {
		return styleNone, 0
	}
	if i := m.run(k+len(";s:"), digit); hasAt(m.s, i, `:"`) {
		return styleMember, i + 1
	}
	return styleNone, 0
}

// element reads the text of an XML element: its name is [from, to), which may
// have a prefix, and attributes after it.
func (m *scanner) element(from, to int) (style, int) {
	s, o := m.s, from-1
	if o > 1 && s[o] == ':' {
		o = m.runBack(o, ident, 16) - 1
	}
	if o < 0 || s[o] != '<' {
		return m.labelled(to)
	}
	i := to
	if is(s[i], white) {
		for end := min(len(s), to+256); i < end && s[i] != '>' && s[i] != '<'; {
			i++
		}
		m.work += i - to
	}
	if i >= len(s)-1 || s[i] != '>' || s[i-1] == '/' || is(s[i+1], blank) {
		return styleNone, 0
	}
	return styleXML, m.skipWhite(i + 1)
}

// labelled reads <key>name</key><string>v, <name>name</name><value><string>v.
func (m *scanner) labelled(to int) (style, int) {
	i := to
	for _, label := range [][2]string{{"</td>", "<td>"}, {"</th>", "<td>"}, {"</dt>", "<dd>"}} { // <td>name</td><td>v
		if hasAt(m.s, i, label[0]) {
			if i = m.skipWhite(i + len(label[0])); hasAt(m.s, i, label[1]) {
				return styleIs, i + len(label[1])
			}
			return styleNone, 0
		}
	}
	for _, label := range [][2]string{{"</key>", "<string>"}, {"</name>", "<value>"}} {
		if !hasAt(m.s, i, label[0]) {
			continue
		}
		if i = m.skipWhite(i + len(label[0])); !hasAt(m.s, i, label[1]) {
			return styleNone, 0
		}
		i = m.skipWhite(i + len(label[1]))
		if hasAt(m.s, i, "<string>") {
			i += len("<string>")
		}
		return styleXML, i
	}
	return styleNone, 0
}

// textEnd returns the end of an element's text that starts at i.
func (m *scanner) textEnd(i int) int {
	from, cdata := i, hasAt(m.s, i-len("<![CDATA["), "<![CDATA[")
	for i < len(m.s) && m.s[i] != '\n' && m.s[i] != '\r' && (m.s[i] != '<' || cdata) && !(cdata && hasAt(m.s, i, "]]>")) {
		i++
	}
	m.work += i - from
	return i
}

// afterLogin reports whether "login", and one word after it, stand before i:
// .netrc writes login u password p.
func (m *scanner) afterLogin(i int) bool {
	s, from := m.s, i
	least := max(0, i-96)
	back := func(c bool) {
		for i > least && is(s[i-1], white) == c {
			i--
		}
	}
	back(true)
	if i > 0 && s[i-1] == '.' { // the end of a sentence
		return false
	}
	back(false)
	back(true)
	m.work += from - i + 1
	return hasAt(s, i-len("login"), "login")
}

// directive reports whether name is a setting whose value follows after a blank.
func directive(name string) bool {
	return name == "requirepass" || name == "masterauth"
}

// shouted reports whether name is written as environment variables are: A_B.
func shouted(name string) bool {
	under := false
	for i := range len(name) {
		under = under || name[i] == '_'
		if 'a' <= name[i] && name[i] <= 'z' || name[i] == '-' || name[i] == '.' {
			return false
		}
	}
	return under
}
