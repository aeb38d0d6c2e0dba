package redact

import "strings"

// login masks the password of the IMAP command "tag LOGIN user password"; end
// is behind LOGIN and its blank.
func (m *scanner) login(start, end int) int {
	s := m.s
	tag := m.runBack(start, alnum, 8)
	if tag == start || !is(s[start-1], digit) && start-tag != 1 || tag > 0 && is(s[tag-1], word) {
		return 0
	}
	_, after := m.argumentEnd(end)
	if after == end || after >= len(s) || s[after] != ' ' {
		return 0
	}
	from, to := m.argumentEnd(after + 1)
	if to > from && s[to-1] == '"' && s[from-1] == '"' {
		to--
	}
	if to-from < 3 || masked(s[from:to]) {
		return 0
	}
	return m.mask(from, to)
}

// argumentEnd returns where the argument at i starts, behind a quote, and where
// it ends, the closing quote included.
func (m *scanner) argumentEnd(i int) (from, to int) {
	s := m.s
	if i < len(s) && s[i] == '"' {
		end := m.quoteEnd(i+1, '"', 0)
		return i + 1, min(end+1, len(s))
	}
	to = i
	for to < len(s) && !is(s[to], white) && s[to] != '"' && to-i < maxPlain {
		to++
	}
	m.work += to - i
	return i, to
}

// passCommand masks the argument of PASS, as POP3 and FTP have it: at the start
// of a line, after USER or the reply that asks for it.
func (m *scanner) passCommand(start, end int) int {
	s, i := m.s, start
	for n := 0; n < 6 && i > 0 && strings.IndexByte("->:C ", s[i-1]) >= 0; n++ {
		i--
	}
	if i > 0 && s[i-1] != '\n' && !hasAt(s, i-2, `\n`) {
		return 0
	}
	const near = 160
	m.work += near
	before := s[max(0, i-near):i]
	if !strings.Contains(before, "USER ") && !strings.Contains(before, "331 ") {
		return 0
	}
	to := end
	for to < len(s) && s[to] != '\r' && s[to] != '\n' && s[to] != '"' && !escapeAt(s, to) {
		to++
	}
	m.work += to - end
	if masked(s[end:to]) {
		return 0
	}
	return m.mask(end, to)
}

// redisAuth masks the last word of Redis's AUTH, after a prompt or in quotes.
func (m *scanner) redisAuth(start, end int) int {
	s := m.s
	if m.s[start] == '"' { // "AUTH" "x"
		end++
		for i := 0; i < 2; i++ {
			to := m.quoteEnd(end, '"', 0)
			if !hasAt(s, to, `" "`) {
				if to-end < 4 || masked(s[end:to]) {
					return 0
				}
				return m.mask(end, to)
			}
			end = to + len(`" "`)
		}
		return 0
	}
	if start > 0 && s[start-1] != '\n' && !hasAt(s, start-2, "> ") {
		return 0
	}
	from, to := m.argumentEnd(end)
	if to < len(s) && s[to] == ' ' {
		from, to = m.argumentEnd(to + 1)
	}
	v := s[from:to]
	if to < len(s) && s[to] != '\n' && s[to] != '\r' || len(v) < 6 || !mixed(v) || masked(v) {
		return 0
	}
	return m.mask(from, to)
}
