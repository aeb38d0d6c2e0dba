package mcpsec

import (
	"context"
	"fmt"
	"log/slog"
)

// guarded turns a panic of a user's handler into an error: records and logs are
// written in places where nothing else would stop it.
type guarded struct{ next slog.Handler }

func (h guarded) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

func (h guarded) WithAttrs(attrs []slog.Attr) slog.Handler { return guarded{h.next.WithAttrs(attrs)} }

func (h guarded) WithGroup(name string) slog.Handler { return guarded{h.next.WithGroup(name)} }

func (h guarded) Handle(ctx context.Context, r slog.Record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the handler panicked: %v", p)
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
