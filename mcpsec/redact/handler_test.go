package redact_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/slogtest"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func TestHandlerKeepsTheContract(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	h := redact.NewHandler(slog.NewJSONHandler(&buf, nil), redact.New(redact.Options{}))
	err := slogtest.TestHandler(h, func() (out []map[string]any) {
		for _, line := range bytes.Split(bytes.TrimSpace(buf.Bytes()), []byte("\n")) {
			m := map[string]any{}
			if err := json.Unmarshal(line, &m); err != nil {
				t.Fatal(err)
			}
			out = append(out, m)
		}
		return out
	})
	if err != nil {
		t.Error(err)
	}
}

func TestNewHandlerPanics(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(){
		"no handler":  func() { redact.NewHandler(nil, redact.New(redact.Options{})) },
		"no redactor": func() { redact.NewHandler(slog.DiscardHandler, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

// hidden is the value that must not be seen; dsn and header carry it in ways
// that are found without knowing it.
const (
	hidden = "Vw7kQz" + "29xTpL"
	dsn    = "postgres://app:" + hidden + "@db/orders"
)

type stringer struct{ s string }

func (s stringer) String() string { return s.s }

type formatter struct{ s string }

func (f formatter) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, f.s) }

type texter struct{ s string }

func (x texter) MarshalText() ([]byte, error) { return []byte(x.s), nil }

// twoTexts shows its text to slog.TextHandler alone.
type twoTexts struct{ s string }

func (x twoTexts) MarshalText() ([]byte, error) { return []byte(x.s), nil }
func (twoTexts) MarshalJSON() ([]byte, error)   { return []byte(`"none"`), nil }
func (twoTexts) String() string                 { return "none" }

type jsoner struct{ s string }

func (j jsoner) MarshalJSON() ([]byte, error) { return json.Marshal(map[string]string{"v": j.s}) }

type valuer struct{ v any }

func (v valuer) LogValue() slog.Value { return slog.AnyValue(v.v) }

type verbose struct{ s string }

func (verbose) Error() string                  { return "connect" }
func (v verbose) Format(w fmt.State, _ rune)   { _, _ = io.WriteString(w, v.s) }
func (v verbose) MarshalJSON() ([]byte, error) { return json.Marshal(v.s) }

type config struct {
	Host     string
	Password string
	inner    struct{ token string }
	Next     *config
}

type taggedConfig struct {
	Host string
	Word string `redact:"true"`
	word string `redact:"true"`
	Raw  []byte `redact:"true"`
}

type panicker struct{}

func (*panicker) String() string { panic("no") }

// carriers holds every way we know of to bring a value into a record.
func carriers() map[string]slog.Attr {
	u, _ := url.Parse(dsn)
	_, badURL := url.Parse(strings.Clone(dsn) + "\x7f")
	header := http.Header{"Authorization": {"Bearer " + hidden}, "X-Api-Key": {hidden}}
	c := config{Host: "db", Password: hidden, Next: &config{Password: hidden}}
	c.inner.token = hidden
	cycle := &config{Password: hidden}
	cycle.Next = cycle
	text := dsn
	err := errors.New(dsn)
	return map[string]slog.Attr{
		"string":           slog.String("v", dsn),
		"string by key":    slog.String("password", hidden),
		"number by key":    slog.Int("pin", 98231764),
		"uint by key":      slog.Uint64("password", 98231764),
		"float by key":     slog.Float64("password", 98231764),
		"card":             slog.Int64("n", 4498833561627592),
		"header by key":    slog.String("Authorization", "Bearer "+hidden),
		"raw header":       slog.String("authorization", "token "+hidden+hidden),
		"cookie by key":    slog.String("Cookie", "sid="+hidden+hidden+"; theme=dark"),
		"any by key":       slog.Any("password", []string{hidden}),
		"any map by key":   slog.Any("token", map[string]string{"a": hidden}),
		"error":            slog.Any("err", err),
		"wrapped":          slog.Any("err", fmt.Errorf("open: %w", err)),
		"joined":           slog.Any("err", errors.Join(io.EOF, err)),
		"url error":        slog.Any("err", &url.Error{Op: "Get", URL: "https://h/?token=" + hidden + hidden, Err: io.EOF}),
		"parse error":      slog.Any("err", badURL),
		"verbose error":    slog.Any("err", verbose{dsn}),
		"stringer":         slog.Any("v", stringer{dsn}),
		"stringer pointer": slog.Any("v", &stringer{dsn}),
		"formatter":        slog.Any("v", formatter{dsn}),
		"text marshaler":   slog.Any("v", texter{dsn}),
		"json marshaler":   slog.Any("v", jsoner{dsn}),
		"raw message":      slog.Any("v", json.RawMessage(`{"password":"`+hidden+`"}`)),
		"bytes":            slog.Any("v", []byte(dsn)),
		"bytes by key":     slog.Any("password", []byte(hidden)),
		"logvaluer":        slog.Any("v", valuer{dsn}),
		"logvaluer nested": slog.Any("v", valuer{valuer{slog.GroupValue(slog.String("password", hidden))}}),
		"logvaluer error":  slog.Any("v", valuer{err}),
		"http header":      slog.Any("v", header),
		"url":              slog.Any("v", u),
		"url value":        slog.Any("v", *u),
		"userinfo":         slog.Any("user", u.User),
		"odd scheme":       slog.String("Authorization", "Zed "+hidden),
		"tagged inside":    slog.Any("v", taggedConfig{word: hidden}),
		"two texts":        slog.Any("v", twoTexts{dsn}),
		"group":            slog.Group("g", slog.Group("h", slog.String("password", hidden))),
		"attrs in any":     slog.Any("g", []slog.Attr{slog.String("password", hidden)}),
		"map":              slog.Any("v", map[string]any{"db": map[string]any{"password": hidden}}),
		"map of errors":    slog.Any("v", map[string]error{"e": err}),
		"struct":           slog.Any("v", c),
		"struct pointer":   slog.Any("v", &c),
		"cycle":            slog.Any("v", cycle),
		"slice":            slog.Any("v", []any{1, dsn}),
		"slice of structs": slog.Any("v", []config{c}),
		"pointer":          slog.Any("v", &text),
		"tagged":           slog.Any("v", taggedConfig{Host: "db", Word: hidden, word: hidden, Raw: []byte(hidden)}),
		"tagged pointer":   slog.Any("v", map[string]any{"c": &taggedConfig{Word: hidden}}),
		"secret":           slog.Any("v", redact.NewSecret(hidden)),
		"secret in struct": slog.Any("v", struct{ S redact.Secret }{redact.NewSecret(hidden)}),
		"panics":           slog.Any("password", (*panicker)(nil)),
		"base64":           slog.String("body", base64.StdEncoding.EncodeToString([]byte(`{"password":"`+hidden+`"}`))),
	}
}

func TestHandlerCarriers(t *testing.T) {
	t.Parallel()
	forms := []string{hidden, base64.StdEncoding.EncodeToString([]byte(hidden)), strings.Trim(fmt.Sprint([]byte(hidden)), "[]"), "98231764", "4498833561627592", hidden[:6], hidden[6:]}
	for name, attr := range carriers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for format, out := range logged(attr) {
				for _, form := range forms {
					if strings.Contains(out, form) {
						t.Errorf("%s: %q remains in %s", format, form, out)
					}
				}
				if format == "json" && !json.Valid([]byte(out)) {
					t.Errorf("not JSON: %s", out)
				}
			}
		})
	}
}

// logged returns what the handlers of log/slog write about attr, given in the
// record and in With.
func logged(attr slog.Attr) map[string]string {
	var buf [4]bytes.Buffer
	r := redact.New(redact.Options{})
	text, js := func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }, func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) }
	for i, make := range []func(io.Writer) slog.Handler{text, js, text, js} {
		log := slog.New(redact.NewHandler(make(&buf[i]), r))
		if i < 2 {
			log.LogAttrs(context.Background(), slog.LevelInfo, "m", attr)
		} else {
			log.With(attr).WithGroup("g").Info("m", "n", 1)
		}
	}
	return map[string]string{"text": buf[0].String(), "json": buf[1].String(), "with, text": buf[2].String(), "with, json": buf[3].String()}
}

func TestHandlerMessage(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	slog.New(redact.NewHandler(slog.NewTextHandler(&buf, nil), redact.New(redact.Options{}))).Info("open " + dsn)
	if strings.Contains(buf.String(), hidden) {
		t.Errorf("got %s", buf.String())
	}
}

func TestHandlerLeavesCleanRecordsAlone(t *testing.T) {
	t.Parallel()
	type point struct{ X, Y int }
	args := []any{"s", "text", "n", 17, "b", true, "p", point{1, 2}, "m", map[string]int{"a": 1}, "nil", nil, "tokens", 1532, slog.Group("g", "k", "v"), "d", []byte("plain")}
	var want, got bytes.Buffer
	drop := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Attr{}
		}
		return a
	}}
	slog.New(slog.NewTextHandler(&want, drop)).Info("done", args...)
	slog.New(redact.NewHandler(slog.NewTextHandler(&got, drop), redact.New(redact.Options{}))).Info("done", args...)
	if got.String() != want.String() {
		t.Errorf("got  %s\nwant %s", got.String(), want.String())
	}
}

func TestHandlerAllocatesNothingForCleanRecords(t *testing.T) {
	h := redact.NewHandler(slog.DiscardHandler, redact.New(redact.Options{}))
	record := slog.NewRecord(testTime, slog.LevelInfo, "order shipped", 0)
	record.AddAttrs(slog.String("order", "ORD-2026-000123456"), slog.Int("total", 3980), slog.Bool("paid", true))
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { _ = h.Handle(ctx, record) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkHandler(b *testing.B) {
	record := slog.NewRecord(testTime, slog.LevelInfo, "order shipped", 0)
	record.AddAttrs(slog.String("order", "ORD-2026-000123456"), slog.Int("total", 3980), slog.Bool("paid", true), slog.String("currency", "EUR"), slog.Duration("took", 17))
	for name, h := range map[string]slog.Handler{
		"plain":  slog.NewJSONHandler(io.Discard, nil),
		"redact": redact.NewHandler(slog.NewJSONHandler(io.Discard, nil), redact.New(redact.Options{})),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = h.Handle(b.Context(), record)
			}
		})
	}
}
