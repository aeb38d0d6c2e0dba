package redact

import (
	"math/bits"
	"slices"
	"sync"
)

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
	kindCommand             // a program with a flag that takes a secret
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
	lit        uint32
	off        int16
	group      uint8
	last       bool // of its list
	want, mask uint32
}

// table tells for each byte pair which literals may be there. It is not
// changed once built: a Redactor swaps in a new one.
//
// A literal is found by a window: four bytes of it, as two pairs. The literals
// are spread over groups, and near holds, for each pair, a bit for each group
// in which it is the second half of a window and, sixteen bits higher, for each
// in which it is the first.
type table struct {
	near  [1 << 16]uint32
	list  [1 << 16]uint32 // of a pair that is a first half: where its list begins in refs
	refs  []ref           // the lists, which pairs share; the first is of no list
	lits  []literal
	rates *[1 << 16]uint8 // see pairRates; only while literals are added
	load  [groups]load
	keys  []string // the user's key names, folded
	exact bool     // there are registered values
	gap   int      // see maxGap
}

const (
	groups     = 15
	wildGroup  = 0       // of windows whose second half is nearly any pair
	digitGroup = 1 << 15 // no literals: digits after digits
	scarce     = 50      // of a million pairs
)

// load is how many of a million pairs of ordinary text are a first half, and a
// second half, of a window in a group.
type load struct{ first, second int64 }

var builtin = sync.OnceValue(build)

// build makes the table of what every Redactor looks for.
func build() *table {
	t := &table{gap: maxGap, rates: pairRates(), lits: make([]literal, 0, 800), refs: make([]ref, 1, 7700)}
	for p := range t.near {
		t.near[p] = 1 << wildGroup
	}
	for a := byte('0'); a <= '9'; a++ {
		for b := byte('0'); b <= '9'; b++ {
			t.near[uint16(a)|uint16(b)<<8] |= digitGroup<<16 | digitGroup
		}
	}
	for i, token := range tokens() {
		t.add(literal{text: token.literal(), kind: kindToken, arg: uint16(i)})
	}
	for _, text := range keyParts {
		t.add(literal{text: text, fold: true, kind: kindKey})
	}
	for _, lit := range specials() {
		t.add(lit)
	}
	t.rates = nil
	t.pack()
	return t
}

// pack leaves out the lists that no pair has any more.
func (t *table) pack() {
	old := t.refs
	t.refs = make([]ref, 1, 2600)
	moved := make([]uint32, len(old))
	for p, begin := range t.list {
		if begin == 0 {
			continue
		}
		if moved[begin] == 0 {
			moved[begin] = uint32(len(t.refs))
			n := slices.IndexFunc(old[begin:], func(r ref) bool { return r.last })
			t.refs = append(t.refs, old[begin:int(begin)+n+1]...)
		}
		t.list[p] = moved[begin]
	}
}

// with returns a copy to which literals were added.
func (t *table) with(add func(*table)) *table {
	c := *t
	c.refs, c.lits, c.keys, c.rates = slices.Clone(t.refs), slices.Clone(t.lits), slices.Clone(t.keys), pairRates()
	add(&c)
	c.rates = nil
	return &c
}

// window is four bytes of a literal, from off on, in two halves. It may reach
// over the literal's ends, where any byte fits.
type window struct {
	off           int
	first, second half
}

// half holds the bytes that may be the first and the second of a pair.
type half struct{ a, b string }

func (l *literal) window(off int) window {
	return window{off, half{l.variants(off), l.variants(off + 1)}, half{l.variants(off + 2), l.variants(off + 3)}}
}

// add lists lit under its rarest windows, one that starts at an even offset and
// one at an odd.
func (t *table) add(lit literal) {
	n := uint32(len(t.lits))
	t.lits = append(t.lits, lit)
	for parity := range 2 {
		off, last := parity, len(lit.text)-4
		if last < off && parity == 1 && t.rate(lit.window(off).first) > scarce {
			off = -1 // better over its beginning than most of it over its end
		}
		best, least := lit.window(off), int64(-1)
		for ; off <= last; off += 2 {
			w := lit.window(off)
			if c := t.rate(w.first) * t.rate(w.second); least < 0 || c < least {
				best, least = w, c
			}
		}
		t.enter(best, lit.reference(n, best.off))
	}
}

// enter lists w in the group in which it adds least to what has to be looked
// at in vain.
func (t *table) enter(w window, r ref) {
	best, least := wildGroup, int64(-1)
	first, second := t.added(w.first, 16), t.added(w.second, 0)
	for g := range t.load {
		if g == wildGroup || w.second.wild() {
			continue
		}
		l := t.load[g]
		if c := (l.first+first[g])*(l.second+second[g]) - l.first*l.second; least < 0 || c < least {
			best, least = g, c
		}
	}
	t.load[best].first += first[best]
	t.load[best].second += second[best]
	r.group = uint8(best)
	if best != wildGroup {
		w.second.each(func(p uint16) { t.near[p] |= 1 << best })
	}
	type longer struct{ from, to uint32 }
	var room [8]longer
	seen := room[:0]
	w.first.each(func(p uint16) {
		from := t.list[p]
		at := slices.IndexFunc(seen, func(l longer) bool { return l.from == from })
		if at < 0 {
			at = len(seen)
			seen = append(seen, longer{from, t.append(from, r)})
		}
		t.list[p] = seen[at].to
		t.near[p] |= 1 << (16 + best)
	})
}

// append returns where a list begins that is the one at begin, or none at 0, and r.
func (t *table) append(begin uint32, r ref) uint32 {
	to := uint32(len(t.refs))
	for more := begin != 0; more; begin++ {
		kept := t.refs[begin]
		more, kept.last = !kept.last, false
		t.refs = append(t.refs, kept)
	}
	r.last = true
	t.refs = append(t.refs, r)
	return to
}

// added estimates, for each group, how many of a million pairs of ordinary text
// are in h and have no bit for the group in near yet, from that bit on.
func (t *table) added(h half, bit int) (sum [groups]int64) {
	if h.wild() {
		return sum
	}
	var all int64
	h.each(func(p uint16) {
		rate := rarePair << t.rates[p]
		all += rate
		for there := t.near[p] >> bit & (1<<groups - 1) &^ (1 << wildGroup); there != 0; there &= there - 1 {
			sum[bits.TrailingZeros32(there)] -= rate
		}
	})
	for g := range sum {
		sum[g] += all
	}
	return sum
}

// wild reports whether most pairs are in h.
func (h half) wild() bool { return len(h.a)*len(h.b) > 1<<12 }

func (h half) each(f func(p uint16)) {
	for i := range len(h.a) {
		for j := range len(h.b) {
			f(uint16(h.a[i]) | uint16(h.b[j])<<8)
		}
	}
}

// rate estimates how many of a million pairs of ordinary text are in h.
func (t *table) rate(h half) (sum int64) {
	if h.wild() {
		return 1_000_000
	}
	h.each(func(p uint16) { sum += rarePair << t.rates[p] })
	return min(sum, 1_000_000)
}

// reference returns the entry for the window at offset off.
func (l *literal) reference(n uint32, off int) ref {
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
