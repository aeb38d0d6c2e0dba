package mcpsec

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Metrics returns a handler that shows what the server has counted since it was
// made, in Prometheus' text format:
//
//	mcpsec_calls_total{method,name,outcome}          calls that ran, by how they ended: ok, asked, refused, failed, panicked, timeout, cancelled
//	mcpsec_call_duration_seconds{method,name}        how long those took, guards included: a histogram
//	mcpsec_refusals_total{method,name,rule}          what was refused before it ran; name is empty where nothing was meant that exists
//	mcpsec_confirmations_total{method,name,step}     questions to people: asked, and confirmed, which is a yes; a no is a refusal by the rule declined
//	mcpsec_results_cleaned_total{method,name,what}   results that lost a secret or hidden characters
//	mcpsec_http_responses_total{code}                HTTP responses by status
//	mcpsec_audit_failures_total                      records that could not be written, each a call that was refused or whose answer was withheld
//	mcpsec_calls_running                             calls that hold a place, those left behind included
//
// A name is that of a tool, a prompt or a resource, as method tells.
//
// Labels are names and rules of the program's own, never what a client has sent,
// and bounded in number. The handler does not authenticate: mount it where nobody
// but the monitoring comes, not beside [Server.HTTP]. It is safe for concurrent
// use.
func (s *Server) Metrics() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(s.expose())
	})
}

// durations are the upper bounds of the histogram.
var durations = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond,
	500 * time.Millisecond, 2500 * time.Millisecond, 10 * time.Second, 30 * time.Second,
}

// maxSeries bounds how many series one counter can have: the rules of errors are
// a user's own.
const maxSeries = 10_000

// metrics counts what the records tell.
type metrics struct {
	calls, refusals, questions, cleaned, http family
	audits                                    atomic.Uint64 // failures

	mu    sync.RWMutex
	times map[[2]string]*histogram // by method and name
}

// A family is a counter with up to three labels.
type family struct {
	mu sync.RWMutex
	m  map[[3]string]*atomic.Uint64
}

func (f *family) add(first, second, third string) {
	key := [3]string{first, second, third}
	f.mu.RLock()
	n := f.m[key]
	f.mu.RUnlock()
	if n == nil {
		n = f.series(key)
	}
	n.Add(1)
}

func (f *family) series(key [3]string) *atomic.Uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.m) >= maxSeries {
		key = [3]string{"", "", "other"}
	}
	if f.m == nil {
		f.m = map[[3]string]*atomic.Uint64{}
	}
	if f.m[key] == nil {
		f.m[key] = new(atomic.Uint64)
	}
	return f.m[key]
}

type histogram struct {
	buckets [len(durations) + 1]atomic.Uint64 // not cumulated
	micros  atomic.Int64
}

func (m *metrics) took(key [2]string, d time.Duration) {
	m.mu.RLock()
	h := m.times[key]
	m.mu.RUnlock()
	if h == nil {
		h = m.histogram(key)
	}
	i, _ := slices.BinarySearch(durations[:], d)
	h.buckets[i].Add(1)
	h.micros.Add(d.Microseconds())
}

func (m *metrics) histogram(key [2]string) *histogram {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.times == nil {
		m.times = map[[2]string]*histogram{}
	}
	if m.times[key] == nil {
		m.times[key] = &histogram{}
	}
	return m.times[key]
}

// add counts an event.
func (m *metrics) add(e Event) {
	switch e.Kind {
	case eventEnded:
		m.calls.add(e.Method, e.Name, e.Reason)
	case eventRefused:
		m.refusals.add(e.Method, e.Name, e.Reason)
	case eventCleaned:
		m.cleaned.add(e.Method, e.Name, e.Reason)
	case eventAsked, eventConfirmed:
		m.questions.add(e.Method, e.Name, e.Kind)
	case eventUnrecorded:
		m.audits.Add(1)
	}
}

// noteDecision counts what was refused, and what a person is asked about.
func (s *Server) noteDecision(ctx context.Context, c *Call, f *failure) {
	switch {
	case f == nil:
	case f.question != nil:
		s.note(ctx, Event{Kind: eventAsked, Method: c.Method, Name: c.Tool, Reason: f.question.way})
	default:
		s.note(ctx, Event{Kind: eventRefused, Method: c.Method, Name: c.Tool, Reason: f.rule})
	}
}

// noteYes counts that a person has said yes.
func (r *run) noteYes(ctx context.Context, way string) {
	r.server.note(ctx, Event{Kind: eventConfirmed, Method: r.call.Method, Name: r.call.Tool, Reason: way})
}

// noteEnd counts a call that ran; a late one was counted when it was given up.
func (s *Server) noteEnd(ctx context.Context, c *Call, f *failure, res *result, late bool) {
	if late {
		return
	}
	s.metrics.took([2]string{c.Method, c.Tool}, time.Since(c.start))
	outcome := outcomeOK
	if f != nil {
		outcome = f.outcome
	}
	s.note(ctx, Event{Kind: eventEnded, Method: c.Method, Name: c.Tool, Reason: outcome})
	if f != nil {
		return
	}
	if res.redacted {
		s.note(ctx, Event{Kind: eventCleaned, Method: c.Method, Name: c.Tool, Reason: "secret"})
	}
	if res.stripped > 0 {
		s.note(ctx, Event{Kind: eventCleaned, Method: c.Method, Name: c.Tool, Reason: "hidden characters"})
	}
}

// expose writes all series, in order.
func (s *Server) expose() []byte {
	var b bytes.Buffer
	m := &s.metrics
	m.calls.write(&b, "mcpsec_calls_total", "Calls that ran, by how they ended.", "method", "name", "outcome")
	m.writeTimes(&b)
	m.refusals.write(&b, "mcpsec_refusals_total", "What was refused before it ran.", "method", "name", "rule")
	m.questions.write(&b, "mcpsec_confirmations_total", "Questions to people, and their yes.", "method", "name", "step")
	m.cleaned.write(&b, "mcpsec_results_cleaned_total", "Results that lost a secret or hidden characters.", "method", "name", "what")
	m.http.write(&b, "mcpsec_http_responses_total", "HTTP responses by status.", "code")
	head(&b, "mcpsec_audit_failures_total", "counter", "Records that could not be written.")
	fmt.Fprintf(&b, "mcpsec_audit_failures_total %d\n", m.audits.Load())
	head(&b, "mcpsec_calls_running", "gauge", "Calls that hold a place.")
	fmt.Fprintf(&b, "mcpsec_calls_running %d\n", s.running.n.Load())
	return b.Bytes()
}

func head(b *bytes.Buffer, name, kind, help string) {
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (f *family) write(b *bytes.Buffer, name, help string, labels ...string) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	head(b, name, "counter", help)
	for _, key := range slices.SortedFunc(maps.Keys(f.m), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }) {
		fmt.Fprintf(b, "%s{%s} %d\n", name, pairs(labels, key[:]), f.m[key].Load())
	}
}

func (m *metrics) writeTimes(b *bytes.Buffer) {
	const name = "mcpsec_call_duration_seconds"
	m.mu.RLock()
	defer m.mu.RUnlock()
	head(b, name, "histogram", "How long calls that ran took.")
	for _, key := range slices.SortedFunc(maps.Keys(m.times), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		h, sum, labels := m.times[key], uint64(0), pairs([]string{"method", "name"}, key[:])
		for i, d := range durations {
			sum += h.buckets[i].Load()
			fmt.Fprintf(b, "%s_bucket{%s,le=\"%s\"} %d\n", name, labels, strconv.FormatFloat(d.Seconds(), 'g', -1, 64), sum)
		}
		sum += h.buckets[len(durations)].Load()
		fmt.Fprintf(b, "%s_bucket{%s,le=\"+Inf\"} %d\n", name, labels, sum)
		fmt.Fprintf(b, "%s_sum{%s} %s\n", name, labels, strconv.FormatFloat(float64(h.micros.Load())/1e6, 'g', -1, 64))
		fmt.Fprintf(b, "%s_count{%s} %d\n", name, labels, sum)
	}
}

// pairs writes labels with their values.
func pairs(names, values []string) string {
	var b []byte
	for i, n := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, n...), '='), label(values[i])...)
	}
	return string(b)
}

// label quotes a label's value by the rules of the format.
func label(s string) string {
	q := make([]byte, 0, len(s)+2)
	q = append(q, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '\\', '"':
			q = append(q, '\\', c)
		case '\n':
			q = append(q, '\\', 'n')
		default:
			q = append(q, c)
		}
	}
	return string(append(q, '"'))
}
