package text

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestStripRemovesHiddenText(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in, want string
		n        int
	}{
		"tag alphabet":         {"ok\U000E0041\U000E0042", "ok", 2},
		"right-to-left":        {"a\u202Egpj.exe", "agpj.exe", 1},
		"isolates":             {"\u2066x\u2069", "x", 2},
		"zero-width space":     {"pass\u200Bword", "password", 1},
		"joiner among letters": {"pass\u200Dword", "password", 1},
		"selector alphabet":    {"\U0001F600\uFE00\uFE01\uFE02\uFE03", "\U0001F600\uFE00", 3},
		"selectors beyond BMP": {"a\U000E0100\U000E0101", "a", 2},
		"terminal escape":      {"\x1b[2Jhi\u009b31m", "[2Jhi31m", 2},
		"byte order mark":      {"\uFEFFx", "x", 1},
		"hangul filler":        {"a\u3164b", "ab", 1},
		"word joiner":          {"a\u2060b", "ab", 1},
	} {
		got, n := Strip(tc.in)
		if got != tc.want || n != tc.n {
			t.Errorf("%s: got %q, %d, want %q, %d", name, got, n, tc.want, tc.n)
		}
		if FirstHidden(tc.in) < 0 {
			t.Errorf("%s: FirstHidden finds nothing", name)
		}
	}
}

func TestStripKeepsHonestText(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "plain\ttext\r\n", "Grüße, 東京, Привет", "👨‍👩‍👧 family", "❤️ heart", "1️⃣ keycap",
		"می\u200cخواهم", "क्\u200dष", "soft\u00adhyphen", "e\u0301", "\ufffd",
	} {
		if got, n := Strip(s); got != s || n != 0 {
			t.Errorf("%q: got %q, %d removed", s, got, n)
		}
	}
}

func FuzzStrip(f *testing.F) {
	f.Add("a\u202Eb\U000E0041\uFE0F\uFE0F")
	f.Add("\xff\u200d\u200d😀")
	f.Fuzz(func(t *testing.T, s string) {
		got, n := Strip(s)
		again, m := Strip(got)
		if m != 0 || again != got {
			t.Errorf("not idempotent: %q -> %q -> %q", s, got, again)
		}
		if n == 0 && got != s {
			t.Errorf("changed without a count: %q -> %q", s, got)
		}
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("broke UTF-8: %q -> %q", s, got)
		}
		if strings.ContainsAny(got, "\u202e\u200b\x1b\ufeff") {
			t.Errorf("%q still hides something", got)
		}
	})
}
