package sqllex

import (
	"strings"
	"testing"
	"time"
)

// FuzzScan checks that any text is read without a panic, that the tokens stand
// in the text in order, and that only white space and comments are left out.
func FuzzScan(f *testing.F) {
	for _, s := range []string{
		"SELECT 1 AS a$b$; COMMIT", "SELECT E'\\''; --'", "$$'$$ ; $é$'$é$", "1 /* /* */ ; */ ;",
		"'a' --\r'b'", "U&'!0041' uescape '!'", "a=-1 <+- 2 !=3", "1..2 0x1F 1_0 $1", `U&"\0061" "b""c"`,
		"B'01'\n'1' X'a' N'b'", "E'\\u00e9\\xc3\\xa9\\303\\251'", "a=>b:=c::d",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		tokens, err := Scan(sql)
		if err != nil {
			checkError(t, sql, err)
			return
		}
		end := 0
		for _, tok := range tokens {
			if tok.Pos < end || tok.Text == "" || !strings.HasPrefix(sql[tok.Pos:], tok.Text) {
				t.Fatalf("token %+v is not in the text after %d", tok, end)
			}
			checkGap(t, sql[end:tok.Pos])
			checkAlone(t, tok)
			end = tok.End()
		}
		checkGap(t, sql[end:])
	})
}

func checkError(t *testing.T, sql string, err error) {
	t.Helper()
	e, ok := err.(*Error)
	if !ok || e.Reason == "" || e.Pos < 0 || e.Pos > len(sql) {
		t.Fatalf("got error %#v", err)
	}
}

// checkGap checks with rules of its own that no token was left out.
func checkGap(t *testing.T, gap string) {
	t.Helper()
	for gap != "" {
		switch {
		case strings.IndexByte(" \t\r\n\f", gap[0]) >= 0:
			gap = gap[1:]
		case strings.HasPrefix(gap, "--"):
			n := strings.IndexAny(gap, "\r\n")
			if n < 0 {
				return
			}
			gap = gap[n:]
		case strings.HasPrefix(gap, "/*"):
			gap = dropBlock(t, gap)
		default:
			t.Fatalf("left out: %q", gap)
		}
	}
}

func dropBlock(t *testing.T, s string) string {
	t.Helper()
	depth, i := 0, 0
	for i+1 < len(s) {
		switch s[i : i+2] {
		case "/*":
			depth, i = depth+1, i+2
		case "*/":
			depth, i = depth-1, i+2
		default:
			i++
		}
		if depth == 0 {
			return s[i:]
		}
	}
	t.Fatalf("unterminated comment left out: %q", s)
	return ""
}

// checkAlone checks that a token read by itself is the same token.
func checkAlone(t *testing.T, tok Token) {
	t.Helper()
	again, err := Scan(tok.Text)
	if err != nil || len(again) != 1 {
		t.Fatalf("token %+v alone: got %+v, %v", tok, again, err)
	}
	if again[0].Pos = tok.Pos; again[0] != tok {
		t.Fatalf("token %+v alone: got %+v", tok, again[0])
	}
}

// TestScanIsLinear reads texts made to send a careless scanner back and forth.
// The bound is far above linear time and far below quadratic time.
func TestScanIsLinear(t *testing.T) {
	const size = 1 << 20
	for name, unit := range map[string]string{
		"signs":       strings.Repeat("+", 63) + " ",
		"comment":     "''--\n",
		"open":        "/*",
		"quotes":      "''",
		"parts":       "''\n",
		"escapes":     `E'\u`,
		"dollars":     "$a$",
		"other tags":  "$a$$b$",
		"uescape":     "U&'' uescape ",
		"backslashes": `\\`,
		"digits":      "1_",
		"words":       "a",
	} {
		for _, prefix := range []string{"", "'", "E'", "U&'", "$x$", `"`} {
			start := time.Now()
			_, _ = Scan(prefix + strings.Repeat(unit, size/len(unit)))
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("%s after %q: took %v", name, prefix, took)
			}
		}
	}
}

func BenchmarkScan(b *testing.B) {
	const sql = `SELECT c.name, count(o.id) AS n FROM shop.customers c LEFT JOIN shop.orders o ON o.customer_id = c.id AND o.status = 'paid' WHERE c.country IN ('DE', 'FR') GROUP BY c.name ORDER BY 2 DESC LIMIT 5`
	b.SetBytes(int64(len(sql)))
	for b.Loop() {
		if _, err := Scan(sql); err != nil {
			b.Fatal(err)
		}
	}
}
