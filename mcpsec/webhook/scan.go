package webhook

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"strings"
)

// members finds the string values of two named members of a JSON object, not of
// the objects inside it. It reports whether the body is one object whose own
// names and commas are in place, and in which each name stands once at most,
// with a string without escapes. A member whose name is written with escapes, or
// in another case, is refused: another reader may take it for one of the two.
// What is missing is empty, and so is the value of an empty name.
//
// The values of other members are passed over by their brackets and quotes, which
// suffices to find their end, and costs less than the signature does. That they
// are JSON is not checked: the sender signed them, and the handler decodes them.
func members(body []byte, first, second string) (values [2]string, ok bool) {
	names, seen := [2]string{first, second}, [2]bool{}
	i := space(body, 0)
	if at(body, i) != '{' {
		return values, false
	}
	i = space(body, i+1)
	if at(body, i) == '}' {
		return values, space(body, i+1) == len(body)
	}
	for {
		name, next := plainString(body, i)
		i = space(body, next)
		if at(body, i) != ':' {
			return values, false
		}
		i = space(body, i+1)
		end := pass(body, i)
		if end < 0 {
			return values, false
		}
		for n, want := range names {
			if want == "" || len(name) != len(want) || !strings.EqualFold(string(name), want) {
				continue
			}
			value, end := plainString(body, i)
			if seen[n] || string(name) != want || end < 0 {
				return values, false
			}
			values[n], seen[n] = string(value), true
		}
		switch i = space(body, end); at(body, i) {
		case ',':
			i = space(body, i+1)
		case '}':
			return values, space(body, i+1) == len(body)
		default:
			return values, false
		}
	}
}

// kind returns the value of the named member, as an event's type that nothing
// depends on: empty if there is no such member, or more than one way to read it.
func kind(body []byte, name string) string {
	values, ok := members(body, name, "")
	if !ok || !isID(values[0]) {
		return ""
	}
	return values[0]
}

// at returns the byte at i, or 0 behind the end.
func at(b []byte, i int) byte {
	if i < 0 || i >= len(b) {
		return 0
	}
	return b[i]
}

// space returns the index of the first byte from i that is no white space.
func space(b []byte, i int) int {
	for i >= 0 && i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// plainString returns the string at i, which must have no escapes and not be
// long, and the index behind it, or -1.
func plainString(b []byte, i int) ([]byte, int) {
	if at(b, i) != '"' {
		return nil, -1
	}
	const longest = 256
	text := b[i+1 : min(len(b), i+1+longest+1)]
	n := bytes.IndexByte(text, '"')
	if n < 0 || bytes.IndexByte(text[:n], '\\') >= 0 {
		return nil, -1
	}
	return text[:n], i + n + 2
}

// pass returns the index behind the value at i, or -1.
func pass(b []byte, i int) int {
	switch at(b, i) {
	case '{', '[', '"':
		return passNested(b, i)
	}
	start := i
	for i < len(b) && (b[i] == '-' || b[i] == '+' || b[i] == '.' || '0' <= b[i] && b[i] <= '9' || 'a' <= b[i] && b[i] <= 'z' || b[i] == 'E') {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// passNested returns the index behind the string, array or object at i, or -1.
func passNested(b []byte, i int) int {
	depth, inString, escaped := 0, false, -1
	for word := i; word < len(b); word += 8 {
		if depth > 0 && escaped < word {
			var odd bool
			if word, odd = passQuotes(b, word); odd {
				inString = !inString
			}
		}
		quotes, others := structural(wordAt(b, word))
		for hits := quotes | others; hits != 0; hits &= hits - 1 {
			p := word + bits.TrailingZeros64(hits)/8
			switch c := b[p]; {
			case p == escaped:
				continue
			case c == '"':
				inString = !inString
			case inString:
				if c == '\\' {
					escaped = p + 1
				}
				continue
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']':
				depth--
			default:
				return -1 // a backslash or a bar
			}
			if depth == 0 && !inString {
				return p + 1
			}
		}
	}
	return -1
}

// passQuotes passes over words that hold no brackets and backslashes, as most do, and
// reports whether the number of quotes in them is odd.
func passQuotes(b []byte, word int) (next int, odd bool) {
	var all uint64 // an odd number of high bits, if that of the quotes is odd
	for word <= len(b)-16 {
		w, v := binary.LittleEndian.Uint64(b[word:]), binary.LittleEndian.Uint64(b[word+8:])
		if (maybe(w)|maybe(v))&high != 0 {
			break
		}
		all ^= unquoted(w) ^ unquoted(v)
		word += 16
	}
	return word, bits.OnesCount64(all&high)&1 == 1
}

const ones, low, high = 0x0101010101010101, 0x7f7f7f7f7f7f7f7f, 0x8080808080808080

// unquoted sets the high bit of each byte that is no quote.
func unquoted(w uint64) uint64 {
	w ^= '"' * ones
	return (w&low + low) | w // adding 0x7f carries into the high bit unless the byte is zero
}

// maybe sets the high bit of each bracket, brace, bar and backslash, and of some
// bytes that are not ASCII. With bit 5 set they are 0x7b to 0x7d: adding 5 carries
// from 0x7b on, adding 2 from 0x7e on.
func maybe(w uint64) uint64 {
	x := (w | 0x20*ones) & low
	return (x + 5*ones) &^ (x + 2*ones)
}

// wordAt returns the eight bytes at i, the first lowest, with zeros behind the
// end.
func wordAt(b []byte, i int) uint64 {
	if i <= len(b)-8 {
		return binary.LittleEndian.Uint64(b[i:])
	}
	var last [8]byte
	copy(last[:], b[i:])
	return binary.LittleEndian.Uint64(last[:])
}

// structural marks, by the high bit of each byte, the quotes of a word, and its
// brackets, braces and backslashes, and bars too.
func structural(w uint64) (quotes, others uint64) {
	return ^unquoted(w) & high, maybe(w) & high &^ w
}
