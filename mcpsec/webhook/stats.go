package webhook

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var reasons = []string{
	outcomeHandled, outcomeRepeated, reasonBusy, reasonHandler, reasonRefused, reasonUnrecorded, reasonState, reasonKey,
	reasonMethod, reasonContentType, reasonTooLarge, reasonRead, reasonHeader, reasonSignature, reasonTimestamp, reasonEvent,
}

// counters counts deliveries by how they ended, in the order of reasons.
type counters [16]atomic.Uint64

func (c *counters) count(reason string) {
	for i, r := range reasons {
		if r == reason {
			c[i].Add(1)
			return
		}
	}
}

// Stats returns how many deliveries ended in which way since the start. The keys
// are always the same:
//
//	handled       the handler ran, and is done
//	repeated      the event was handled before
//	busy          another delivery of the event was being handled
//	handler       the handler returned an error or panicked
//	refused       the handler refused the event
//	unrecorded    the handler is done, but that could not be recorded
//	state         the Once failed
//	key           the sender's certificate was not to be had
//	method, content_type, too_large, read, header, signature, timestamp, event
//	              the delivery was refused for that
func (rc *Receiver) Stats() map[string]uint64 {
	m := make(map[string]uint64, len(reasons))
	for i, r := range reasons {
		m[r] = rc.stats[i].Load()
	}
	return m
}

// record logs a failure: where it came from and why, and nothing of what it
// held.
func (rc *Receiver) record(r *http.Request, out outcome) {
	level, flood := slog.LevelWarn, &rc.strangers
	switch out.reason {
	case reasonHandler, reasonRefused, reasonUnrecorded, reasonState:
		level, flood = slog.LevelError, &rc.own
	}
	left, ok := flood.allow(time.Now())
	if !ok {
		return
	}
	attrs := []any{"receiver", rc.name, "reason", out.reason, "remote", r.RemoteAddr, "error", rc.brief(out.err)}
	if left > 0 {
		attrs = append(attrs, "left_out", left)
	}
	rc.log.Log(r.Context(), level, "webhook failed", attrs...)
}

// brief bounds what a handler's error can put into the log. It is redacted first:
// a cut could leave half a secret, which nobody recognizes.
func (rc *Receiver) brief(err error) string {
	const longest = 4 << 10
	text := rc.redactor.String(err.Error())
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "..."
	}
	return text
}

// limiter lets through ten a second: a flood must not fill the disk.
type limiter struct {
	mu     sync.Mutex
	second time.Time
	n      int
	left   int // out, since the last that was let through
}

func (l *limiter) allow(now time.Time) (left int, ok bool) {
	const perSecond = 10
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.second) >= time.Second {
		l.second, l.n = now, 0
	}
	if l.n++; l.n > perSecond {
		l.left++
		return 0, false
	}
	left, l.left = l.left, 0
	return left, true
}
