package redact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/leakcorpus"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func TestRegisteredForms(t *testing.T) {
	t.Parallel()
	const value = `pä/ss "w<o>rd"&=+%~` + "\t1"
	quoted, _ := json.Marshal(value)
	r := redact.New(redact.Options{Secrets: []redact.Secret{redact.NewSecret(value)}})
	for name, form := range map[string]string{
		"plain":       value,
		"query":       url.QueryEscape(value),
		"path":        url.PathEscape(value),
		"lower query": strings.NewReplacer("%2F", "%2f", "%3C", "%3c", "%3E", "%3e", "%3D", "%3d", "%2B", "%2b", "%C3%A4", "%c3%a4").Replace(url.QueryEscape(value)),
		"json":        strings.Trim(string(quoted), `"`),
		"go":          strings.Trim(fmt.Sprintf("%q", value), `"`),
		"hex":         hex.EncodeToString([]byte(value)),
		"upper hex":   fmt.Sprintf("%X", value),
		"base64":      base64.StdEncoding.EncodeToString([]byte(value)),
		"base64url":   base64.RawURLEncoding.EncodeToString([]byte(value)),
		"bytes":       fmt.Sprint([]byte(value)),
	} {
		out := r.String("before " + form + " after")
		if want := "before " + redact.Mask; !strings.HasPrefix(strings.Replace(out, "["+redact.Mask, redact.Mask, 1), want) || !strings.HasSuffix(out, " after") {
			t.Errorf("%s: got %q", name, out)
		}
	}
}

// In longer base64 the neighbours change the edges of a value's text.
func TestRegisteredInsideBase64(t *testing.T) {
	t.Parallel()
	const value = "zzqqvv99xxkkjj"
	r := redact.New(redact.Options{Secrets: []redact.Secret{redact.NewSecret(value)}})
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
		for before := range 4 {
			for after := range 4 {
				in := encoding.EncodeToString([]byte("user:xyz"[:before] + value + "tail"[:after]))
				out := r.String(in)
				own := (before + len(value)) * 8 / 6 // the characters that tell of the value alone
				for i := (before*8 + 5) / 6; i+6 <= own; i++ {
					if piece := in[i : i+6]; strings.Contains(out, piece) {
						t.Errorf("%d before, %d after: %q remains in %q", before, after, piece, out)
					}
				}
			}
		}
	}
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	r := redact.New(redact.Options{})
	for _, value := range []string{"", "a", "12345", "redacted", redact.Mask} {
		if r.Register(redact.NewSecret(value)) {
			t.Errorf("%q was registered", value)
		}
		if out := r.String("x " + value + " y"); out != "x "+value+" y" {
			t.Errorf("got %q", out)
		}
	}
	if !r.Register(redact.NewSecret("123456")) {
		t.Error("six bytes were refused")
	}
}

func TestRegisterWhileRedacting(t *testing.T) {
	t.Parallel()
	r := redact.New(redact.Options{})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			value := fmt.Sprintf("value-%d-qxzj", i)
			for n := range 5 {
				r.Register(redact.NewSecret(value + fmt.Sprint(n)))
				if out := r.String("x " + value + fmt.Sprint(n)); out != "x "+redact.Mask {
					t.Errorf("got %q", out)
				}
			}
		})
	}
	wg.Wait()
	for i := range 20 {
		if out := r.String(fmt.Sprintf("x value-%d-qxzj%d", i/5, i%5)); out != "x "+redact.Mask {
			t.Errorf("a registration was lost: got %q", out)
		}
	}
}

func TestOptionsKeys(t *testing.T) {
	t.Parallel()
	r := redact.New(redact.Options{Keys: []string{"Loyalty-No", "x"}})
	for in, want := range map[string]string{
		"loyaltyNo=abc next":         "loyaltyNo=[redacted] next",
		"user.loyalty_no=abc":        "user.loyalty_no=[redacted]",
		`{"LOYALTY_NO":"abc"}`:       `{"LOYALTY_NO":"[redacted]"}`,
		"x=abc":                      "x=[redacted]",
		"loyaltyNote=abc y=1":        "loyaltyNote=abc y=1",
		"X-Loyalty-No: abc1\r\nA: b": "X-Loyalty-No: [redacted]\r\nA: b",
	} {
		if got := r.String(in); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := redact.New(redact.Options{}).String("loyaltyNo=abc"); got != "loyaltyNo=abc" {
		t.Errorf("another Redactor learned the key: %q", got)
	}
}

func TestOptionsPII(t *testing.T) {
	t.Parallel()
	plain, pii := redact.New(redact.Options{}), redact.New(redact.Options{PII: true})
	for in, want := range map[string]string{
		"mail jane.doe+x@mail.example.org now": "mail [redacted] now",
		"call +43 664 1234567.":                "call [redacted].",
		"to AT61 1904 3002 3457 3201 now":      "to [redacted] now",
		"to GB29NWBK60161331926819":            "to [redacted]",
		"to AT611904300234573202":              "to AT611904300234573202", // wrong check digits
		"git@github.com:org/repo":              "[redacted]:org/repo",
		"1+1 = 2, a@b, @me":                    "1+1 = 2, a@b, @me",
	} {
		if got := pii.String(in); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := plain.String(in); got != in {
			t.Errorf("without PII: got %q, want %q", got, in)
		}
	}
}

// An address between a command and its password is found too.
func TestPersonalBesideSecret(t *testing.T) {
	t.Parallel()
	pii := redact.New(redact.Options{PII: true})
	in := "C: a1 LOGIN a@b.io FsHm8" + "E26DAGx"
	if got, want := pii.String(in), "C: a1 LOGIN [redacted] [redacted]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBytes(t *testing.T) {
	t.Parallel()
	r := redact.New(redact.Options{})
	in := []byte("pass" + "word=hunter2")
	before := string(in)
	if got := string(r.Bytes(in)); got != "password="+redact.Mask || string(in) != before {
		t.Errorf("got %q, input is %q", got, in)
	}
	clean := []byte("nothing here")
	if out := r.Bytes(clean); &out[0] != &clean[0] {
		t.Error("a clean text was copied")
	}
	if out := r.Bytes(nil); out != nil {
		t.Errorf("got %q for nil", out)
	}
}

// fragments are what leaks are made of; the fuzzers combine them.
func addFragments(f *testing.F) {
	for _, l := range append(leakcorpus.Leaks(), leakcorpus.Benign()...) {
		f.Add(l.Text, "correct horse")
	}
	for _, unit := range hostile {
		f.Add(unit+unit+unit, unit)
	}
}

func FuzzString(f *testing.F) {
	addFragments(f)
	r := redact.New(redact.Options{PII: true})
	f.Fuzz(func(t *testing.T, in, secret string) {
		out := r.String(in)
		if again := r.String(out); again != out {
			t.Fatalf("second pass:\n got %q\nwant %q\n of  %q", again, out, in)
		}
		if b := r.Bytes([]byte(in)); !bytes.Equal(b, []byte(out)) {
			t.Fatalf("Bytes: got %q, want %q", b, out)
		}
		own := redact.New(redact.Options{})
		if !own.Register(redact.NewSecret(secret)) {
			return
		}
		for _, text := range []string{secret, in + secret + in, "a" + url.QueryEscape(secret), hex.EncodeToString([]byte(secret)) + "z"} {
			if out := own.String(text); strings.Contains(out, secret) {
				t.Fatalf("%q survives in %q", secret, out)
			}
		}
	})
}

func TestOverlapAndNeighbours(t *testing.T) {
	t.Parallel()
	r := redact.New(redact.Options{Secrets: []redact.Secret{redact.NewSecret("xyz next"), redact.NewSecret("qqqzzz")}})
	for in, want := range map[string]string{
		"pass" + "word=12xyz next one": "pass" + "word=[redacted] one", // starts in one mask, ends behind it
		"a qqqzzzqqqzzz b":             "a [redacted] b",
		"qqqzzz":                       "[redacted]",
	} {
		if got := r.String(in); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Text is decoded once: a limit on work, which the package doc admits.
func TestBase64IsDecodedOnce(t *testing.T) {
	t.Parallel()
	r := redact.New(redact.Options{})
	once := base64.StdEncoding.EncodeToString([]byte(`{"pass` + `word":"hunter2"}`))
	if got := r.String("body " + once); got != "body [redacted]" {
		t.Errorf("got %q", got)
	}
	other := base64.StdEncoding.EncodeToString([]byte(`{"api_key":"Vw7kQz29xTpL4mNc"}`))
	if got := r.String("body " + other); got != "body [redacted]" {
		t.Errorf("got %q", got)
	}
	twice := base64.StdEncoding.EncodeToString([]byte(`{"body":"` + once + `"}`))
	if got := r.String("body " + twice); got != "body "+twice {
		t.Errorf("got %q", got)
	}
}
