package redact_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/leakcorpus"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func TestJSON(t *testing.T) {
	t.Parallel()
	r := redact.New(redact.Options{Keys: []string{"tan"}})
	for name, c := range map[string]struct{ in, want string }{
		"string member":     {`{"password":"x1","n":1}`, `{"password":"[redacted]","n":1}`},
		"number member":     {`{"password":98231764,"n":98231764}`, `{"password":"[redacted]","n":98231764}`},
		"number, spaced":    {`{ "api_key" : 12345 }`, `{ "api_key" : "[redacted]" }`},
		"last number":       {`{"token":-1.5e3}`, `{"token":"[redacted]"}`},
		"exact numbers":     {`{"id":9007199254740993,"e":1E400,"token":"abcdef123456"}`, `{"id":9007199254740993,"e":1E400,"token":"[redacted]"}`},
		"user's key":        {`{"user_tan":"ab","tang":"ab"}`, `{"user_tan":"[redacted]","tang":"ab"}`},
		"escaped key":       {`{"\u0070assword":"hunter2","a":[1]}`, `{"\u0070assword":"[redacted]","a":[1]}`},
		"escaped key, n":    {`{"\u0070assword":12345}`, `{"\u0070assword":"[redacted]"}`},
		"escaped slashes":   {`{"u":"https:\/\/bob:hunter2@host\/"}`, `{"u":"https:\/\/bob:[redacted]@host\/"}`},
		"array":             {`{"api_keys":["q1t4cbUyrxXIfN0t","hErz8lqZbCWWUN0t"],"n":[2]}`, `{"api_keys":["[redacted]","[redacted]"],"n":[2]}`},
		"object":            {`{"password":{"type":"string","minLength":8}}`, `{"password":{"type":"string","minLength":8}}`},
		"bool and null":     {`{"password":true,"token":null,"secret":false}`, `{"password":true,"token":null,"secret":false}`},
		"empty":             {`{"password":""}`, `{"password":""}`},
		"escape at the end": {`{"password":"a\"b\\","n":"\n"}`, `{"password":"[redacted]","n":"\n"}`},
		"nested":            {`{"t":"{\"password\":\"a\\\"b1\",\"n\":1}"}`, `{"t":"{\"password\":\"[redacted]\",\"n\":1}"}`},
		"card number":       {`{"card_number":4498833561627592,"n":4498833561627593}`, `{"card_number":"[redacted]","n":4498833561627593}`},
		"top level":         {`"https://bob:hunter2@host/"`, `"https://bob:[redacted]@host/"`},
		"not JSON":          {`{"password":"x1",`, `{"password":"[redacted]",`},
		"white space":       {"[\n  {\"pwd\": \"x1\"}\n]\n", "[\n  {\"pwd\": \"[redacted]\"}\n]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := string(r.JSON([]byte(c.in)))
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if again := string(r.JSON([]byte(got))); again != got {
				t.Errorf("second pass: got %s want %s", again, got)
			}
		})
	}
}

// encoding/json of PHP and others writes every slash as \/.
func TestJSONRegisteredBehindEscapes(t *testing.T) {
	t.Parallel()
	r := redact.New(redact.Options{Secrets: []redact.Secret{redact.NewSecret("ab/cd/ef")}})
	for _, in := range []string{`{"v":"ab\/cd\/ef"}`, `{"v":"\u0061b/cd/ef"}`} {
		if got := string(r.JSON([]byte(in))); got != `{"v":"[redacted]"}` {
			t.Errorf("got %s", got)
		}
	}
}

func TestJSONReturnsItsInput(t *testing.T) {
	t.Parallel()
	in := []byte(`{"a":1}`)
	if out := redact.New(redact.Options{}).JSON(in); &out[0] != &in[0] {
		t.Error("a clean text was copied")
	}
}

// shape renders a JSON text with its strings and numbers blanked.
func shape(tb testing.TB, b []byte) string {
	tb.Helper()
	var out []byte
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	for {
		token, err := d.Token()
		if err != nil {
			return string(out)
		}
		switch token := token.(type) {
		case json.Delim:
			out = append(out, byte(token))
		case string, json.Number:
			out = append(out, 's')
		case nil:
			out = append(out, 'n')
		case bool:
			out = append(out, 'b')
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, l := range append(leakcorpus.Leaks(), leakcorpus.Benign()...) {
		quoted, _ := json.Marshal(map[string]any{"text": l.Text, "n": 12345})
		f.Add(quoted)
		f.Add([]byte(l.Text))
	}
	r := redact.New(redact.Options{PII: true})
	f.Fuzz(func(t *testing.T, in []byte) {
		before := string(in)
		out := r.JSON(in)
		if string(in) != before {
			t.Fatal("the input was written to")
		}
		if !json.Valid(in) {
			return
		}
		if !json.Valid(out) {
			t.Fatalf("%q became invalid: %q", in, out)
		}
		if got, want := shape(t, out), shape(t, in); got != want {
			t.Fatalf("%q has another structure than %q", out, in)
		}
		if again := r.JSON(out); !bytes.Equal(again, out) {
			t.Fatalf("second pass: got %q want %q", again, out)
		}
	})
}
