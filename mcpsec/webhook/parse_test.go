package webhook

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// outer returns the members of the outermost object, if text is one, and whether
// names are unique, plain and in no other case.
func outer(text []byte) (values map[string]any, plain bool) {
	if !jsontext.Value(text).IsValid() || json.Unmarshal(text, &values) != nil || values == nil {
		return nil, false
	}
	plain = true
	d := jsontext.NewDecoder(bytes.NewReader(text))
	_, _ = d.ReadToken()
	for d.PeekKind() == '"' {
		name, _ := d.ReadValue()
		name = name.Clone() // which the next read takes back
		plain = plain && !bytes.ContainsRune(name, '\\') && len(name) < 250
		for _, want := range []string{"id", "type"} {
			unquoted := string(bytes.Trim(name, `"`))
			plain = plain && (unquoted == want || !strings.EqualFold(unquoted, want))
		}
		value, _ := d.ReadValue()
		if string(name) == `"id"` || string(name) == `"type"` {
			plain = plain && value.Kind() == '"' && !bytes.ContainsRune(value, '\\') && len(value) < 250
		}
	}
	return values, plain
}

// In what is JSON, members finds what a JSON reader finds, or refuses.
func FuzzMembers(f *testing.F) {
	for _, s := range []string{
		`{"id":"a","type":"b"}`, `{"x":{"id":"c"},"id":"a","type":"b"}`, `{"id":"a","id":"b"}`, `{ "n" : [1,2,{"id":"}"}] , "type":"b\\" }`,
		`{"s":"\\\"","id":"a"}`, `{"s":"\\","id":"a"}`, `{}`, `[]`, `{"a":{}}`, `{"a":"\"{[","id":"x"}`, `{"i\u0064":"x"}`, "{\"é|\\\\\":\"|\"}", `{"a":1e5,"b":true,"c":null,"id":"q"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, ok := members(text, "id", "type")
		want, plain := outer(text)
		if want == nil {
			return
		}
		if ok != plain {
			t.Fatalf("%q: got %v, want %v", text, ok, plain)
		}
		for i, name := range []string{"id", "type"} {
			if s, _ := want[name].(string); ok && got[i] != s {
				t.Fatalf("%q: %s is %q, want %q", text, name, got[i], s)
			}
		}
	})
}

// What follows words of eight bytes is found at every offset.
func TestMembersAtEveryOffset(t *testing.T) {
	t.Parallel()
	for n := range 40 {
		pad := strings.Repeat(" ", n%8) + strings.Repeat("é", n/8)
		text := `{"x":[{"s":"` + pad + `\"]}|{[\\"},"` + pad + `"],"id":"evt` + strings.Repeat("1", n) + `","type":"t"}`
		got, ok := members([]byte(text), "id", "type")
		if !ok || got[0] != "evt"+strings.Repeat("1", n) || got[1] != "t" {
			t.Errorf("%s: got %q, %v", text, got, ok)
		}
	}
}

// What is accepted is written in one way only: the signature binds that text.
func FuzzStripeHeader(f *testing.F) {
	sig := strings.Repeat("0a", 32)
	for _, s := range []string{"t=1,v1=" + sig, "v1=" + sig + ",t=12", "t=1,v0=x,v1=" + sig + ",v1=" + sig, "t=1", "t==,", "t=1,t=2,v1=" + sig} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		sig, ok := parseStripe(header)
		if !ok {
			return
		}
		pairs := strings.Split(header, ",")
		var stamps, sums int
		for _, p := range pairs {
			if strings.HasPrefix(p, "t=") {
				stamps++
			}
			if strings.HasPrefix(p, "v1=") {
				sums++
				if len(p) != 67 || strings.ToLower(p) != p {
					t.Fatalf("%q was accepted", p)
				}
			}
		}
		if at, ok := unix(sig.stamp); stamps != 1 || sums != sig.n || sums > maxSignatures || !ok || !at.Equal(sig.time) {
			t.Fatalf("%q: got %+v", header, sig)
		}
	})
}

func FuzzStandardHeader(f *testing.F) {
	for _, s := range []string{"v1," + strings.Repeat("A", 43) + "=", "v1a," + strings.Repeat("A", 86) + "==", "v2,x", " ", ",", "v1,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		sigs, ok := parseStandard(header)
		if !ok {
			return
		}
		n := 0
		for entry := range strings.SplitSeq(header, " ") {
			version, text, _ := strings.Cut(entry, ",")
			if version == "v1" || version == "v1a" {
				n++
				if _, ok := unbase64(text); !ok {
					t.Fatalf("%q was accepted", entry)
				}
			}
		}
		if n == 0 || n > maxSignatures || n != len(sigs.v1)/32+len(sigs.v1a) || len(sigs.v1)%32 != 0 {
			t.Fatalf("%q: got %d and %d", header, len(sigs.v1), len(sigs.v1a))
		}
	})
}

// A time, a digest and base64 have one text each.
func FuzzOneText(f *testing.F) {
	for _, s := range []string{"1", "1700000000", "01", "-1", "+1", "999999999999", "1e3", "AA==", "AB==", "aa", "A\nA==", strings.Repeat("f", 64)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if at, ok := unix(s); ok && (at.Unix() <= 0 || s != jsonNumber(at)) {
			t.Fatalf("%q is read as %v", s, at)
		}
		var b [32]byte
		if unhex(b[:], s) && s != hexText(b[:]) {
			t.Fatalf("%q is read as %x", s, b)
		}
		if b, ok := unbase64(s); ok && s != string(mustJSON(b)) {
			t.Fatalf("%q is read as %x", s, b)
		}
	})
}

func jsonNumber(t time.Time) string { b, _ := json.Marshal(t.Unix()); return string(b) }

func hexText(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

func mustJSON(b []byte) []byte { out, _ := json.Marshal(b); return bytes.Trim(out, `"`) }

// A Content-Type never makes a verifier panic, and is JSON if it is accepted.
func FuzzContentType(f *testing.F) {
	for _, s := range []string{"application/json", "application/json; charset=utf-8", "text/plain", ";", "application/json; charset=\"utf-8\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v := &Verifier{}
		if v.checkType(http.Header{"Content-Type": {s}}) == nil && !strings.Contains(strings.ToLower(s), "application/json") {
			t.Fatalf("%q was accepted", s)
		}
	})
}

// Every reason has a counter and a status.
func TestReasonsAreComplete(t *testing.T) {
	t.Parallel()
	if len(reasons) != reflect.TypeFor[counters]().Len() || len(reasons) != len(statuses) {
		t.Errorf("%d reasons, %d counters, %d statuses", len(reasons), reflect.TypeFor[counters]().Len(), len(statuses))
	}
	for _, r := range reasons {
		if statuses[r] == 0 {
			t.Errorf("%s has no status", r)
		}
	}
}

// A comparison that stops at the first difference tells a forger how far he got.
// Time cannot be tested; that nothing else compares can.
func TestComparisonsAreConstantTime(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	uses := map[string]int{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{"hmac.Equal(", "subtle.ConstantTimeCompare(", "bytes.Equal(", "bytes.Compare(", "bytes.HasPrefix(", "slices.Equal(", "reflect.DeepEqual("} {
			uses[f] += strings.Count(string(text), f)
		}
	}
	if uses["hmac.Equal("] != 1 || uses["subtle.ConstantTimeCompare("] != 1 {
		t.Errorf("signatures and logins are to be compared in constant time, in one place each: %v", uses)
	}
	for f, n := range uses {
		if n > 0 && f != "hmac.Equal(" && f != "subtle.ConstantTimeCompare(" {
			t.Errorf("%s) is not constant in time", f)
		}
	}
}
