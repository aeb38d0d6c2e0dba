package sqllex

// Classes of bytes, as scan.l names them.
const (
	space uint8 = 1 << iota
	wordStart
	wordPart
	digit
	hexDigit
	operatorChar
)

var class = func() (t [256]uint8) {
	set := func(chars string, c uint8) {
		for i := range len(chars) {
			t[chars[i]] |= c
		}
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	const digits = "0123456789"
	set(" \t\n\r\f", space)
	set(letters, wordStart|wordPart)
	set(digits, digit|hexDigit|wordPart)
	set("$", wordPart)
	set("abcdefABCDEF", hexDigit)
	set("~!@#^&|`?+-*/%<>=", operatorChar)
	for i := 0x80; i < 0x100; i++ {
		t[i] |= wordStart | wordPart // every byte of every letter beyond ASCII, and of no-break spaces
	}
	return t
}()

func isSpace(c byte) bool     { return class[c]&space != 0 }
func isWordStart(c byte) bool { return class[c]&wordStart != 0 }
func isWordPart(c byte) bool  { return class[c]&wordPart != 0 }
func isDigit(c byte) bool     { return class[c]&digit != 0 }
func isHex(c byte) bool       { return class[c]&hexDigit != 0 }
func isOperator(c byte) bool  { return class[c]&operatorChar != 0 }

func isOctal(c byte) bool  { return '0' <= c && c <= '7' }
func isBinary(c byte) bool { return c == '0' || c == '1' }
