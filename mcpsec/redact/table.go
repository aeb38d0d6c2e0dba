package redact

import "sync"

// allBytes holds each byte once.
var allBytes = func() string {
	var b [256]byte
	for i := range b {
		b[i] = byte(i)
	}
	return string(b[:])
}()

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
	if i < 0 || i >= len(l.text) {
		return allBytes
	}
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

// ref says that literal lit starts off bytes before a window, the four bytes of
// which, with the bits of mask set, are want.
type ref struct {
	lit        uint16
	off        int16
	want, mask uint32
}

// fits is a quick test before the whole literal is compared.
func (r *ref) fits(s string, i int) bool {
	if i+4 > len(s) {
		return true
	}
	b := s[i : i+4]
	return (uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24)|r.mask == r.want
}

// table tells for each byte pair which literals may be there. It is not
// changed once built: a Redactor swaps in a new one.
//
// A literal is found by a window: four bytes of it, as two pairs. The literals
// are spread over groups, and near holds, for each pair, a bit for each group
// in which it is the second half of a window and, eight bits higher, for each
// in which it is the first.
type table struct {
	near   [1 << 16]uint16
	bucket [1 << 16]uint16 // of a first half: its place in refs
	refs   [][]ref
	lits   []literal
	rates  *[1 << 16]int32 // see pairRates
	load   [groups]load
	keys   []string // the user's key names, folded
	exact  bool     // there are registered values
}

// The last of the groups is that of digits.
const (
	groups     = 7
	digitGroup = 1 << 7
	anyGroup   = 1<<8 - 1
)

// load is how many of a million pairs of ordinary text are a first half, and a
// second half, of a window in a group.
type load struct{ first, second int64 }

var builtin = sync.OnceValue(func() *table {
	rates := pairRates()
	t := &table{refs: make([][]ref, 1), rates: &rates}
	for a := byte('0'); a <= '9'; a++ {
		for b := byte('0'); b <= '9'; b++ {
			t.near[uint16(a)|uint16(b)<<8] = digitGroup<<8 | digitGroup
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

// window is four bytes of a literal, from off on, and the pairs that its two
// halves may be. It may reach over the literal's ends, where any byte fits.
type window struct {
	off           int
	first, second []uint16
}

// add lists lit under its rarest windows, one that starts at an even offset and
// one at an odd.
func (t *table) add(lit literal) {
	n := uint16(len(t.lits))
	t.lits = append(t.lits, lit)
	for parity := range 2 {
		best, least := window{}, int64(-1)
		for off := -parity; off < len(lit.text); off += 2 {
			w := window{off, lit.pairs(off), lit.pairs(off + 2)}
			if c := t.rate(w.first) * t.rate(w.second); least < 0 || c < least {
				best, least = w, c
			}
		}
		t.list(best, lit.reference(n, best.off))
	}
}

// list enters w into the group in which it adds least to what has to be looked
// at in vain.
func (t *table) list(w window, r ref) {
	best, least, change := 0, int64(-1), load{}
	for g := range groups {
		l := t.load[g]
		d := load{t.rate(t.lacking(w.first, 8+g)), t.rate(t.lacking(w.second, g))}
		if c := (l.first+d.first)*(l.second+d.second) - l.first*l.second; least < 0 || c < least {
			best, least, change = g, c, d
		}
	}
	t.load[best].first += change.first
	t.load[best].second += change.second
	for _, p := range w.second {
		t.near[p] |= 1 << best
	}
	for _, p := range w.first {
		t.near[p] |= 1 << (8 + best)
		if t.bucket[p] == 0 {
			t.refs = append(t.refs, nil)
			t.bucket[p] = uint16(len(t.refs) - 1)
		}
		t.refs[t.bucket[p]] = append(t.refs[t.bucket[p]], r)
	}
}

// lacking returns the pairs without that bit in near.
func (t *table) lacking(pairs []uint16, bit int) (out []uint16) {
	for _, p := range pairs {
		if t.near[p]&(1<<bit) == 0 {
			out = append(out, p)
		}
	}
	return out
}

// rate estimates how many of a million pairs of ordinary text are among pairs.
func (t *table) rate(pairs []uint16) (sum int64) {
	for _, p := range pairs {
		sum += int64(t.rates[p])
	}
	return min(sum, 1_000_000)
}

// pairs returns the pairs that may stand at offset i.
func (l *literal) pairs(i int) (out []uint16) {
	first, second := l.variants(i), l.variants(i+1)
	for i := range len(first) {
		for j := range len(second) {
			out = append(out, uint16(first[i])|uint16(second[j])<<8)
		}
	}
	return out
}

// reference returns the entry for the window at offset off.
func (l *literal) reference(n uint16, off int) ref {
	r := ref{lit: n, off: int16(off)}
	for k := range 4 {
		v, shift := l.variants(off+k), 8*k
		switch {
		case len(v) == 1:
			r.want |= uint32(v[0]) << shift
		case l.fold && len(v) == 2:
			r.want |= uint32(v[0]) << shift
			r.mask |= ('a' - 'A') << shift
		default:
			r.want |= 0xff << shift
			r.mask |= 0xff << shift
		}
	}
	return r
}
