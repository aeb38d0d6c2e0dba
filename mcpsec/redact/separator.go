package redact

import "strings"

// separator reads what stands between the key name [from, to) and its value.
func (m *scanner) separator(from, to int) (style, int) {
	s := m.s
	if to < len(s) && (s[to] == '=' || s[to] == ':' && (from == 0 || s[from-1] != '[')) {
		m.work++
		return assignment(s, to, to, false)
	}
	j := skipColour(s, skipZeroWidth(s, to))
	if hasAt(s, j, "**: ") { // **Password**: v
		j += len("**")
	}
	if st, v := bracketed(s, from, j); st != styleNone {
		return st, v
	}
	q, quoted := skipQuote(s, j)
	if quoted {
		j = q
		if j < len(s) && s[j] == ']' { // $cfg['password'] =
			j++
		}
	}
	k := skipBlank(s, j)
	m.work += k - to + 1
	if k >= len(s) {
		return styleNone, 0
	}
	if quoted && from > 0 && (s[from-1] == '/' && s[k] != ',' || hasAt(s, from-2, "::")) {
		return styleNone, 0 // "https://host/password": not found, 'Parser::Token' => '1.2'
	}
	switch s[k] {
	case ':', '=':
		return assignment(s, j, k, quoted)
	case '&':
		if hasAt(s, k, "&#61;") || hasAt(s, k, "&#x3d;") || hasAt(s, k, "&#x3D;") {
			return styleEqual, k + strings.IndexByte(s[k:], ';') + 1
		}
	case '%', '\\':
		if st, v := escapedSeparator(s, k); st != styleNone {
			return st, v
		}
	case ';':
		return m.serialized(k)
	case "\uff1a"[0]: // a colon of full width
		if hasAt(s, k, "\uff1a") {
			return styleSpaced, k + len("\uff1a")
		}
	}
	if !quoted && (s[to] == '>' || s[to] == '<' || is(s[to], white)) {
		if st, v := m.element(from, to); st != styleNone {
			return st, v
		}
	}
	return m.elsewhere(from, to, j, k, quoted)
}

// assignment reads the operator at k; j is the end of the key.
func assignment(s string, j, k int, quoted bool) (style, int) {
	next := byte(0)
	if k+1 < len(s) {
		next = s[k+1]
	}
	v := k + 1
	switch {
	case next == '=' && v+1 < len(s) && (isQuote(s[v+1]) || hasAt(s, v+1, ` "`) || hasAt(s, v+1, " '")): // password == "v"
		return styleIs, v + 1
	case hasAt(s, v, "** "): // **Password:** v
		return styleSpaced, v + len("** ")
	case next == '=' && s[k] == ':':
		return styleCode, v + 1
	case next == ':' && s[k] == ':' && v+1 < len(s) && is(s[v+1], blank): // LDIF: base64 follows
		return styleSpaced, v + 1
	case next == ':' && s[k] == ':' && outputOf(s, j):
		return styleEqual, v + 1
	case next == '=' || next == '~' || next == ':' || strings.HasPrefix(s[k:], "://"):
		return styleNone, 0
	case next == '>' && quoted:
		return styleMember, v + 1
	case next == '>':
		return styleSpaced, v + 1
	case quoted && (s[k] == ':' || k == j):
		return styleMember, v
	case k > j || is(next, blank):
		return styleSpaced, v
	case s[k] == ':':
		return styleColon, v
	}
	return styleEqual, v
}

func escapedSeparator(s string, k int) (style, int) {
	switch {
	case hasFold(s, k, "%3d"):
		return styleEqual, k + 3
	case hasFold(s, k, "%3a"):
		return styleMember, k + 3
	case hasFold(s, k, "%253d"):
		return styleEqual, k + 5
	case hasFold(s, k, `\u003d`):
		return styleEqual, k + 6
	case hasFold(s, k, `\u003a`):
		return styleMember, k + 6
	}
	return styleNone, 0
}

// elsewhere reads the ways in which a value follows without a separator; the
// key name is [from, to), its closing quote ends at j, blanks after it at k.
func (m *scanner) elsewhere(from, to, j, k int, quoted bool) (style, int) {
	s := m.s
	if quoted {
		return m.afterQuote(from, j, k)
	}
	flag := s[from] == '-' && from+2 < to
	switch {
	case k > j && flag && s[k] != '-':
		return styleEqual, k
	case k > j && hasFold(s, to-len("password"), "password") && (s[k] == '\'' || s[k] == '$' || hasAt(s, k, "E'")):
		return styleEqual, k
	case k > j && s[k] == '\'' && hasAt(s, to-len("SECRET"), "SECRET"):
		return styleEqual, k
	case is(s[k], white):
		return valueLine(s, k)
	case s[k] == '|' && k > j && (from == 0 || s[from-1] == '\n'): // psql's expanded rows
		return styleEntry, k + 1
	case s[k] == '(' && k == to && k+1 < len(s) && isQuote(s[k+1]) && (s[from] < 'a' || setter(s[from:to])):
		return stylePair, k + 1 // ApiToken("v"), cfg.setToken("v")
	case s[k] == '|' && k > j && cellBefore(s, from): // | token | v |
		return styleIs, k + 1
	case k == j+1 && k+2 < len(s) && (s[k] == '7' || s[k] == '5') && s[k+1] == ' ': // password 7 0822455D0A16
		return styleIs, k + 2
	case k == j+1 && (hasAt(s, k, "is ") || hasAt(s, k, "is: ") || hasAt(s, k, "was ") || (hasAt(s, k, "est ") || hasAt(s, k, "es ")) && is(s[from], alnum)):
		return styleIs, k + strings.IndexByte(s[k:], ' ') + 1
	case k == j+1 && (directive(s[from:to]) || m.afterLogin(from)):
		return styleEqual, k
	case hasAt(s, k, "-> "), hasAt(s, k, "\u2192 "):
		return styleIs, k + strings.IndexByte(s[k:], ' ') + 1
	case k > j+2:
		return styleTable, k
	case k == j+1 && shouted(s[from:to]):
		return styleIs, k
	case k == j+1:
		return styleProse, k
	}
	return styleNone, 0
}

// outputOf reports whether the word that ends at i is the name of a workflow's
// output: ::set-output name=password::v.
func outputOf(s string, i int) bool {
	from := i
	for from > 0 && i-from < maxKey && is(s[from-1], ident) {
		from--
	}
	return hasAt(s, from-len("name="), "name=")
}

// setter reports whether name is that of a method that sets something: cfg.setToken.
func setter(name string) bool {
	name = name[strings.LastIndexByte(name, '.')+1:]
	return len(name) > 3 && hasFold(name, 0, "set") && 'A' <= name[3] && name[3] <= 'Z'
}

// cellBefore reports whether the word at i is the first cell of a row of Markdown.
func cellBefore(s string, i int) bool {
	return hasAt(s, i-len("| "), "| ") && (i == 2 || s[i-3] == '\n' || s[i-3] == '"')
}

// afterQuote is elsewhere for a quoted name.
func (m *scanner) afterQuote(from, j, k int) (style, int) {
	s := m.s
	switch {
	case s[k] == ',' && s[from] == '-': // "--password", "v"
		v := skipBlank(s, k+1)
		if _, ok := skipQuote(s, v); ok {
			return styleEqual, v
		}
		return styleNone, 0
	case s[k] == ',':
		if st, v := valueMember(s, k+1); st != styleNone {
			return st, v
		}
		return pair(s, from, k)
	case hasAt(s, k, "value="):
		return styleEqual, k + len("value=")
	case hasAt(s, k, "content="):
		return styleEqual, k + len("content=")
	case s[k] == '>' && k == j && m.nameAttribute(from):
		return styleXML, m.skipWhite(k + 1)
	}
	return formPart(s, from, j)
}

// nameAttribute reports whether the quoted text around from is an attribute
// name="…" or key="…" of XML.
func (m *scanner) nameAttribute(from int) bool {
	return hasAt(m.s, from-len(`name="`), `name="`) || hasAt(m.s, from-len(`key="`), `key="`)
}

// valueMember reads {"name":"PASSWORD","value":"v"} from its second comma on,
// and how Go prints it. One member may stand between the two.
func valueMember(s string, i int) (style, int) {
	for range 2 {
		i = skipBlank(s, i)
		for i < len(s) && (s[i] == '\\' || s[i] == '"') {
			i++
		}
		if hasFold(s, i, "value") {
			i, _ = skipQuote(s, i+len("value"))
			if i = skipBlank(s, i); i >= len(s) || s[i] != ':' {
				return styleNone, 0
			}
			return styleMember, i + 1
		}
		if !hasFold(s, i, "type") {
			return styleNone, 0
		}
		comma := strings.IndexByte(s[i:min(len(s), i+64)], ',')
		if comma < 0 {
			return styleNone, 0
		}
		i += comma + 1
	}
	return styleNone, 0
}

// valueLine reads the YAML form of that: name: PASSWORD, then value: v.
func valueLine(s string, i int) (style, int) {
	end := min(len(s), i+64)
	for i < end && is(s[i], white) {
		i++
	}
	if hasFold(s, i, "value:") {
		return styleEqual, skipBlank(s, i+len("value:"))
	}
	return styleNone, 0
}

// formPart reads a part of a multipart form: name="password", an empty line,
// the value.
func formPart(s string, from, i int) (style, int) {
	if !hasAt(s, from-len(`name="`), `name="`) && !hasAt(s, from-len(`name=\"`), `name=\"`) {
		return styleNone, 0
	}
	for _, gap := range []string{"\r\n\r\n", "\n\n", `\r\n\r\n`, `\n\n`} {
		if hasAt(s, i, gap) {
			return styleLine, i + len(gap)
		}
	}
	return styleNone, 0
}

// skipQuote skips a closing quote with the backslashes before it.
func skipQuote(s string, i int) (int, bool) {
	if i >= len(s) || is(s[i], alnum) {
		return i, false
	}
	if hasAt(s, i, `\u0022`) {
		return i + len(`\u0022`), true
	}
	j := i
	for j < len(s) && j-i < maxEscape && s[j] == '\\' {
		j++
	}
	switch {
	case j < len(s) && isQuote(s[j]):
		return j + 1, true
	case j == i && hasAt(s, i, "%22"):
		return i + 3, true
	case j == i && hasAt(s, i, "&quot;"):
		return i + 6, true
	}
	return i, false
}

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }

func skipBlank(s string, i int) int {
	end := min(len(s), i+32)
	for i < end && is(s[i], blank) {
		i++
	}
	for hasAt(s, i, "\u00a0") && i < end { // a blank that does not break
		i = skipBlank(s, i+len("\u00a0"))
	}
	return i
}

// skipColour skips a colour sequence of a terminal, ESC [ 1 ; 32 m, also as JSON
// writes it.
func skipColour(s string, i int) int {
	j := i
	switch {
	case hasAt(s, i, "\x1b["):
		j += len("\x1b[")
	case hasAt(s, i, `\u001b[`):
		j += len(`\u001b[`)
	default:
		return i
	}
	for end := min(len(s), j+12); j < end && (is(s[j], digit) || s[j] == ';'); {
		j++
	}
	if j < len(s) && s[j] == 'm' {
		return j + 1
	}
	return i
}

// skipZeroWidth skips invisible runes put between a key and its separator.
func skipZeroWidth(s string, i int) int {
	for end := i + 32; i < end; i += 3 {
		if !hasAt(s, i, "\u200b") && !hasAt(s, i, "\u200c") && !hasAt(s, i, "\u200d") && !hasAt(s, i, "\u2060") && !hasAt(s, i, "\ufeff") {
			break
		}
	}
	return i
}
