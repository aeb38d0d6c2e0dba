package sqlgate

import (
	"context"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// complete is a statement after which the grammar accepts no further token. The
// server reports the one it finds there, with its place and its whole text.
const complete = "SHOW ALL "

// sameBoundaries compares every token of sql with the server's. Each probe
// begins where the token before ended, so by induction both read the same.
// A text that Scan refuses proves nothing and reports false, as does one with
// numbers that the server is too old for.
func sameBoundaries(t testing.TB, conn *pgconn.PgConn, sql string) bool {
	t.Helper()
	tokens, err := sqllex.Scan(sql)
	if err != nil || newNumbers.MatchString(sql) && postgres.Server(t).Version() < 16 {
		return false
	}
	end := 0
	for _, tok := range tokens {
		if text := serverToken(tok); text != "" {
			got := parse(t, conn, complete+sql[end:])
			want := `syntax error at or near "` + text + `"`
			pos := int32(len(complete) + utf8.RuneCountInString(sql[end:tok.Pos]) + 1)
			if got == nil || got.Position != pos || got.Message != want {
				t.Fatalf("in %q after byte %d:\n got %+v\nwant %s at %d", sql, end, got, want, pos)
			}
			sameValue(t, conn, tok)
		}
		end = tok.End()
	}
	if got := parse(t, conn, complete+sql[end:]); got != nil {
		t.Fatalf("in %q after byte %d:\n got %+v\nwant the end", sql, end, got)
	}
	return true
}

// serverToken returns the server's text for tok, or "" if the probe cannot tell.
func serverToken(tok sqllex.Token) string {
	switch {
	case tok.Is(";"):
		return "" // may follow a complete statement
	case tok.Kind == sqllex.String && strings.HasPrefix(strings.ToLower(tok.Text), "n'"):
		return tok.Text[:1] // the server makes two tokens of N'…'
	}
	return tok.Text
}

// sameValue compares what the server makes of a name or literal.
func sameValue(t testing.TB, conn *pgconn.PgConn, tok sqllex.Token) {
	t.Helper()
	switch tok.Kind {
	case sqllex.Word, sqllex.QuotedWord, sqllex.UnicodeWord:
		d, err := conn.Prepare(context.Background(), "", "SELECT 1 AS "+tok.Text, nil)
		if err != nil || d.Fields[0].Name != tok.Value {
			t.Fatalf("name %q: got %+v, %v, want %q", tok.Text, d, err, tok.Value)
		}
	case sqllex.String:
		r := conn.ExecParams(context.Background(), "SELECT "+tok.Text, nil, nil, nil, nil).Read()
		if r.Err != nil || string(r.Rows[0][0]) != tok.Value {
			t.Fatalf("string %q: got %q, %v, want %q", tok.Text, r.Rows, r.Err, tok.Value)
		}
	}
}

// tricky holds what makes scanners disagree, and what may stand beside it.
var tricky = []string{
	"'", "''", `"`, `""`, `\`, `\'`, "$$", "$a$", "$é$", "$", "$1", "a$b$", "--", "/*", "*/", "/", "*", "\n", "\r", " ", "\t", "\f", "\v",
	"E'", "e'", "B'01'", "X'1f'", "N'", "U&'", "u&", `U&"`, "UESCAPE", "'!'", "!0041", `\0041`, `\+01F600`, `\D83D\DE00`,
	`\u00e9`, `\U0001F600`, `\ud83d\ude00`, `\x41`, `\xc3\xa9`, `\xff`, `\v`, `\101`, `\303\251`, `\n`, "é", "\u00a0", "😀", "a", "A", "select", "n", "u", "e",
	"1", "1.", ".5", "1e5", "1..2", "1=-1", "0", "e1", "_", "+", "-", "=", "<", ">", "@", "!", "%", "|", "&", "?", "#", "~", "^", "`",
	"!=", "=>", ":=", "::", ":", ".", "..", ",", ";", "(", ")", "[", "]", strings.Repeat("Aé", 21), strings.Repeat("x", 70),
	"'a'\n'b'", "'a' --c\n 'b'", "E'a'\r'\\''", "'a' /*\n*/ 'b'", "'x", "x'", "$a$x$a$", "--x\r", "/*/**/*/",
}

var seeds = []string{
	"SELECT 1 AS a$b$; COMMIT; SELECT 1 AS a$b$", `SELECT E'\''; COMMIT --'`, "SELECT $$'$$; COMMIT -- '", "SELECT 1 /* /* */ ; */ ; COMMIT",
	"SELECT $é$ ' $é$; COMMIT -- '", "SELECT 1 --\r; COMMIT", "'a'\n'b'", "'a' -- '\n -- '\r 'b'", "'a'\n/**/'b'", "B'0'\n'1'", `U&'\00'` + "\n'41'",
	`U&'!0041' /**/ uescape -- x` + "\n'!' y", "a @-- b\n- c", "a=-1 <+-+ b @- c", "a */*x*/ b", "a/*//*x*/*/*/b", "1..2 1.2.3 .5. 1'a' 1\"b\"",
	"a=>b:=c::d:e..f.g", `"a""b" ` + strings.Repeat("é", 40), "$a$$$a$ $a$x$b$a$ $A$ $a$ $A$", "ae'x' au&'x' u & 'x' nn'x'", "not with nulls format without x",
	"'\\' ; '\\'", "E'\\\n'", "\u212A \u00a0x \ufeff", "e'\\é' E'\\8\\9'", "B'01''1'", "/***/ a /*/ */ b", "- -1 -/**/- 2", "<>!=<=>=",
}

// newNumbers finds numbers that servers before version 16 read otherwise.
var newNumbers = regexp.MustCompile(`(?i)0[xob]|[0-9]_`)

func TestBoundaries(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	for _, s := range append(seeds, corpus(t, "benign")...) {
		if !sameBoundaries(t, conn, s) {
			t.Errorf("Scan(%q) refused", s)
		}
	}
	sameBoundaries(t, conn, "0x1F 0X_1f 0o17 0b1_0 1_000.0_1e1_0 1_0..2")
	for _, s := range corpus(t, "attacks") {
		sameBoundaries(t, conn, s)
	}
}

// TestRandomBoundaries reads texts put together from tricky parts. The seed is
// fixed, so that a failure comes again.
func TestRandomBoundaries(t *testing.T) {
	t.Parallel()
	conn := connect(t)
	random := rand.New(rand.NewPCG(1, 2))
	const enough = 600
	for read, tried := 0, 0; read < enough; tried++ {
		if tried > 100*enough {
			t.Fatalf("only %d of %d texts could be read", read, tried)
		}
		var b strings.Builder
		for range 1 + random.IntN(9) {
			b.WriteString(tricky[random.IntN(len(tricky))])
		}
		if sameBoundaries(t, conn, b.String()) {
			read++
		}
	}
}

func FuzzBoundaries(f *testing.F) {
	for _, s := range append(seeds, tricky...) {
		f.Add(s)
	}
	conn := connect(f)
	f.Fuzz(func(t *testing.T, sql string) {
		if len(sql) < 500 {
			sameBoundaries(t, conn, sql)
		}
	})
}
