package redact

import "strings"

// identified masks what stands after IDENTIFIED BY, quoted or, as Oracle takes
// it, bare; what follows REPLACE goes too. end is behind the words.
func (m *scanner) identified(end int) int {
	s := m.s
	v := skipBlank(s, end)
	if v >= len(s) || m.hopeless(isPassword, styleEqual, v) {
		return 0
	}
	if s[v] != '\'' && !m.statement(v) {
		return 0 // identified by "x" is found in prose too
	}
	to, start, quoted := m.bounds(styleEqual, end, v)
	if !quoted {
		for to > start && s[to-1] == ';' {
			to--
		}
	}
	if start >= to || masked(s[start:to]) || placeholder(s[start:to]) {
		return 0
	}
	to = m.mask(start, to)
	if replace := to + len(" REPLACE "); hasFold(s, to, " replace ") {
		return m.mask(replace, m.run(replace, word))
	}
	return to
}

// statement reports whether words of SQL stand before i.
func (m *scanner) statement(i int) bool {
	const near = 96
	m.work += near
	before := strings.ToLower(m.s[max(0, i-near):i])
	return strings.Contains(before, "user ") || strings.Contains(before, "grant ") || strings.Contains(before, "role ")
}

// literalAfter masks the string literal that follows one of the marks, within
// a short way behind end: IDENTIFIED WITH x BY '…', SET PASSWORD FOR x = '…'.
func (m *scanner) literalAfter(end int, marks ...string) int {
	const near = 96
	until := min(len(m.s), end+near)
	m.work += near
	for i := end; i < until && m.s[i] != ';' && m.s[i] != '\n'; i++ {
		for _, mark := range marks {
			if hasFold(m.s, i, mark) {
				v := i + len(mark)
				if to := m.quoteEnd(v, '\'', 0); !masked(m.s[v:to]) {
					return m.mask(v, to)
				}
				return 0
			}
		}
	}
	return 0
}

// salted masks the password of crypt('…', gen_salt(…)); at is the comma.
func (m *scanner) salted(at int) int {
	if at < 2 || m.s[at-1] != '\'' {
		return 0
	}
	from, least := at-1, max(m.pos, at-maxPlain)
	for from > least && m.s[from-1] != '\'' {
		from--
	}
	m.work += at - from
	if from == least || masked(m.s[from:at-1]) {
		return 0
	}
	return m.mask(from, at-1)
}
