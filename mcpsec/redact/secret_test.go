package redact_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"sync"
	"testing"
	"text/template"

	json2 "github.com/go-json-experiment/json"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A holder has Secrets wherever a type can have them.
type holder struct {
	S     redact.Secret
	P     *redact.Secret
	L     []redact.Secret
	A     [1]redact.Secret
	M     map[string]redact.Secret
	I     any
	inner redact.Secret
	deep  struct{ p *redact.Secret }
}

func hold(s redact.Secret) map[string]any {
	h := holder{S: s, P: &s, L: []redact.Secret{s}, A: [1]redact.Secret{s}, M: map[string]redact.Secret{"k": s}, I: s, inner: s}
	h.deep.p = &s
	return map[string]any{
		"value": s, "pointer": &s, "slice": h.L, "array": h.A, "map": h.M, "map of pointers": map[string]*redact.Secret{"k": &s},
		"struct": h, "pointer to struct": &h, "nested unexported": struct{ h holder }{h}, "channel of": struct{ F func() redact.Secret }{func() redact.Secret { return s }},
	}
}

// printers are the ways by which a value becomes text.
var printers = map[string]func(w io.Writer, v any) error{
	"json": func(w io.Writer, v any) error { return json.NewEncoder(w).Encode(v) },
	"json indent": func(w io.Writer, v any) error {
		out, err := json.MarshalIndent(v, "", " ")
		return errors.Join(err, write(w, string(out)))
	},
	"json v2":     func(w io.Writer, v any) error { return json2.MarshalWrite(w, v) },
	"xml":         func(w io.Writer, v any) error { return xml.NewEncoder(w).Encode(v) },
	"gob":         func(w io.Writer, v any) error { return gob.NewEncoder(w).Encode(v) },
	"fmt.Println": func(w io.Writer, v any) error { _, err := fmt.Fprintln(w, v); return err },
	"log":         func(w io.Writer, v any) error { log.New(w, "", 0).Print(v); return nil },
	"slog text":   func(w io.Writer, v any) error { slog.New(slog.NewTextHandler(w, nil)).Info("m", "v", v); return nil },
	"slog JSON":   func(w io.Writer, v any) error { slog.New(slog.NewJSONHandler(w, nil)).Info("m", "v", v); return nil },
	"errors": func(w io.Writer, v any) error {
		return write(w, errors.Join(fmt.Errorf("a: %v", v), fmt.Errorf("b: %s %w", v, io.EOF)).Error())
	},
	"wrapped by %w": func(w io.Writer, v any) error { return write(w, fmt.Sprintf("%+v", fmt.Errorf(wrongVerb, v))) },
	"text template": func(w io.Writer, v any) error {
		return template.Must(template.New("").Parse(templateText)).Execute(w, v)
	},
	"html template": func(w io.Writer, v any) error {
		return htmltemplate.Must(htmltemplate.New("").Parse(htmlText)).Execute(w, v)
	},
	"dumper":         func(w io.Writer, v any) error { dump(w, reflect.ValueOf(v), 0); return nil },
	"reflect String": func(w io.Writer, v any) error { return write(w, reflect.ValueOf(v).String()) },
}

const (
	templateText = `{{.}} {{printf "%q %x %#v" . . .}} {{print .}} {{html .}} {{js .}} {{urlquery .}}`
	htmlText     = `<a title="{{.}}" href="/?q={{.}}" onclick="f({{.}})">{{.}}</a><script>var x = {{.}}</script><style>p { color: {{.}} }</style>`
)

// Wrong calls, which vet would refuse as constants.
var wrongVerb, noVerb = "got %w", "x"

func write(w io.Writer, s string) error { _, err := io.WriteString(w, s); return err }

// dump prints all that reflection can reach, unexported fields too, as the
// dumpers for debugging do.
func dump(w io.Writer, v reflect.Value, depth int) {
	if depth > 20 || !v.IsValid() {
		return
	}
	fmt.Fprintf(w, "%s %s\n", v.Type(), v.String())
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		dump(w, v.Elem(), depth+1)
	case reflect.Struct:
		for i := range v.NumField() {
			dump(w, v.Field(i), depth+1)
		}
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
			fmt.Fprintf(w, "%q\n", v.Bytes())
		}
		for i := range v.Len() {
			dump(w, v.Index(i), depth+1)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			dump(w, it.Value(), depth+1)
		}
	case reflect.Func:
		fmt.Fprintf(w, "%#x\n", v.Pointer())
	}
}

// shown fails the test when out holds the value, in any of its simple forms.
func shown(t *testing.T, how, out string) {
	t.Helper()
	for _, form := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden), fmt.Sprintf("% x", hidden), strings.Trim(fmt.Sprint([]byte(hidden)), "[]"), fmt.Sprintf("%#v", []byte(hidden)), "Vnc3a1F6Mjl4VHBM"} {
		if strings.Contains(out, form) {
			t.Errorf("%s prints the value: %s", how, out)
		}
	}
}

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	s := redact.NewSecret(hidden)
	for kind, v := range hold(s) {
		for _, verb := range strings.Fields("%v %+v %#v %s %q %x %X %#x %d %t %p %T %c %U %#U %b %o %O %e %g %08.3f %-20s %w %z %!") {
			shown(t, verb+" "+kind, fmt.Sprintf(verb, v))
		}
		shown(t, "spaced hex "+kind, fmt.Sprintf("% x % X %# x", v, v, v))
		shown(t, "extra "+kind, fmt.Sprintf(noVerb, v))
		for how, print := range printers {
			var out bytes.Buffer
			err := print(&out, v)
			shown(t, how+" "+kind, out.String()+fmt.Sprint(err))
			if kind == "value" && err == nil && !strings.Contains(out.String(), "redacted") && how != "dumper" && how != "wrapped by %w" && how != "reflect String" {
				t.Errorf("%s: got %q", how, out.String())
			}
		}
	}
	for _, verb := range strings.Fields("%v %+v %#v %s %q %x %d %t %c %z") {
		if got := fmt.Sprintf(verb, s); got != redact.Mask {
			t.Errorf("%s: got %q", verb, got)
		}
	}
}

const panicEnv = "REDACT_TEST_PANIC"

// What the runtime prints of a panic that nobody recovers.
func TestSecretNeverPrintsInPanic(t *testing.T) {
	t.Parallel()
	kinds := hold(redact.NewSecret(hidden))
	kinds["error"] = fmt.Errorf("with %v", kinds["struct"])
	if kind := os.Getenv(panicEnv); kind != "" {
		panic(kinds[kind])
	}
	for kind := range kinds {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSecretNeverPrintsInPanic$")
		cmd.Env = append(os.Environ(), panicEnv+"="+kind)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "panic: ") {
			t.Errorf("%s: no panic: %s", kind, out)
		}
		shown(t, "panic with "+kind, string(out))
		if kind == "value" && !strings.Contains(string(out), "panic: "+redact.Mask) {
			t.Errorf("got %s", out)
		}
	}
}

// A Secret that was written is not one that can be read back.
func TestMaskedSecretIsNotRead(t *testing.T) {
	t.Parallel()
	s := redact.NewSecret(hidden)
	written, err := json.Marshal(struct{ S redact.Secret }{s})
	if err != nil {
		t.Fatal(err)
	}
	var back struct{ S redact.Secret }
	if err := json.Unmarshal(written, &back); err == nil || !back.S.IsZero() {
		t.Errorf("json: got %v", err)
	}
	if err := back.S.UnmarshalText([]byte(redact.Mask)); err == nil {
		t.Error("text: no error")
	}
	var stream bytes.Buffer
	if err := gob.NewEncoder(&stream).Encode(s); err != nil {
		t.Fatal(err)
	}
	if err := gob.NewDecoder(&stream).Decode(&back.S); err == nil {
		t.Error("gob: no error")
	}
}

func TestSecretErrorsDoNotQuote(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"12345678", `["` + hidden + `"]`, `{"` + hidden + `":1}`, `"` + hidden, `"\ud800` + hidden + `\x"`, "true"} {
		var v struct{ S redact.Secret }
		for how, err := range map[string]error{
			"method":  new(redact.Secret).UnmarshalJSON([]byte(bad)),
			"json":    json.Unmarshal([]byte(`{"S":`+bad+`}`), &v),
			"json v2": json2.Unmarshal([]byte(`{"S":`+bad+`}`), &v),
		} {
			if err == nil {
				t.Errorf("%s %s: no error", how, bad)
				continue
			}
			shown(t, how, err.Error())
			if strings.Contains(err.Error(), "12345678") {
				t.Errorf("%s: got %v", how, err)
			}
		}
	}
}

func TestSecretClose(t *testing.T) {
	t.Parallel()
	s := redact.NewSecret(hidden)
	copied, other := s, redact.NewSecret(hidden)
	r := redact.New(redact.Options{Secrets: []redact.Secret{s}})
	before := s.Reveal()
	inside := redact.Inside(s)
	copied.Close()
	s.Close()
	redact.Secret{}.Close()
	if s.Reveal() != "" || copied.Reveal() != "" || before != hidden || other.Reveal() != hidden {
		t.Error("a copy still reveals, or what was revealed has changed")
	}
	if strings.Trim(string(inside), "\x00") != "" || len(inside) != len(hidden) {
		t.Errorf("the bytes were not cleared: %q", inside)
	}
	if s.IsZero() {
		t.Error("a closed secret passes for one that was left out")
	}
	if s.Equal(other) || s.Equal(copied) || s.Equal(redact.Secret{}) {
		t.Error("a closed secret equals one")
	}
	if s.Check() == nil || s.String() != redact.Mask {
		t.Error("a closed secret passes Check, or prints otherwise")
	}
	if got := r.String("key=" + hidden); strings.Contains(got, hidden) {
		t.Errorf("the redactor has forgotten: %s", got)
	}
}

// Whoever reveals while another closes gets the value or nothing.
func TestSecretCloseWhileRevealing(t *testing.T) {
	t.Parallel()
	for range 100 {
		s := redact.NewSecret(hidden)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				for range 50 {
					if got := s.Reveal(); got != hidden && got != "" {
						t.Errorf("got %q", got)
					}
				}
			})
		}
		group.Go(s.Close)
		group.Wait()
	}
}

func BenchmarkReveal(b *testing.B) {
	s := redact.NewSecret(hidden)
	b.ReportAllocs()
	for b.Loop() {
		_ = s.Reveal()
	}
}

func TestSecretHoldsItsValue(t *testing.T) {
	t.Parallel()
	var zero, fromText, fromJSON redact.Secret
	s := redact.NewSecret(hidden)
	if err := fromText.UnmarshalText([]byte(hidden)); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`"`+hidden+`"`), &fromJSON); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]redact.Secret{"NewSecret": s, "text": fromText, "json": fromJSON} {
		if got.Reveal() != hidden || got.IsZero() || !got.Equal(s) || !s.Equal(got) {
			t.Errorf("%s: the value is lost", name)
		}
	}
	if !zero.IsZero() || zero.Reveal() != "" || zero.Equal(s) || s.Equal(zero) || s.Equal(redact.NewSecret(hidden+"x")) {
		t.Error("zero or Equal is wrong")
	}
	if zero.Equal(zero) || zero.Equal(redact.NewSecret("")) {
		t.Error("a secret that is not there equals one")
	}
	if err := json.Unmarshal([]byte(`null`), &fromJSON); err != nil || !fromJSON.Equal(s) {
		t.Errorf("null: %v", err)
	}
	for _, bad := range []string{"12345678", `["` + hidden + `"]`} {
		if err := json.Unmarshal([]byte(bad), &fromJSON); err == nil || strings.Contains(err.Error(), "12345678") || strings.Contains(err.Error(), hidden) {
			t.Errorf("%s: got error %v", bad, err)
		}
	}
}
