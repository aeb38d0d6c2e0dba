package sqllex

import (
	"errors"
	"strings"
	"testing"
)

// reads checks the kinds and values of all tokens of sql, written as
// "kind:value" with w word, q quoted, u unicode word, s string, b bits,
// n number, $ parameter, o operator, p punctuation.
func reads(t *testing.T, sql string, want ...string) {
	t.Helper()
	tokens, err := Scan(sql)
	if err != nil {
		t.Errorf("Scan(%q): got error %v, want %q", sql, err, want)
		return
	}
	var got []string
	for _, tok := range tokens {
		got = append(got, string(" wqusbn$op"[tok.Kind])+":"+tok.Value)
	}
	if strings.Join(got, "\x00") != strings.Join(want, "\x00") {
		t.Errorf("Scan(%q):\n got %q\nwant %q", sql, got, want)
	}
}

// unreadable checks the reason and position of the error for sql.
func unreadable(t *testing.T, sql string, reason Reason, pos int) {
	t.Helper()
	tokens, err := Scan(sql)
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("Scan(%q): got %v, %v, want %q", sql, tokens, err, reason)
		return
	}
	if e.Reason != reason || e.Pos != pos {
		t.Errorf("Scan(%q): got %q at %d, want %q at %d", sql, e.Reason, e.Pos, reason, pos)
	}
}

func TestWhiteSpaceAndComments(t *testing.T) {
	t.Parallel()
	reads(t, "")
	reads(t, " \t\r\n\f")
	reads(t, "a -- b\rc -- d\ne -- f", "w:a", "w:c", "w:e")
	reads(t, "a /* /* */ ; */ b", "w:a", "w:b")
	reads(t, "a/**/b/***/c/*/**/*/d", "w:a", "w:b", "w:c", "w:d")
	reads(t, "a /* ' */ b -- '", "w:a", "w:b")
	reads(t, "a/*//*x*/*/*/b", "w:a", "o:*/", "w:b")
	unreadable(t, "a /* /* */", UnterminatedComment, 2)
	unreadable(t, "a /*/", UnterminatedComment, 2)
	unreadable(t, "a \v b", BadCharacter, 2)
	reads(t, "/*\v*/'\v'", "s:\v")
}

func TestStrings(t *testing.T) {
	t.Parallel()
	reads(t, `'it''s' '' ''''`, "s:it's", "s:", "s:'")
	reads(t, `'a\' ; 'b'`, `s:a\`, "p:;", "s:b")
	reads(t, `n'a' N'b'`, "s:a", "s:b")
	reads(t, `b'01''1' X'1F'`, "b:b01", "s:1", "b:x1F")
	reads(t, `ae'x' au&'x'`, "w:ae", "s:x", "w:au", "o:&", "s:x")
	unreadable(t, `a 'b`, UnterminatedString, 2)
	unreadable(t, `'b''`, UnterminatedString, 0)
	unreadable(t, `b'0`, UnterminatedString, 0)
	unreadable(t, `E'\'`, UnterminatedString, 0)
}

func TestStringContinuation(t *testing.T) {
	t.Parallel()
	reads(t, "'a'\n'b'", "s:ab")
	reads(t, "'a'\r'b' \t\n 'c'", "s:abc")
	reads(t, "'a' -- x'\n -- y'\n 'b'", "s:ab")
	reads(t, "E'a'\n'\\' ;'", "s:a' ;")
	reads(t, "E'\\xc3'\n'\\xa9'", "s:é")
	reads(t, "B'0'\n'1'", "b:b01")
	reads(t, "U&'\\00'\n'41'", "s:A")
	reads(t, "'a' 'b'", "s:a", "s:b")
	reads(t, "'a' /*\n*/ 'b'", "s:a", "s:b")
	reads(t, "'a'\n/**/'b'", "s:a", "s:b")
	reads(t, "'a'\nE'b'", "s:a", "s:b")
	reads(t, "'a'\n- 'b'", "s:a", "o:-", "s:b")
	reads(t, "'a' --", "s:a")
	unreadable(t, "'a'\n'b", UnterminatedString, 0)
}

func TestEscapeStrings(t *testing.T) {
	t.Parallel()
	reads(t, `E'\b\f\n\r\t\q\\\'''' e'\é'`, "s:\b\f\n\r\tq\\''", "s:é")
	reads(t, `E'\101\1012\x41\x4g\xg\477'`, "s:AA2A\x04gxg?")
	reads(t, `E'\u0041\U0001F600\uD83D\uDE00'`, "s:A😀😀")
	for _, s := range []string{
		`\000`, `\x0`, `\u0000`, `\u12`, `\U0000004`, `\U00110000`, `\xff`, `\303`,
		`\uD83D`, `\uD83Dx`, `\uD83D\n`, `\uD83D\u0041`, `\uDE00`, `\v`,
	} {
		unreadable(t, `E'`+s+`'`, BadEscape, 0)
	}
	unreadable(t, "E'\\uD83D'\n'\\uDE00'", BadEscape, 0)
}

func TestUnicodeEscapes(t *testing.T) {
	t.Parallel()
	reads(t, `U&'\0041\+01F600\\\D83D\DE00'`, `s:A😀\😀`)
	reads(t, `u&'!0041' UESCAPE '!' x`, "s:A", "w:x")
	reads(t, "U&'\\0041!!' /* */ uescape -- \n '!'", `s:\0041!`)
	reads(t, `U&"pg_advisory_l\006fck"`, "u:pg_advisory_lock")
	reads(t, `U&"a!0062" UESCAPE'!'`, "u:ab")
	reads(t, `U&'a' uescapes`, "s:a", "w:uescapes")
	reads(t, `u & 'x'`, "w:u", "o:&", "s:x")
	for _, s := range []string{
		`U&'\'`, `U&'\00'`, `U&'\004g'`, `U&'\+11FFFF'`, `U&'\0000'`, `U&'\D83D'`, `U&'\DE00'`,
		`U&'\D83Dx'`, `U&"\00"`, `U&'' UESCAPE`, `U&'' UESCAPE a`, `U&'' UESCAPE 'ab'`,
		`U&'' UESCAPE '+'`, `U&'' UESCAPE 'a'`, `U&'' UESCAPE ' '`, `U&'' UESCAPE ''''`,
		`U&'' UESCAPE E'!'`,
	} {
		unreadable(t, s, BadEscape, 0)
	}
	unreadable(t, `U&"`, UnterminatedName, 0)
	unreadable(t, `U&""`, EmptyName, 0)
	unreadable(t, `U&'`, UnterminatedString, 0)
}

func TestDollarQuotes(t *testing.T) {
	t.Parallel()
	reads(t, `$$a';--$$`, "s:a';--")
	reads(t, `$a$ $$ $b$ $A$ $a$`, "s: $$ $b$ $A$ ")
	reads(t, `$a$x$b$a$`, "s:x$b")
	reads(t, `$a$$a$`, "s:")
	reads(t, `$a$$$a$`, "s:$")
	reads(t, `$é$ ' $é$;`, "s: ' ", "p:;")
	reads(t, `a$b$; c$b$`, "w:a$b$", "p:;", "w:c$b$")
	reads(t, `($$;$$)`, "p:(", "s:;", "p:)")
	unreadable(t, `$a$ $b$`, UnterminatedString, 0)
	unreadable(t, `a $`, BadDollar, 2)
	unreadable(t, `$a`, BadDollar, 0)
	unreadable(t, `$a-$`, BadDollar, 0)
}

func TestWords(t *testing.T) {
	t.Parallel()
	reads(t, `Select "Select" "a""b" _É1$`, "w:select", "q:Select", `q:a"b`, "w:_É1$")
	reads(t, "\u212Aa \u00a0b", "w:\u212Aa", "w:\u00a0b")
	long := strings.Repeat("A", 62)
	reads(t, long+"B", "w:"+strings.ToLower(long)+"b")
	reads(t, long+"BC", "w:"+strings.ToLower(long)+"b")
	reads(t, long+"é", "w:"+strings.ToLower(long))
	reads(t, `"`+long+`BC"`, "q:"+long+"B")
	for sql, want := range map[string]bool{long + "B": false, long + "BC": true, `"` + long + `é"`: true} {
		if tokens, err := Scan(sql); err != nil || tokens[0].Cut != want {
			t.Errorf("Scan(%q): got %+v, %v, want Cut %v", sql, tokens, err, want)
		}
	}
	unreadable(t, `a ""`, EmptyName, 2)
	unreadable(t, `a "b`, UnterminatedName, 2)
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, n := range []string{"1", "1.", ".5", "1.5", "1e5", "1.e5", ".5E-1", "1.5e+10", "0x1F", "0X_1f", "0o17", "0b1_0", "1_000.0_1e1_0", "007"} {
		reads(t, n, "n:"+n)
	}
	reads(t, "1..2", "n:1", "p:..", "n:2")
	reads(t, "1.2.3", "n:1.2", "n:.3")
	reads(t, "1'a'", "n:1", "s:a")
	reads(t, `1"a"`, "n:1", "q:a")
	reads(t, "-1", "o:-", "n:1")
	for _, n := range []string{"1a", "1e", "1e+", "1.5e", "1_", "1__0", "1_a", "0x", "0xg", "0x1g", "0o8", "0b12", "0b'1'", "1.a", "1.e", "1$$a$$", "0x1.5", "1é", "12FROM"} {
		unreadable(t, n, BadNumber, 0)
	}
}

func TestParams(t *testing.T) {
	t.Parallel()
	reads(t, "$1+$65535", "$:$1", "o:+", "$:$65535")
	for _, p := range []string{"$0", "$65536", "$4294967297", "$1abc", "$1_0", "$1$$x$$", "$1é"} {
		unreadable(t, p, BadParam, 0)
	}
}

func TestOperators(t *testing.T) {
	t.Parallel()
	reads(t, "1=-1", "n:1", "o:=", "o:-", "n:1")
	reads(t, "a @- b", "w:a", "o:@-", "w:b")
	reads(t, "a <+-+ b", "w:a", "o:<", "o:+", "o:-", "o:+", "w:b")
	reads(t, "a <> b != c", "w:a", "o:<>", "w:b", "o:<>", "w:c")
	reads(t, "a @--b", "w:a", "o:@")
	reads(t, "a +/*x*/- b", "w:a", "o:+", "o:-", "w:b")
	reads(t, "a */*x*/ b", "w:a", "o:*", "w:b")
	reads(t, "a=>b:=c::d:e", "w:a", "p:=>", "w:b", "p::=", "w:c", "p:::", "w:d", "p::", "w:e")
	reads(t, "a=>-1", "w:a", "p:=>", "o:-", "n:1")
	reads(t, "a->>'b'", "w:a", "o:->>", "s:b")
	reads(t, "a.b[1]", "w:a", "p:.", "w:b", "p:[", "n:1", "p:]")
	reads(t, strings.Repeat("@", 63), "o:"+strings.Repeat("@", 63))
	unreadable(t, strings.Repeat("@", 64), LongOperator, 0)
	unreadable(t, strings.Repeat("+", 64), LongOperator, 0)
}

func TestUnreadableBytes(t *testing.T) {
	t.Parallel()
	unreadable(t, "a '\x00'", BadEncoding, 3)
	unreadable(t, "a '\xff'", BadEncoding, 3)
	unreadable(t, "'\uFFFD' '\xc3'", BadEncoding, 7)
	unreadable(t, "'\xed\xa0\x80'", BadEncoding, 1)
	for _, c := range `\{}` {
		unreadable(t, "a "+string(c), BadCharacter, 2)
	}
}

func TestTokenLimit(t *testing.T) {
	t.Parallel()
	if _, err := Scan(strings.Repeat(",", MaxTokens)); err != nil {
		t.Errorf("MaxTokens tokens: got %v, want none", err)
	}
	unreadable(t, strings.Repeat(",", MaxTokens+1), TooManyTokens, MaxTokens)
}
