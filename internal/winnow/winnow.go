// Package winnow finds text again that has been copied out of a longer one, by the
// fingerprints of Schleimer, Wilkerson and Aiken (Winnowing, SIGMOD 2003): of every run of
// [Run] letters and digits that two texts share, they share a fingerprint. Case, spaces,
// punctuation and the structure of JSON do not count, and what is written in base64, hex or
// percent signs is found too. A fingerprint is 40 bits of a hash: the text cannot be had
// back from it.
package winnow

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// Run is the length from which a shared run is found, in letters and digits.
const Run = gram + window - 1

const (
	gram   = 24 // letters and digits in one hash
	window = 17 // hashes of which one is kept
	mask   = 1<<40 - 1
)

// Prints returns the fingerprints of the values in a JSON text, sorted, each once. Names
// of members are left out; what is not JSON counts as one text.
func Prints(text []byte) []uint64 {
	var out []uint64
	for _, folded := range streams(text) {
		out = appendPrints(out, folded)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// streams are the texts to look at: all values one after the other, and what can be
// decoded from them.
func streams(text []byte) [][]byte {
	all, ok := values(text)
	if !ok {
		all = []string{string(text)}
	}
	var whole []byte
	var list [][]byte
	for _, v := range all {
		whole = fold(whole, v)
		for _, d := range decoded(v) {
			list = append(list, fold(nil, d))
		}
	}
	return append(list, whole)
}

// values are the strings and numbers in a JSON text, in order.
func values(text []byte) (out []string, ok bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	type level struct{ object, name bool }
	var levels []level
	for {
		tok, err := d.Token()
		if err != nil {
			return out, err == io.EOF
		}
		top := len(levels) - 1
		switch tok := tok.(type) {
		case json.Delim:
			if tok == '}' || tok == ']' {
				levels = levels[:top]
				continue
			}
			if top >= 0 && levels[top].object {
				levels[top].name = true
			}
			levels = append(levels, level{object: tok == '{', name: tok == '{'})
			continue
		case string:
			if top >= 0 && levels[top].name {
				levels[top].name = false
				continue
			}
			out = append(out, tok)
		case json.Number:
			out = append(out, tok.String())
		}
		if top >= 0 && levels[top].object {
			levels[top].name = true
		}
	}
}

// fold appends the letters and digits of s in lower case.
func fold(b []byte, s string) []byte {
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			b = append(b, string(unicode.ToLower(r))...)
		}
	}
	return b
}

// decoded returns what s holds in base64, in hex or behind percent signs, where that is
// long enough to be found.
func decoded(s string) (out []string) {
	if strings.Contains(s, "%") {
		if d, err := url.QueryUnescape(s); err == nil {
			out = append(out, d)
		}
	}
	for _, word := range strings.FieldsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("+/-_=", r)
	}) {
		word = strings.TrimRight(word, "=")
		if len(word) < Run {
			continue
		}
		if d, err := hex.DecodeString(word); err == nil {
			out = append(out, string(d))
		}
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			if d, err := enc.DecodeString(word); err == nil {
				out = append(out, string(d))
			}
		}
	}
	return out
}

// appendPrints keeps the least hash of each window, of equal ones the last.
func appendPrints(out []uint64, text []byte) []uint64 {
	if len(text) < gram {
		return out
	}
	const base = 0x100000001b3
	var h, high uint64 = 0, 1
	for range gram - 1 {
		high *= base
	}
	var ring [window]uint64
	kept, n := -1, 0 // where in the order of hashes the kept one is
	for i, c := range text {
		if i >= gram {
			h -= (uint64(text[i-gram]) + 1) * high
		}
		h = h*base + uint64(c) + 1
		if i < gram-1 {
			continue
		}
		ring[n%window] = mix(h)
		if n >= window-1 {
			least := n - window + 1
			for k := least; k <= n; k++ {
				if ring[k%window] <= ring[least%window] {
					least = k
				}
			}
			if least != kept {
				out, kept = append(out, ring[least%window]), least
			}
		}
		n++
	}
	if n < window { // shorter than a window: the least of what there is
		out = append(out, slices.Min(ring[:n]))
	}
	return out
}

// mix spreads a rolling hash, whose low bits are those of the last letters.
func mix(h uint64) uint64 {
	h ^= h >> 31
	h *= 0x9e3779b97f4a7c15
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return (h ^ h>>32) & mask
}
