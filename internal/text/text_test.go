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
		"selector alphabet":    {"\U0001F600\uFE00\uFE01\uFE02\uFE03", "\U0001F600", 4},
		"selectors in a row":   {"\U0001F600\uFE0F\uFE0E\uFE0F", "\U0001F600\uFE0F", 2},
		"selector on a letter": {"é\uFE0Fb\uFE00", "éb", 2},
		"selector on a digit":  {"1\uFE0F2\uFE0E", "12", 2},
		"other selectors":      {"漢\uFE03字\uFE0F", "漢字", 2},
		"selector on a hyphen": {"a\u00AD\uFE00b", "ab", 2},
		"soft hyphens":         {"a\u00AD\u00AD\u00ADb", "a\u00ADb", 2},
		"hyphen at the end":    {"a\u00AD", "a", 1},
		"hyphen at the start":  {"\u00ADa", "a", 1},
		"hyphen by a space":    {"a \u00AD b1\u00AD2", "a  b12", 2},
		"hyphen by a filler":   {"a\u00AD\u3164b", "ab", 2},
		"separators in a row":  {"a\u2028\u2029\u2028b", "a\u2028b", 2},
		"joiners in a row":     {"é\u200D\u200Cé\u200D\u200Dé", "é\u200Cé\u200Dé", 2},
		"joiner after a space": {"é\u00A0\u200Dé", "é\u00A0é", 1},
		"joiner on a hyphen":   {"é\u00ADé\u200D\u00ADé", "é\u00ADé\u00ADé", 1},
		"flag of England":      {"🏴\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F", "🏴", 6},
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
		"❤️\u200d🔥", "🏳️\u200d🌈", "🇩🇪", "👩🏽\u200d🚀", "©\uFE0F ☎\uFE0E *\uFE0F\u20E3", "漢\uFE00 ∪\uFE00", "ᠠ\u180B", "ကျ\uFE00",
		"a\u2028b\u2029c", "für\u00adstlich", "नमस्\u200dते", "日\u00adé",
	} {
		if got, n := Strip(s); got != s || n != 0 {
			t.Errorf("%q: got %q, %d removed", s, got, n)
		}
	}
}

// A sender who may use every hidden character in every order gets at most a
// handful through for each visible one.
func TestStripLeavesNoChannel(t *testing.T) {
	t.Parallel()
	var alphabet []rune
	for r := rune(0); r < 0xE1000; r++ {
		if Hidden(r) {
			alphabet = append(alphabet, r)
		}
	}
	for _, base := range []string{"a", "1", "é", "漢", "😀", "ᠠ"} {
		var b strings.Builder
		for i, r := range alphabet {
			b.WriteString(base + string(r) + string(alphabet[(i*7)%len(alphabet)]) + string(alphabet[(i*31)%len(alphabet)]))
		}
		got, _ := Strip(b.String())
		hidden := 0
		for _, r := range got {
			if Hidden(r) {
				hidden++
			}
		}
		if most := len(alphabet) / 20; hidden > most {
			t.Errorf("%s: %d hidden characters left of %d, want at most %d", base, hidden, 3*len(alphabet), most)
		}
	}
}

func FuzzStrip(f *testing.F) {
	f.Add("a\u202Eb\U000E0041\uFE0F\uFE0F")
	f.Add("a\u00ad\ufe00\u00ad\ufe01é\u200d\u2028\u2029❤\ufe0f\u200d🔥ᠠ\u180b")
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
		prev := 'a'
		for _, r := range got {
			if Hidden(r) && Hidden(prev) && prev != vs16 && r != lineSep && r != paraSep {
				t.Errorf("%+q keeps two hidden characters in a row", got)
			}
			prev = r
		}
		if utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("broke UTF-8: %q -> %q", s, got)
		}
		if strings.ContainsAny(got, "\u202e\u200b\x1b\ufeff") {
			t.Errorf("%q still hides something", got)
		}
	})
}
