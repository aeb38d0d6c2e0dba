package redact

import "math/bits"

// scanner is one pass over one text. It lives on the stack of the caller.
//
// Linear time rests on three habits of the matchers: a forward run over a
// class goes through run, which remembers the run it is in; a look back, and
// a look ahead that may come to nothing, is bounded by a constant; and what is
// masked is not looked at again.
type scanner struct {
	t          *table
	s          string
	out        []byte
	pos        int // what lies before is in out
	dirty      bool
	missed     bool     // a matcher masked nothing, and may do otherwise on what is masked now
	bounded    bool     // the matcher that masked nothing called missedBefore
	reach      int      // what such matchers looked at lies before
	first      int      // where the first mask of the matcher that runs starts, or -1
	keyEnd     int      // key names up to here were judged
	cardEnd    int      // digits up to here were judged
	blobEnd    int      // base64 up to here was judged
	jarEnd     int      // cookies up to here were judged
	rowsEnd    int      // rows of tables up to here were looked at
	command    *command // the last one that was looked for
	commandEnd int      // the end of its line
	pemFrom    int      // from here, the next "-----END" is at pemNext
	pemNext    int
	depth      int // 1 in what was decoded
	collect    bool
	spans      []span // what is masked, when collect is set, in place of out
	work       int    // bytes looked at by matchers, for the test of linear time
	runs       [17]struct{ from, to int }
}

// scan walks the text in blocks of sixteen bytes. Every literal is listed in
// the table under two windows of its bytes, one at an even and one at an odd
// offset, so looking at every second pair finds it wherever it starts.
func (m *scanner) scan() {
	s, near, i := m.s, &m.t.near, 0
	for i+18 <= len(s) {
		b := s[i : i+18]
		p0, p1, p2, p3 := near[couple(b, 0)], near[couple(b, 2)], near[couple(b, 4)], near[couple(b, 6)]
		p4, p5, p6, p7 := near[couple(b, 8)], near[couple(b, 10)], near[couple(b, 12)], near[couple(b, 14)]
		first := p0>>16&p1 | p1>>16&p2 | p2>>16&p3 | p3>>16&p4
		second := p4>>16&p5 | p5>>16&p6 | p6>>16&p7 | p7>>16&near[couple(b, 16)]
		switch from := i; {
		case first|second == 0:
			i += 16
		case first == 0:
			i = m.windows(i+8, i+16)
		case second == 0:
			if i = m.windows(i, i+8); i == from+8 {
				i += 8
			}
		default:
			i = m.windows(i, i+16)
		}
	}
	m.windows(i, len(s)-1)
}

func couple(s string, i int) uint16 { return uint16(s[i]) | uint16(s[i+1])<<8 }

// windows tries the windows that start in [i, end) and returns where to go on.
func (m *scanner) windows(i, end int) int {
	near := &m.t.near
	for ; i < end; i += 2 {
		hit := near[couple(m.s, i)] >> 16
		if i+4 <= len(m.s) {
			hit &= near[couple(m.s, i+2)]
		}
		if hit == 0 {
			continue
		}
		next := i
		if hit&^digitGroup != 0 {
			next = m.skip(m.at(i, hit))
		}
		if hit&digitGroup != 0 {
			next = max(next, m.skip(m.cards(i)))
		}
		if next > i+2 {
			return next
		}
	}
	return end
}

// skip returns where to go on after what was masked up to end: there, unless
// there are registered values. One of those may start in what was masked and
// end behind it.
func (m *scanner) skip(end int) int {
	if m.t.exact {
		return 0
	}
	return end
}

// The gap between a literal and its mask is not looked at again if it is at most
// so long. Without the name of a key nothing shorter is masked but personal data.
const maxGap, maxGapPII = 9, 4

// at tries the literals listed under the window at i, of the groups hit. It returns the end of what
// was masked, or 0.
func (m *scanner) at(i int, hit uint32) int {
	four, whole := uint32(0), i+4 <= len(m.s) // a quick test before the whole literal is compared
	if whole {
		four = uint32(couple(m.s, i)) | uint32(couple(m.s, i+2))<<16
	}
	refs := m.t.refs[m.t.list[couple(m.s, i)]:]
	for k := range refs {
		ref := &refs[k]
		if k > 0 && refs[k-1].last {
			break
		}
		if hit&(1<<ref.group) == 0 || whole && four|ref.mask != ref.want {
			continue
		}
		start, lit := i-int(ref.off), &m.t.lits[ref.lit]
		if start < m.pos && lit.kind != kindExact || !lit.matches(m.s, start) {
			continue
		}
		m.work += len(lit.text)
		m.bounded, m.first = false, -1
		if end := m.match(lit, start, start+len(lit.text)); end > i {
			// What lies between the literal and the mask was not looked at.
			m.missed = m.missed || m.first-start-len(lit.text) > m.t.gap
			return end
		}
		m.missed = m.missed || !m.bounded
	}
	return 0
}

// missedBefore is what a matcher returns that masked nothing, looked at nothing
// from i on, and would not do otherwise because of a mask before its literal.
func (m *scanner) missedBefore(i int) int {
	m.bounded, m.reach = true, max(m.reach, i)
	return 0
}

// missedAround is missedBefore for a matcher that looks at most lookBack bytes
// back from its literal, which starts at start.
func (m *scanner) missedAround(start, i int) int {
	if m.dirty && start-m.pos < lookBack {
		return 0
	}
	return m.missedBefore(i)
}

const lookBack = maxKey + 32

// match runs the matcher of lit, found at [start, end). Matchers mask what
// they find and return its end, or 0.
func (m *scanner) match(lit *literal, start, end int) int {
	switch lit.kind {
	case kindExact:
		return m.mask(start, end)
	case kindToken:
		return m.token(&tokens()[lit.arg], start)
	case kindKey:
		return m.keyed(start, end)
	case kindURL:
		return m.userinfo(start, end)
	case kindJWT:
		return m.jwt(start)
	case kindPEM:
		return m.pem(end)
	case kindScheme:
		return m.scheme(start, end)
	case kindHash:
		return m.hash(start, end)
	case kindCommand:
		return m.flagged(&commands[lit.arg], end)
	case kindPII:
		return m.personal(start, end)
	default:
		return m.special(lit.arg, start, end)
	}
}

// mask replaces [from, to) with Mask and returns to.
func (m *scanner) mask(from, to int) int { return m.replace(from, to, Mask) }

// span is a part of a text.
type span struct{ from, to int }

func (m *scanner) replace(from, to int, with string) int {
	from = max(from, m.pos)
	if to <= from || m.s[from:to] == with {
		return to
	}
	m.missed = m.missed || from < m.reach || m.first >= 0 && from-m.pos > m.t.gap
	if m.first < 0 {
		m.first = from
	}
	if m.collect {
		m.spans = append(m.spans, span{from, to})
		m.dirty, m.pos = true, to
		return to
	}
	if m.out == nil {
		m.out = make([]byte, 0, len(m.s)+2*len(with))
	}
	if from > m.pos || !m.dirty { // otherwise the mask before covers it
		m.out = append(m.out, m.s[m.pos:from]...)
		m.out = append(m.out, with...)
	}
	m.dirty, m.pos = true, to
	return to
}

// run returns the end of the run of c that i is in, or i.
func (m *scanner) run(i int, c class) int {
	memo := &m.runs[bits.TrailingZeros32(uint32(c))]
	if memo.from <= i && i < memo.to {
		return memo.to
	}
	j := i
	for j < len(m.s) && classes[m.s[j]]&c != 0 {
		j++
	}
	m.work += j - i + 1
	memo.from, memo.to = i, j
	return j
}

// runBack returns the start of the run of c that ends before i, looking back
// limit bytes at most and not into what is masked.
func (m *scanner) runBack(i int, c class, limit int) int {
	j, least := i, max(m.pos, i-limit)
	for j > least && classes[m.s[j-1]]&c != 0 {
		j--
	}
	m.work += i - j + 1
	return j
}

// startsWord reports whether a token may start at i: not in the middle of a
// word, unless what stands before is an escape (\n, %3D).
func (m *scanner) startsWord(i int) bool {
	s := m.s
	if i == 0 || !is(s[i-1], alnum) {
		return true
	}
	return m.escapeBefore(i) > 0 || m.colourBefore(i)
}

// colourBefore reports whether a terminal's colour sequence ends before i:
// ESC [ 1 ; 32 m, ESC itself or as JSON writes it.
func (m *scanner) colourBefore(i int) bool {
	s, j := m.s, i-1
	if s[j] != 'm' {
		return false
	}
	for j > 0 && i-j < 16 && (is(s[j-1], digit) || s[j-1] == ';') {
		j--
	}
	return j > 1 && s[j-1] == '[' && (s[j-2] == 0x1b || hasFold(s, j-7, `\u001b`) || hasFold(s, j-5, `\x1b`) || hasAt(s, j-5, `\033`))
}

// escapeBefore returns the length of the escape that ends before i, of the
// kinds whose last byte looks like a letter or digit: \n, \u0026, %3D.
func (m *scanner) escapeBefore(i int) int {
	s := m.s
	switch {
	case i >= 2 && s[i-2] == '\\' && (s[i-1] == 'n' || s[i-1] == 'r' || s[i-1] == 't'):
		return 2
	case i >= 3 && s[i-3] == '%' && is(s[i-2], hexa) && is(s[i-1], hexa):
		return 3
	case i >= 6 && s[i-6] == '\\' && s[i-5] == 'u' && s[i-4] == '0':
		return 6
	}
	return 0
}
