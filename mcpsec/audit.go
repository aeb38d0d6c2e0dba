package mcpsec

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
	"github.com/mcpsec/mcpsec-go/internal/waive"
)

// Two records tell a call's story: "decision", written before the tool runs,
// and "outcome", written before the answer leaves. A call that was refused
// before it ran has the first only, and one that a person was asked about has a
// "decision" that says so before the other. A call whose handler asks has both
// for each round; one that brings answers along says which it "resumes". They hold
// no argument values but
// those of fields tagged `mcpsec:"log"`, no questions and no error texts.

// recordDecision writes whether a call may run. f is nil for yes.
func (s *Server) recordDecision(ctx context.Context, c *Call, f *failure, waivers []waive.Waiver) error {
	s.noteDecision(ctx, c, f)
	skipped := 0
	if f != nil && (f.rule == "rate" || f.rule == "busy") {
		var ok bool
		if ok, skipped = s.refusals.admit(c.start); !ok {
			return nil
		}
	}
	attrs := append(make([]slog.Attr, 0, 13),
		slog.String("call", c.ID),
		slog.String("method", c.Method),
		slog.String(c.noun, c.Tool),
		slog.String("principal", c.Principal.ID),
		slog.String("effect", c.Effect.String()),
		slog.Int("arg_bytes", c.bytes),
	)
	if c.shape != "" {
		attrs = append(attrs, slog.String("args", c.shape))
	}
	if f == nil {
		attrs = append(attrs, slog.String("decision", "allowed"))
	} else {
		attrs = s.appendRefusal(attrs, f)
	}
	for _, note := range c.after.noted() {
		attrs = append(attrs, slog.String("note", s.clean(note, maxReason)))
	}
	attrs = s.appendAssent(attrs, c.assent)
	if c.resumes != "" && (c.assent == nil || c.assent.call != c.resumes) {
		attrs = append(attrs, slog.String("resumes", c.resumes))
	}
	if skipped > 0 {
		attrs = append(attrs, slog.Int("more", skipped))
	}
	for _, w := range waivers {
		attrs = append(attrs, slog.String("waived_"+string(w.Kind), w.Reason))
	}
	r := slog.NewRecord(c.start, slog.LevelInfo, "decision", 0)
	r.AddAttrs(attrs...)
	return s.audit.Handle(ctx, r)
}

// appendRefusal says why a call does not run, or not yet.
func (s *Server) appendRefusal(attrs []slog.Attr, f *failure) []slog.Attr {
	if q := f.question; q != nil {
		return append(attrs, slog.String("decision", f.outcome), slog.String("way", q.way))
	}
	attrs = append(attrs, slog.String("decision", "refused"), slog.String("rule", f.rule))
	if f.text != "" {
		attrs = append(attrs, slog.String("reason", s.clean(f.text, maxReason)))
	}
	if f.by != "" {
		attrs = append(attrs, slog.String("by", s.clean(f.by, maxReason)))
	}
	return attrs
}

// appendAssent says how a person has said yes, and in which call was asked.
func (s *Server) appendAssent(attrs []slog.Attr, a *assent) []slog.Attr {
	if a == nil {
		return attrs
	}
	attrs = append(attrs, slog.String("confirmed", a.way))
	if a.by != "" {
		attrs = append(attrs, slog.String("by", s.clean(a.by, maxReason)))
	}
	if a.call != "" {
		attrs = append(attrs, slog.String("asked_in", a.call))
	}
	return attrs
}

// recordOutcome writes how a call that ran has ended: late, if it had been given
// up before.
func (s *Server) recordOutcome(ctx context.Context, c *Call, f *failure, res *result, late bool) error {
	s.noteEnd(ctx, c, f, res, late)
	now := time.Now()
	r := slog.NewRecord(now, slog.LevelInfo, "outcome", 0)
	r.AddAttrs(
		slog.String("call", c.ID),
		slog.String(c.noun, c.Tool),
		slog.Int64("micros", now.Sub(c.start).Microseconds()),
	)
	if f != nil {
		r.AddAttrs(slog.String("outcome", f.outcome), slog.String("rule", f.rule))
		if q := f.question; q != nil {
			r.AddAttrs(slog.String("way", q.way), slog.String("asked", q.names()))
		}
	} else {
		r.AddAttrs(slog.String("outcome", outcomeOK), slog.Int("result_bytes", len(res.json)))
		if res.redacted {
			r.AddAttrs(slog.Bool("redacted", true))
		}
		if res.stripped > 0 {
			r.AddAttrs(slog.Int("stripped", res.stripped))
		}
	}
	if late {
		r.AddAttrs(slog.Bool("late", true))
	}
	return s.audit.Handle(ctx, r)
}

// maxRefusals is how many refusals of bad messages and of calls over a limit
// get a record of their own within a second: a flood of them must not fill the
// disk, and each costs its sender nothing. The next record counts the others.
const maxRefusals = 50

// refusals meters the records of refusals.
type refusals struct {
	mu      sync.Mutex
	start   time.Time
	n       int
	skipped int
}

// admit reports whether a refusal gets a record, and how many before it did not.
func (r *refusals) admit(now time.Time) (ok bool, skipped int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.start) >= time.Second {
		r.start, r.n = now, 0
	}
	if r.n++; r.n > maxRefusals {
		r.skipped++
		return false, 0
	}
	skipped, r.skipped = r.skipped, 0
	return true, skipped
}

// rest returns how many refusals no record tells of yet.
func (r *refusals) rest() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.skipped
	r.skipped = 0
	return n
}

// A refusal is what the record tells of a message that could not become a call.
// All texts are constants or were checked.
type refusal struct {
	principal string // empty where nobody has been authenticated
	remote    string // the address, in that case
	noun      string // what was meant, where that exists: tool, prompt or resource
	tool      string // and its name
	rule      string
	reason    string
}

// recordRefusal writes what was refused before it could become a call.
func (s *Server) recordRefusal(ctx context.Context, f refusal) {
	s.note(ctx, Event{Kind: eventRefused, Method: methodOf[f.noun], Name: f.tool, Reason: f.rule})
	meter := &s.refusals
	if f.principal == "" {
		meter = &s.strangers
	}
	if ok, skipped := meter.admit(time.Now()); ok {
		s.writeRefusal(ctx, f, skipped)
	}
}

// recordRest accounts for refusals that were only counted.
func (s *Server) recordRest(ctx context.Context) {
	if n := s.refusals.rest() + s.strangers.rest(); n > 0 {
		s.writeRefusal(ctx, refusal{rule: "flood", reason: "refusals without a record of their own"}, n)
	}
}

func (s *Server) writeRefusal(ctx context.Context, f refusal, skipped int) {
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "decision", 0)
	for _, a := range []struct{ name, value string }{{"principal", f.principal}, {"remote", f.remote}, {f.noun, f.tool}} {
		if a.value != "" {
			r.AddAttrs(slog.String(a.name, a.value))
		}
	}
	r.AddAttrs(slog.String("decision", "refused"), slog.String("rule", f.rule), slog.String("reason", f.reason))
	if skipped > 0 {
		r.AddAttrs(slog.Int("more", skipped))
	}
	if err := s.audit.Handle(ctx, r); err != nil {
		s.log.ErrorContext(ctx, "audit failed", "rule", f.rule, "error", err)
	}
}

// A loggedField is a top-level argument in the record: its shape, and its value
// where the type says so.
type loggedField struct {
	name  string
	index []int
	value bool
}

func loggedFields(t reflect.Type) []loggedField {
	fields, err := strictjson.Fields(t)
	if err != nil {
		return nil // the schema refuses the type for the same reason
	}
	var out []loggedField
	for _, f := range fields {
		out = append(out, loggedField{f.JSON, f.Path, f.Tag.Get("mcpsec") == "log"})
	}
	return out
}

// maxLoggedValue bounds what one argument's value takes in the record, in bytes.
const maxLoggedValue = 200

// shape tells the arguments that were given by name, kind and size, as in
// "id=string/36 limit=int lines=list/2".
func (o *operation) shape(in any, s *Server) string {
	if c, ok := in.(chosen); ok {
		return strings.TrimSuffix(c.named+" "+c.tool.shape(c.in, s), " ")
	}
	v := reflect.ValueOf(in).Elem()
	b := make([]byte, 0, 128)
	for _, f := range o.logged {
		fv := v.FieldByIndex(f.index)
		if fv.IsZero() {
			continue
		}
		if len(b) > 0 {
			b = append(b, ' ')
		}
		b = append(b, f.name...)
		b = append(b, '=')
		b = appendShape(b, fv, f.value, s)
	}
	return string(b)
}

func appendShape(b []byte, v reflect.Value, value bool, s *Server) []byte {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if value {
		return strconv.AppendQuote(b, s.clean(fmt.Sprint(v.Interface()), maxLoggedValue))
	}
	kind := v.Kind()
	switch kind {
	case reflect.String:
		b = append(b, "string/"...)
	case reflect.Slice, reflect.Array:
		b = append(b, "list/"...)
	case reflect.Map:
		b = append(b, "map/"...)
	default:
		return append(b, kind.String()...)
	}
	return strconv.AppendInt(b, int64(v.Len()), 10)
}
