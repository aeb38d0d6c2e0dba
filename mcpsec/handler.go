package mcpsec

import (
	"context"
	"fmt"
	"log/slog"
)

// guarded turns a panic of a user's handler into an error: records and logs are
// written in places where nothing else would stop it.
type guarded struct {
	next   slog.Handler
	failed func(context.Context) // is told that it could not record; may be nil
}

func (h guarded) Enabled(ctx context.Context, l slog.Level) (on bool) {
	defer func() { _ = recover() }()
	return h.next.Enabled(ctx, l)
}

// A handler that panics here is one that cannot record.
func (h guarded) derive(from func() slog.Handler) (next slog.Handler) {
	defer func() {
		if p := recover(); p != nil {
			next = guarded{broken{fmt.Errorf("the handler panicked: %v", p)}, h.failed}
		}
	}()
	return guarded{from(), h.failed}
}

func (h guarded) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.derive(func() slog.Handler { return h.next.WithAttrs(attrs) })
}

func (h guarded) WithGroup(name string) slog.Handler {
	return h.derive(func() slog.Handler { return h.next.WithGroup(name) })
}

func (h guarded) Handle(ctx context.Context, r slog.Record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the handler panicked: %v", p)
		}
		if err != nil && h.failed != nil {
			h.failed(ctx)
		}
	}()
	return h.next.Handle(ctx, r)
}

// atLeast drops records below a level.
type atLeast struct {
	level slog.Level
	slog.Handler
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

// broken fails every record.
type broken struct{ err error }

func (broken) Enabled(context.Context, slog.Level) bool    { return true }
func (h broken) Handle(context.Context, slog.Record) error { return h.err }
func (h broken) WithAttrs([]slog.Attr) slog.Handler        { return h }
func (h broken) WithGroup(string) slog.Handler             { return h }
