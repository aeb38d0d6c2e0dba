package mcpsec

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/strictjson"
	"github.com/mcpsec/mcpsec-go/internal/waive"
)

// Two records tell a call's story: "decision", written before the tool runs,
// and "outcome", written before the answer leaves. A call that was refused has
// the first only. They hold no argument values but those of fields tagged
// `mcpsec:"log"`, and no error texts.

// recordDecision writes whether a call may run. f is nil for yes.
func (s *Server) recordDecision(ctx context.Context, c *Call, f *failure, waivers []waive.Waiver) error {
	attrs := append(make([]slog.Attr, 0, 12),
		slog.String("call", c.ID),
		slog.String("tool", c.Tool),
		slog.String("principal", c.Principal.ID),
		slog.String("effect", c.Effect.String()),
		slog.Int("arg_bytes", c.bytes),
	)
	if c.shape != "" {
		attrs = append(attrs, slog.String("args", s.redact.String(c.shape)))
	}
	if f == nil {
		attrs = append(attrs, slog.String("decision", "allowed"))
	} else {
		attrs = append(attrs, slog.String("decision", "refused"), slog.String("rule", f.rule))
		if f.text != "" {
			attrs = append(attrs, slog.String("reason", s.redact.String(f.text)))
		}
	}
	for _, w := range waivers {
		attrs = append(attrs, slog.String("waived_"+string(w.Kind), w.Reason))
	}
	r := slog.NewRecord(c.start, slog.LevelInfo, "decision", 0)
	r.AddAttrs(attrs...)
	return s.audit.Handle(ctx, r)
}

// recordOutcome writes how a call that ran has ended.
func (s *Server) recordOutcome(ctx context.Context, c *Call, f *failure, res *result) error {
	now := time.Now()
	r := slog.NewRecord(now, slog.LevelInfo, "outcome", 0)
	r.AddAttrs(
		slog.String("call", c.ID),
		slog.String("tool", c.Tool),
		slog.Int64("micros", now.Sub(c.start).Microseconds()),
	)
	if f != nil {
		r.AddAttrs(slog.String("outcome", f.outcome), slog.String("rule", f.rule))
	} else {
		r.AddAttrs(slog.String("outcome", outcomeOK), slog.Int("result_bytes", len(res.json)))
		if res.redacted {
			r.AddAttrs(slog.Bool("redacted", true))
		}
		if res.stripped > 0 {
			r.AddAttrs(slog.Int("stripped", res.stripped))
		}
	}
	return s.audit.Handle(ctx, r)
}

// recordRefusal writes what was refused before it could become a call.
func (s *Server) recordRefusal(ctx context.Context, rule, reason string) {
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "decision", 0)
	r.AddAttrs(
		slog.String("principal", s.principal.ID),
		slog.String("decision", "refused"),
		slog.String("rule", rule),
		slog.String("reason", reason),
	)
	if err := s.audit.Handle(ctx, r); err != nil {
		s.log.ErrorContext(ctx, "audit failed", "error", err)
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
		sf, ok := t.FieldByName(f.Name)
		if ok {
			out = append(out, loggedField{f.JSON, sf.Index, f.Tag.Get("mcpsec") == "log"})
		}
	}
	return out
}

// maxLoggedValue bounds what one argument's value takes in the record, in bytes.
const maxLoggedValue = 200

// shape tells the arguments that were given by name, kind and size, as in
// "id=string/36 limit=int lines=list/2".
func (t *Tool) shape(in any) string {
	v := reflect.ValueOf(in).Elem()
	b := make([]byte, 0, 128)
	for _, f := range t.logged {
		fv := v.FieldByIndex(f.index)
		if fv.IsZero() {
			continue
		}
		if len(b) > 0 {
			b = append(b, ' ')
		}
		b = append(b, f.name...)
		b = append(b, '=')
		b = appendShape(b, fv, f.value)
	}
	return string(b)
}

func appendShape(b []byte, v reflect.Value, value bool) []byte {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if value {
		s := fmt.Sprint(v.Interface())
		if len(s) > maxLoggedValue {
			s = s[:maxLoggedValue]
		}
		return strconv.AppendQuoteToASCII(b, s)
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
