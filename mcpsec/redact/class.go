package redact

// class is a set of bytes, one bit each, so that a byte is tested with one
// load. Each set has its own bit, because runs are remembered by set.
type class uint32

const (
	alnum    class = 1 << iota // letters and digits
	letter                     // a-z A-Z
	digit                      // 0-9
	hexa                       // 0-9 a-f A-F
	b32                        // A-Z 0-9
	b64                        // alnum + / =
	b64url                     // alnum _ -
	word                       // alnum _
	ident                      // alnum _ - . : the bytes of a key name
	opaque                     // ident + / = ~ + %: the bytes of a credential
	blank                      // space and tab
	white                      // space, tab, CR, LF
	pemBody                    // b64, white space and escapes: what a PEM block holds
	urlPath                    // what goes on in a URL
	crypt                      // the bytes of a password hash
	b64any                     // alnum + / - _
	notWhite                   // all but white space and quotes
	ends                       // where an unquoted value may end
	oneLine                    // all but what ends a line or a string of JSON
	columned                   // what may stand behind a name in the first row of a table
	wraps                      // where what stands around a value begins, see unwrap
	innocent                   // letters, digits and marks that say nothing about a value
)

var classes = buildClasses()

func buildClasses() (t [256]class) {
	set := func(c class, bytes string) {
		for i := range len(bytes) {
			t[bytes[i]] |= c
		}
	}
	const lower, upper, digits = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	for _, c := range []class{alnum, b64, b64url, word, ident, opaque, pemBody, urlPath, crypt, b64any} {
		set(c, lower+upper+digits)
	}
	set(letter, lower+upper)
	set(digit, digits)
	set(hexa, digits+"abcdefABCDEF")
	set(b32, upper+digits)
	set(b64, "+/=")
	set(b64url, "_-")
	set(word, "_")
	set(ident, "_-.")
	set(opaque, "_-.+/=~%")
	set(blank, " \t")
	set(white, " \t\r\n")
	set(pemBody, "+/= \t\r\n\\-:,")
	set(urlPath, "_-.~%!$*+,;=:@/?&#")
	set(crypt, "./$,=+-_")
	set(b64any, "+/-_")
	set(ends, " \t\r\n\"'`<>\x1b\x00\\?&,;()[]{}%")
	set(wraps, "\n\r|>bNEur&")
	for _, w := range wrappers {
		set(wraps, w[:1])
	}
	set(columned, ",;|\t \r\n\\")
	set(innocent, lower+upper+digits+"!@#$%^&+=~?/;,|")
	for c := range t {
		if c != '\n' && c != '\r' && c != '\\' {
			t[c] |= oneLine
		}
		if t[c]&white == 0 && c != '"' && c != '\'' && c != '`' {
			t[c] |= notWhite
		}
	}
	return t
}

// sum returns the classes that some byte of v is in, and those that every byte is
// in.
func sum(v string) (some, every class) {
	every = ^every
	for i := range len(v) {
		c := classes[v[i]]
		some, every = some|c, every&c
	}
	return some, every
}

func is(b byte, c class) bool { return classes[b]&c != 0 }

// lowered is b in lower case if it is an ASCII letter.
func lowered(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}

// hasFold reports whether s has the lower-case prefix at i, in any case.
func hasFold(s string, i int, prefix string) bool {
	if i < 0 || len(s)-i < len(prefix) {
		return false
	}
	for j := range len(prefix) {
		if lowered(s[i+j]) != prefix[j] {
			return false
		}
	}
	return true
}

func hasAt(s string, i int, prefix string) bool {
	return i >= 0 && len(s)-i >= len(prefix) && s[i:i+len(prefix)] == prefix
}

// kinds tells which sorts of bytes the beginning of v holds. It looks at 64
// bytes: enough to judge, and a bound on what a hostile value costs.
func kinds(v string) (lower, upper, digits, other int) {
	for i := range min(len(v), 64) {
		switch c := v[i]; {
		case 'a' <= c && c <= 'z':
			lower++
		case 'A' <= c && c <= 'Z':
			upper++
		case '0' <= c && c <= '9':
			digits++
		default:
			other++
		}
	}
	return lower, upper, digits, other
}

// mixed reports whether v holds letters and digits, in its first 64 bytes.
func mixed(v string) bool {
	var seen class
	for i := range min(len(v), 64) {
		if seen |= classes[v[i]] & (letter | digit); seen == letter|digit {
			return true
		}
	}
	return false
}
