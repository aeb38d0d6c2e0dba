package redact

import "strings"

// pem masks the body of a private key block; begin is the end of
// "-----BEGIN ". A block that was cut off is masked to the end of its body.
func (m *scanner) pem(begin int) int {
	s := m.s
	label := s[begin:min(len(s), begin+64)]
	m.work += len(label)
	end := strings.Index(label, "-----")
	if end < 0 || !strings.Contains(label[:end], "PRIVATE KEY") && !strings.Contains(label[:end], "Static key") && !strings.Contains(label[:end], "STATIC KEY") {
		return 0
	}
	from := begin + end + len("-----")
	return m.keyBody(from, m.pemBodyEnd(from))
}

// keyBody masks the body [from, to) of a key block.
func (m *scanner) keyBody(from, to int) int {
	s := m.s
	// The line breaks around the body stay.
	for from < to && pemEdge(s, from) > 0 {
		from += pemEdge(s, from)
	}
	for to > from && is(s[to-1], white) {
		to--
	}
	for to-from >= 2 && s[to-2] == '\\' && (s[to-1] == 'n' || s[to-1] == 'r') {
		to -= 2
	}
	if to-from < 16 {
		return 0
	}
	return m.mask(from, to)
}

// ssh2 masks the body of a key in the format of RFC 4716, whose headers stand
// before it.
func (m *scanner) ssh2(from int) int {
	for range 4 {
		line := m.skipWhite(from)
		colon := m.run(line, ident)
		if !hasAt(m.s, colon, ": ") {
			break
		}
		for from = colon; from < len(m.s) && from-colon < maxPlain && m.s[from] != '\n'; {
			from++
		}
		m.work += from - colon
	}
	return m.keyBody(from, m.run(from, pemBody))
}

// putty masks the private lines of a PuTTY key; from is at their number.
func (m *scanner) putty(from int) int {
	from = m.run(from, digit)
	to := m.run(from, pemBody)
	for from < to && pemEdge(m.s, from) > 0 {
		from += pemEdge(m.s, from)
	}
	if to-from < 16 {
		return 0
	}
	return m.mask(from, to)
}

// pemEdge is the length of the line break at i, plain or escaped.
func pemEdge(s string, i int) int {
	switch {
	case is(s[i], white):
		return 1
	case hasAt(s, i, `\n`), hasAt(s, i, `\r`):
		return 2
	}
	return 0
}

// maxPEM is the longest body that is looked for; a private key has 16 KiB at most.
const maxPEM = 32 << 10

// pemBodyEnd returns where the body that starts at from ends: at its END line,
// or, when that is missing, where there is no more base64.
func (m *scanner) pemBodyEnd(from int) int {
	if from < m.pemFrom || from > m.pemNext || m.pemFrom == 0 {
		m.pemFrom, m.pemNext = from, len(m.s)
		if n := strings.Index(m.s[from:], "-----END"); n >= 0 {
			m.pemNext = from + n
		}
		m.work += m.pemNext - from
	}
	if m.pemNext < len(m.s) && m.pemNext-from <= maxPEM {
		return m.pemNext
	}
	return m.run(from, pemBody)
}
