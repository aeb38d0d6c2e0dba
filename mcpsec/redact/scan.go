package redact

import "math/bits"

// scanner is one pass over one text. It lives on the stack of the caller.
//
// Linear time rests on three habits of the matchers: a forward run over a
// class goes through run, which remembers the run it is in; a look back, and
// a look ahead that may come to nothing, is bounded by a constant; and what is
// masked is not looked at again.
type scanner struct {
	t       *table
	s       string
	out     []byte
	pos     int // what lies before is in out
	dirty   bool
	keyEnd  int // key names up to here were judged
	cardEnd int // digits up to here were judged
	blobEnd int // base64 up to here was judged
	jarEnd  int // cookies up to here were judged
	pemFrom int // from here, the next "-----END" is at pemNext
	pemNext int
	depth   int // 1 in what was decoded
	collect bool
	spans   []span // what is masked, when collect is set, in place of out
	work    int    // bytes looked at by matchers, for the test of linear time
	runs    [16]struct{ from, to int }
}

// Pair values of table.hit: a sum over the eight pairs of a block keeps the
// count of starting points in the low five bits, the count of digit pairs above.
const (
	hitLiteral = 1
	hitDigits  = 1 << 5
	hitMask    = hitDigits - 1
	cardPairs  = 6 // digit pairs in two neighbouring blocks from which a card number is possible
)

// scan walks the text in blocks of sixteen bytes. Every literal is listed in
// the table under two of its byte pairs, one at an even and one at an odd
// offset, so looking at every second pair finds it wherever it starts.
func (m *scanner) scan() {
	s, t, i, before := m.s, m.t, 0, uint32(0)
	for i+16 <= len(s) {
		b := s[i : i+16]
		sum := uint32(t.hit[pair(b, 0)]) + uint32(t.hit[pair(b, 2)]) + uint32(t.hit[pair(b, 4)]) + uint32(t.hit[pair(b, 6)]) +
			uint32(t.hit[pair(b, 8)]) + uint32(t.hit[pair(b, 10)]) + uint32(t.hit[pair(b, 12)]) + uint32(t.hit[pair(b, 14)])
		next := i + 16
		if sum&hitMask != 0 {
			next = m.pairs(i, next)
		}
		digits := sum / hitDigits
		if digits+before >= cardPairs {
			next = max(next, m.skip(m.cards(i, i+16)))
		}
		if next > i+16 {
			digits = 0
		}
		i, before = next, digits
	}
	m.tail(i, int(before))
}

func pair(s string, i int) uint16 { return uint16(s[i]) | uint16(s[i+1])<<8 }

// tail is scan for the last bytes, fewer than a block.
func (m *scanner) tail(i, digits int) {
	from := i
	for i+2 <= len(m.s) {
		hit := m.t.hit[pair(m.s, i)]
		digits += int(hit / hitDigits)
		if hit&hitMask == 0 {
			i += 2
			continue
		}
		i = max(i+2, m.skip(m.at(i)))
	}
	if digits >= cardPairs {
		m.cards(from, len(m.s))
	}
}

// pairs tries the pairs of the block [i, end) and returns where to go on.
func (m *scanner) pairs(i, end int) int {
	for ; i < end; i += 2 {
		if m.t.hit[pair(m.s, i)]&hitMask == 0 {
			continue
		}
		if next := m.skip(m.at(i)); next > i+2 {
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

// at tries the literals listed under the pair at i. It returns the end of what
// was masked, or 0.
func (m *scanner) at(i int) int {
	refs := m.t.refs[m.t.bucket[pair(m.s, i)]]
	for k := range refs {
		ref := &refs[k]
		if !ref.fits(m.s, i) {
			continue
		}
		start, lit := i-int(ref.off), &m.t.lits[ref.lit]
		if start < m.pos && lit.kind != kindExact || !lit.matches(m.s, start) {
			continue
		}
		m.work += len(lit.text)
		if end := m.match(lit, start, start+len(lit.text)); end > i {
			return end
		}
	}
	return 0
}

// match runs the matcher of lit, found at [start, end). Matchers mask what
// they find and return its end, or 0.
func (m *scanner) match(lit *literal, start, end int) int {
	switch lit.kind {
	case kindExact:
		return m.mask(start, end)
	case kindToken:
		return m.token(&tokens[lit.arg], start)
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
	memo := &m.runs[bits.TrailingZeros16(uint16(c))]
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
	return m.escapeBefore(i) > 0
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
