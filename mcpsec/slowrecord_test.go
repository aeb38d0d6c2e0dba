package mcpsec_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// slow takes its time to record decisions.
type slow struct{ slog.Handler }

func (h slow) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "decision" {
		time.Sleep(time.Second)
	}
	return h.Handler.Handle(ctx, r)
}

// What was refused, or asked about, has no outcome, even if its record takes
// longer than the call may: nobody must read that it may have run.
func TestSlowRecordsOfRefusals(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args removeIn
		want string
	}{
		"asked":   {removeIn{Name: "ada"}, "asked mrtr"},
		"refused": {removeIn{Name: strings.Repeat("x", 101)}, "refused arguments"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRemover(nil)
				f := newFixture(t, func(o *mcpsec.Options) {
					o.Mode, o.Audit, o.Limits.Timeout = mcpsec.Destroy, slow{o.Audit}, 50*time.Millisecond
				}, r.Tool)
				text := attempt(t, f.connectAs(t, true, answers("decline", nil)), "remove", tc.args)
				time.Sleep(2 * time.Second)
				if got := f.story(t); got != tc.want || !strings.Contains(text, "could not be recorded in time") {
					t.Errorf("recorded %q, answered %q", got, text)
				}
			})
		})
	}
}
