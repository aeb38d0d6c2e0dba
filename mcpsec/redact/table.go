package redact

import "sync"

type kind uint8

const (
	kindExact   kind = iota // a registered value
	kindToken               // a credential known by its prefix
	kindKey                 // a part of a key name
	kindURL                 // ://
	kindJWT                 // eyJ
	kindPEM                 // -----BEGIN
	kindScheme              // Bearer, Basic
	kindHash                // $2a$, $argon2
	kindPII                 // @, +, country codes
	kindSpecial             // the rest, told apart by arg
)

// Bytes in a literal's text that stand for a class.
const (
	anyDigit = '\x00'
	anyB64   = '\x02'
)

// literal is a short text at which a matcher starts.
type literal struct {
	text string // in lower case if fold
	fold bool
	kind kind
	arg  uint16
}

func (l *literal) matches(s string, i int) bool {
	if i < 0 || len(s)-i < len(l.text) {
		return false
	}
	for j := range len(l.text) {
		c, want := s[i+j], l.text[j]
		if c == want || l.fold && lowered(c) == want ||
			want == anyDigit && is(c, digit) || want == anyB64 && is(c, b64url) {
			continue
		}
		return false
	}
	return true
}

// variants returns the bytes that may stand at position i.
func (l *literal) variants(i int) string {
	const every = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-"
	switch c := l.text[i]; {
	case l.kind == kindExact:
		return l.text[i : i+1]
	case c == anyDigit:
		return every[:10]
	case c == anyB64:
		return every
	case l.fold && 'a' <= c && c <= 'z':
		return string([]byte{c, c - 'a' + 'A'})
	}
	return l.text[i : i+1]
}

// ref says that literal lit starts off bytes before the pair, if the pair next
// bytes further on, with the bits of mask set, is want.
type ref struct {
	lit        uint16
	off, next  int16
	want, mask uint16
}

// fits is a quick test before the whole literal is compared.
func (r *ref) fits(s string, i int) bool {
	j := i + int(r.next)
	if j < 0 || j+2 > len(s) {
		return false
	}
	return r.next == 0 || pair(s, j)|r.mask == r.want
}

// table tells for each byte pair which literals may be there. It is not
// changed once built: a Redactor swaps in a new one.
type table struct {
	hit    [1 << 16]uint8
	bucket [1 << 16]uint16
	refs   [][]ref
	lits   []literal
	rates  *[1 << 16]int32 // see pairRates
	keys   []string        // the user's key names, folded
	exact  bool            // there are registered values
}

var builtin = sync.OnceValue(func() *table {
	rates := pairRates()
	t := &table{refs: make([][]ref, 1), rates: &rates}
	for a := byte('0'); a <= '9'; a++ {
		for b := byte('0'); b <= '9'; b++ {
			t.hit[uint16(a)|uint16(b)<<8] = hitDigits
		}
	}
	for i := range tokens {
		t.add(literal{text: tokens[i].literal(), kind: kindToken, arg: uint16(i)})
	}
	for _, text := range keyParts {
		t.add(literal{text: text, fold: true, kind: kindKey})
	}
	for _, lit := range specials {
		t.add(lit)
	}
	return t
})

// clone returns a copy that add may change.
func (t *table) clone() *table {
	c := *t
	c.lits = append([]literal(nil), t.lits...)
	c.keys = append([]string(nil), t.keys...)
	c.refs = make([][]ref, len(t.refs))
	for i, refs := range t.refs {
		c.refs[i] = refs[:len(refs):len(refs)]
	}
	return &c
}

// add lists lit under its rarest pair at an even and at an odd offset.
func (t *table) add(lit literal) {
	n := uint16(len(t.lits))
	t.lits = append(t.lits, lit)
	for parity := range 2 {
		best, least := -1, int32(0)
		for i := parity; i+1 < len(lit.text); i += 2 {
			if c := t.cost(&lit, i); best < 0 || c < least {
				best, least = i, c
			}
		}
		if best >= 0 {
			t.list(lit.variants(best), lit.variants(best+1), t.reference(&lit, n, best))
			continue
		}
		t.addShort(&lit, n, parity)
	}
}

// addShort lists a literal too short for a whole pair at this parity: any byte
// may come after, or before.
func (t *table) addShort(lit *literal, n uint16, parity int) {
	for c := range 256 {
		any := string([]byte{byte(c)})
		if parity == 0 {
			t.list(lit.variants(0), any, ref{lit: n})
		} else {
			t.list(any, lit.variants(0), ref{lit: n, off: -1})
		}
	}
}

func (t *table) list(first, second string, r ref) {
	for i := range len(first) {
		for j := range len(second) {
			t.enter(first[i], second[j], r)
		}
	}
}

func (t *table) enter(a, b byte, r ref) {
	p := uint16(a) | uint16(b)<<8
	if t.bucket[p] == 0 {
		t.refs = append(t.refs, nil)
		t.bucket[p] = uint16(len(t.refs) - 1)
	}
	t.hit[p] |= hitLiteral
	t.refs[t.bucket[p]] = append(t.refs[t.bucket[p]], r)
}

// cost estimates how often the pair at i is met in ordinary text.
func (t *table) cost(l *literal, i int) (sum int32) {
	first, second := l.variants(i), l.variants(i+1)
	for i := range len(first) {
		for j := range len(second) {
			sum += t.rates[uint16(first[i])|uint16(second[j])<<8]
		}
	}
	return sum
}

// reference returns the entry for a literal that starts off bytes before its
// pair, with a second pair to look at first: the rarest of the others.
func (t *table) reference(l *literal, n uint16, off int) ref {
	r := ref{lit: n, off: int16(off)}
	best, least := -1, int32(0)
	for i := 0; i+1 < len(l.text); i++ {
		if c := t.cost(l, i); i != off && (best < 0 || c < least) {
			best, least = i, c
		}
	}
	if best < 0 {
		return r
	}
	r.next = int16(best - off)
	for k := range 2 {
		v, shift := l.variants(best+k), 8*k
		switch {
		case len(v) == 1:
			r.want |= uint16(v[0]) << shift
		case l.fold && len(v) == 2:
			r.want |= uint16(v[0]) << shift
			r.mask |= ('a' - 'A') << shift
		default:
			r.want |= 0xff << shift
			r.mask |= 0xff << shift
		}
	}
	return r
}
