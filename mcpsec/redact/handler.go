package redact

import (
	"context"
	"log/slog"
	"strings"
)

// NewHandler returns a handler that masks the secrets of each record with r
// and hands it to next: in the message, in attributes and groups of any depth,
// in errors and every other value, and in what was given to With. It panics if
// next or r is nil.
//
// A record without secrets and without values of other than basic kinds
// reaches next as it is. Other values are looked at the way fmt and
// encoding/json print them; one that holds a secret reaches next as redacted
// JSON (json.RawMessage), or as text if it has no JSON form. Group names and
// the names of attributes are not changed.
func NewHandler(next slog.Handler, r *Redactor) slog.Handler {
	if next == nil || r == nil {
		panic("redact: NewHandler needs a handler and a Redactor")
	}
	return &handler{next: next, r: r}
}

type handler struct {
	next slog.Handler
	r    *Redactor
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{next: h.next.WithGroup(name), r: h.r}
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean, _ := h.r.attrs(attrs)
	return &handler{next: h.next.WithAttrs(clean), r: h.r}
}

func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	msg := h.r.String(record.Message)
	dirty := len(msg) != len(record.Message) || msg != record.Message
	if !dirty {
		record.Attrs(func(a slog.Attr) bool {
			_, changed := h.r.attr(a)
			dirty = changed
			return !dirty
		})
	}
	if !dirty {
		return h.next.Handle(ctx, record)
	}
	clean := slog.NewRecord(record.Time, record.Level, msg, record.PC)
	record.Attrs(func(a slog.Attr) bool {
		a, _ = h.r.attr(a)
		clean.AddAttrs(a)
		return true
	})
	return h.next.Handle(ctx, clean)
}

// attrs returns the redacted list, which is list itself when nothing changed.
func (r *Redactor) attrs(list []slog.Attr) ([]slog.Attr, bool) {
	var out []slog.Attr
	for i, a := range list {
		clean, changed := r.attr(a)
		if changed && out == nil {
			out = append(make([]slog.Attr, 0, len(list)), list[:i]...)
		}
		if out != nil {
			out = append(out, clean)
		}
	}
	if out == nil {
		return list, false
	}
	return out, true
}

// attr returns a redacted and whether that changed it.
func (r *Redactor) attr(a slog.Attr) (slog.Attr, bool) {
	class := r.class(a.Key)
	value, changed := a.Value, false
	if value.Kind() == slog.KindLogValuer {
		// Resolved here and replaced: asked again, it could answer otherwise.
		value, changed = value.Resolve(), true
	}
	clean, masked := r.value(class, value)
	return slog.Attr{Key: a.Key, Value: clean}, changed || masked
}

// class judges an attribute's key, and remembers: a program has few of them.
func (r *Redactor) class(key string) secrecy {
	if key == "" {
		return notSecret
	}
	slot := &r.seen[(len(key)*31+int(key[0])*7+int(key[len(key)/2])*17+int(key[len(key)-1])*131)%len(r.seen)]
	if k := slot.Load(); k != nil && k.name == key {
		return k.class
	}
	class := r.current().classify(key)
	slot.Store(&judged{strings.Clone(key), class})
	return class
}

// judged is a key name and what classify said about it.
type judged struct {
	name  string
	class secrecy
}

func (r *Redactor) value(class secrecy, v slog.Value) (slog.Value, bool) {
	switch v.Kind() {
	case slog.KindString:
		return r.text(class, v)
	case slog.KindInt64, slog.KindUint64, slog.KindFloat64:
		return r.figure(class, v)
	case slog.KindGroup:
		list, changed := r.attrs(v.Group())
		if !changed {
			return v, false
		}
		return slog.GroupValue(list...), true
	case slog.KindAny:
		return r.other(class, v)
	}
	return v, false // bool, time, duration
}

func (r *Redactor) text(class secrecy, v slog.Value) (slog.Value, bool) {
	s := v.String()
	if masksWhole(class, s) {
		return slog.StringValue(Mask), true
	}
	out, dirty := redact(r.current(), s)
	if class == isHeader || class == isCookie {
		out, dirty = r.header(class, s)
	}
	if !dirty {
		return v, false
	}
	return slog.StringValue(out), true
}

// header redacts the value of a header as if its name stood before it.
func (r *Redactor) header(class secrecy, s string) (string, bool) {
	name := "Authorization: "
	if class == isCookie {
		name = "Cookie: "
	}
	out, dirty := redact(r.current(), name+s)
	return out[len(name):], dirty
}

// figure masks numbers under secret names, and card numbers.
func (r *Redactor) figure(class secrecy, v slog.Value) (slog.Value, bool) {
	if class == isPassword || class == isToken {
		return slog.StringValue(Mask), true
	}
	if v.Kind() == slog.KindFloat64 || class == notSecret && small(v) {
		return v, false
	}
	s := v.String()
	if masksWhole(class, s) {
		return slog.StringValue(Mask), true
	}
	if _, dirty := redact(r.current(), s); dirty {
		return slog.StringValue(Mask), true
	}
	return v, false
}

// small reports whether a number is too short to be a card's.
func small(v slog.Value) bool {
	const least = 10_000_000_000_000
	if v.Kind() == slog.KindInt64 {
		return -least < v.Int64() && v.Int64() < least
	}
	return v.Uint64() < least
}

// masksWhole reports whether s, the value of an attribute or member of that
// class, is masked whole.
func masksWhole(class secrecy, s string) bool {
	switch class {
	case notSecret, isHeader, isCookie:
		return false
	case isPassword, isToken:
		return !masked(s) && !placeholder(s)
	}
	return secretValue(class, styleMember, true, s)
}
