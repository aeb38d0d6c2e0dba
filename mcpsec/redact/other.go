package redact

import (
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// other redacts a value of a kind that slog does not know. What next will do
// with it (Error, String, MarshalText, MarshalJSON, %+v) is not known either,
// so all that it may print is looked at.
func (r *Redactor) other(class secrecy, v slog.Value) (slog.Value, bool) {
	x := v.Any()
	if x == nil {
		return v, false
	}
	switch x := x.(type) {
	case Secret, *Secret, *slog.Source:
		return v, false
	case error:
		return r.failure(class, x)
	case []byte:
		return r.octets(class, x)
	case *url.Userinfo:
		return slog.StringValue(strings.TrimSuffix((&url.URL{User: x}).Redacted()[len("//"):], "@")), true
	case slog.Level, json.Number:
		return r.text(class, slog.StringValue(fmt.Sprint(x)))
	}
	if class == isPassword || class == isToken {
		return slog.StringValue(Mask), true
	}
	return r.carrier(v, x)
}

// failure takes only the text of an error: %+v and MarshalJSON of an error may
// print what Error does not.
func (r *Redactor) failure(class secrecy, err error) (slog.Value, bool) {
	text, _ := r.text(class, slog.StringValue(safely(err.Error)))
	return text, true
}

// octets treats bytes as text, and as what base64 and %v make of them.
func (r *Redactor) octets(class secrecy, b []byte) (slog.Value, bool) {
	if out, dirty := r.text(class, slog.StringValue(string(b))); dirty {
		return out, true
	}
	return slog.AnyValue(append([]byte(nil), b...)), true
}

// carrier looks at every form in which fmt and encoding/json print x.
func (r *Redactor) carrier(v slog.Value, x any) (slog.Value, bool) {
	hidden := taggedSecrets(x)
	text := scrub(safely(func() string { return fmt.Sprintf("%+v", x) }), hidden)
	text, dirty := redact(r.current(), text)
	form, err := marshal(x)
	clean := r.JSON([]byte(scrub(string(form), hidden)))
	dirty = dirty || len(hidden) > 0 || string(clean) != string(form)
	if _, again := redact(r.current(), asText(x)); !dirty && !again {
		return v, false
	}
	if err != nil || printsItself(x) {
		return slog.StringValue(text), true
	}
	return slog.AnyValue(json.RawMessage(clean)), true
}

// printsItself reports whether x has a text form of its own, better to read
// than its fields.
func printsItself(x any) bool {
	switch x.(type) {
	case fmt.Stringer, encoding.TextMarshaler, fmt.Formatter:
		return true
	}
	return false
}

// asText returns the text form that slog.TextHandler prefers to %+v.
func asText(x any) string {
	t, ok := x.(encoding.TextMarshaler)
	if !ok {
		return ""
	}
	return safely(func() string {
		b, _ := t.MarshalText()
		return string(b)
	})
}

// safely calls f, which belongs to the value that is logged and may panic, as
// fmt would: with a nil receiver, say.
func safely(f func() string) (s string) {
	defer func() {
		if recover() != nil {
			s = "!PANIC"
		}
	}()
	return f()
}

func marshal(x any) (form []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("marshaling %T: panic", x)
		}
	}()
	return json.Marshal(x)
}
