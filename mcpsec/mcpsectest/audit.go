package mcpsectest

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"strings"
	"sync"
)

// An Audit is an audit log in memory, for mcpsec.Options.Audit: it keeps the records of
// one test. The zero Audit is ready for use. It is a [slog.Handler], safe for concurrent
// use, and must not be copied.
type Audit struct {
	// Fail, if it is not nil, is asked about each record before it is kept, and its
	// error is that of a log that cannot be written: to test that what cannot be
	// recorded is refused. Set it before the first record; it must be safe for
	// concurrent use.
	Fail func(record map[string]any) error

	mu      sync.Mutex
	records []map[string]any
}

// Records returns what was recorded, in order: the members of each line as
// [encoding/json] reads them, "msg" and those that mcpsec documents. The caller owns
// them.
func (a *Audit) Records() []map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]map[string]any, len(a.records))
	for i, r := range a.records {
		out[i] = maps.Clone(r)
	}
	return out
}

// Story tells what became of the calls of a tool, a prompt or a resource, by its name,
// in one line for an assertion: each decision, with the way in which a person was asked
// or has said yes and the rule of a refusal, and each outcome. A call that a person has
// confirmed is "asked mrtr; allowed mrtr; ok", one that was refused for its rate
// "refused rate". It is empty if there was none. Calls that ran at once are told as
// their records came.
func (a *Audit) Story(name string) string {
	var out []string
	for _, r := range a.Records() {
		if r["tool"] != name && r["prompt"] != name && r["resource"] != name {
			continue
		}
		var words []string
		for _, key := range []string{"decision", "way", "confirmed", "outcome", "rule", "by"} {
			if word, ok := r[key].(string); ok {
				words = append(words, word)
			}
		}
		out = append(out, strings.Join(words, " "))
	}
	return strings.Join(out, "; ")
}

// Enabled implements [slog.Handler]: everything is recorded.
func (*Audit) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements [slog.Handler]. Its error is that of Fail.
func (a *Audit) Handle(ctx context.Context, r slog.Record) error {
	return derived{audit: a}.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler]. The records are kept in a.
func (a *Audit) WithAttrs(attrs []slog.Attr) slog.Handler {
	return derived{audit: a}.WithAttrs(attrs)
}

// WithGroup implements [slog.Handler]. The records are kept in a.
func (a *Audit) WithGroup(name string) slog.Handler { return derived{audit: a}.WithGroup(name) }

// derived is an Audit whose records have more members, or stand in groups.
type derived struct {
	audit *Audit
	by    func(slog.Handler) slog.Handler // nil for the Audit itself
}

func (d derived) Enabled(context.Context, slog.Level) bool { return true }

func (d derived) handler(h slog.Handler) slog.Handler {
	if d.by == nil {
		return h
	}
	return d.by(h)
}

func (d derived) Handle(ctx context.Context, r slog.Record) error {
	var line bytes.Buffer
	if err := d.handler(slog.NewJSONHandler(&line, nil)).Handle(ctx, r); err != nil {
		return err
	}
	var record map[string]any
	if err := json.Unmarshal(line.Bytes(), &record); err != nil {
		return err
	}
	if fail := d.audit.Fail; fail != nil {
		if err := fail(maps.Clone(record)); err != nil {
			return err
		}
	}
	d.audit.mu.Lock()
	defer d.audit.mu.Unlock()
	d.audit.records = append(d.audit.records, record)
	return nil
}

func (d derived) WithAttrs(attrs []slog.Attr) slog.Handler {
	return derived{d.audit, func(h slog.Handler) slog.Handler { return d.handler(h).WithAttrs(attrs) }}
}

func (d derived) WithGroup(name string) slog.Handler {
	return derived{d.audit, func(h slog.Handler) slog.Handler { return d.handler(h).WithGroup(name) }}
}
