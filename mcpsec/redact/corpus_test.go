package redact_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// line is one line of a corpus; see testdata/README.md.
type line struct {
	Name     string
	Category string
	Tier     int
	Optional bool
	Text     string
	Secrets  []string
	Keep     []string
}

func corpus(tb testing.TB, name string) (lines []line) {
	tb.Helper()
	data, err := os.ReadFile("testdata/" + name + ".rot47")
	if err != nil {
		tb.Fatal(err)
	}
	for i, c := range data {
		if '!' <= c && c <= '~' {
			data[i] = '!' + (c-'!'+47)%94
		}
	}
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var l line
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			tb.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

// trace returns a six-byte piece of a secret that is still in out.
func (l line) trace(out string) string {
	for _, s := range l.Secrets {
		if len(s) < 6 && strings.Contains(out, s) {
			return s
		}
		for i := 0; i+6 <= len(s); i++ {
			if strings.Contains(out, s[i:i+6]) {
				return s[i : i+6]
			}
		}
	}
	return ""
}

func (l line) lost(out string) string {
	for _, k := range l.Keep {
		if !strings.Contains(out, k) {
			return k
		}
	}
	return ""
}

func TestLeaks(t *testing.T) {
	t.Parallel()
	plain, pii := redact.New(redact.Options{}), redact.New(redact.Options{PII: true})
	var hard, found, keep, kept int
	for _, l := range corpus(t, "leaks") {
		r := plain
		if l.Optional {
			r = pii
		}
		out := r.String(l.Text)
		piece := l.trace(out)
		if l.Tier == 2 {
			hard++
			if piece == "" {
				found++
			} else {
				t.Logf("tier 2: %s: %q", l.Name, out)
			}
			continue
		}
		if piece != "" {
			t.Errorf("%s: %q remains in %q", l.Name, piece, out)
		}
		keep += len(l.Keep)
		kept += len(l.Keep)
		if k := l.lost(out); k != "" {
			kept--
			t.Errorf("%s: %q is lost in %q", l.Name, k, out)
		}
		if again := r.String(out); again != out {
			t.Errorf("%s: second pass: got %q want %q", l.Name, again, out)
		}
	}
	t.Logf("tier 2: %d of %d; kept %d of %d", found, hard, kept, keep)
	if found*2 < hard {
		t.Errorf("tier 2: got %d of %d, want half", found, hard)
	}
}

func TestBenign(t *testing.T) {
	t.Parallel()
	r := redact.New(redact.Options{})
	for _, l := range corpus(t, "benign") {
		if out := r.String(l.Text); out != l.Text {
			t.Errorf("%s:\n got %q\nwant %q", l.Name, out, l.Text)
		}
	}
}
