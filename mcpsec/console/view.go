package console

import (
	"cmp"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	buckets = 60
	maxRows = 12
)

// A bucket is a part of the time that is shown.
type bucket struct {
	counts [kinds]int
	micros []uint32
}

func (b *bucket) all() (n int) {
	for _, k := range b.counts {
		n += k
	}
	return n
}

// A view is what the page's template shows.
type view struct {
	Title, Updated, Trouble, Gap string
	Ranges                       []choice
	Filters                      []choice // each leads to the page without it
	Tiles                        []tile
	Notices                      []string // minutes that are far from the usual
	Calls, Latency               template.HTML
	Rules, Tools, Callers        []row
	Asked, Yes, No               int
	Empty                        bool
}

type choice struct {
	Name, Link string
	Current    bool
}

type tile struct{ Name, Value, Note, Class string }

type rows struct {
	Head string
	Rows []row
}

// ToolRows is for the template.
func (v *view) ToolRows() rows { return rows{"tool", v.Tools} }

// CallerRows is for the template.
func (v *view) CallerRows() rows { return rows{"caller", v.Callers} }

// A row is one tool, caller or rule.
type row struct {
	Name, Link             string
	Count, Refused, Failed int
	P95                    string
	Spark                  template.HTML
	buckets                [buckets]int
	micros                 []uint32
}

// view sums up what q asks for.
func (b *book) view(q query, now time.Time, title string) *view {
	v := &view{Title: title, Updated: now.UTC().Format("15:04:05"), Trouble: b.trouble, Gap: b.gap}
	for _, r := range ranges {
		v.Ranges = append(v.Ranges, choice{r.Name, q.link(func(q *query) { q.span = r.span }), q.span == r.span})
	}
	if q.tool != "" {
		v.Filters = append(v.Filters, choice{Name: "tool: " + shown(q.tool), Link: q.link(func(q *query) { q.tool = "" })})
	}
	if q.caller != "" {
		v.Filters = append(v.Filters, choice{Name: "caller: " + shown(q.caller), Link: q.link(func(q *query) { q.caller = "" })})
	}
	if b.foreign > 0 {
		v.Notices = append(v.Notices, fmt.Sprintf("%s lines of the file are no records.", number(b.foreign)))
	}
	width := q.span / buckets
	end := now.Truncate(width).Add(width)
	begin := end.Add(-q.span).UnixMilli()
	if oldest := b.oldest(); oldest > begin {
		v.Notices = append(v.Notices, fmt.Sprintf("What came before %s UTC is not kept here; the log has it.", time.UnixMilli(oldest).UTC().Format("15:04:05")))
	}
	series := make([]bucket, buckets)
	tools, callers, rules := map[uint16]*row{}, map[uint16]*row{}, map[uint16]*row{}
	for i := range b.events {
		e := &b.events[i]
		at := (e.at - begin) / width.Milliseconds()
		if e.at < begin || at >= buckets || q.tool != "" && b.tools.text[e.tool] != q.tool || q.caller != "" && b.callers.text[e.caller] != q.caller {
			continue
		}
		n := int(e.count)
		series[at].counts[e.kind] += n
		entry(tools, e.tool).count(e, int(at), n)
		if e.kind != kindWebhook {
			entry(callers, e.caller).count(e, int(at), n)
		}
		switch {
		case e.kind == kindAsked:
			v.Asked += n
		case e.yes:
			v.Yes++
		case e.kind == kindRefused && b.rule.text[e.rule] == "declined":
			v.No += n
		}
		if e.kind >= kindRefused && e.kind <= kindTimeout {
			entry(rules, e.rule).count(e, int(at), n)
		}
		if ran(e) {
			series[at].micros = append(series[at].micros, e.micros)
		}
	}
	v.Tools = top(tools, b.tools, func(name string) string { return q.link(func(q *query) { q.tool = name }) })
	v.Callers = top(callers, b.callers, func(name string) string { return q.link(func(q *query) { q.caller = name }) })
	v.Rules = top(rules, b.rule, nil)
	v.Empty = len(tools) == 0
	marks := v.sum(series, q.span)
	if !b.last.IsZero() {
		v.Tiles = append(v.Tiles, tile{"last record", ago(now.Sub(b.last)), fmt.Sprintf("number %d", b.seq), ""})
	}
	v.draw(series, marks, end, q.span)
	return v
}

// oldest is when the first event was that is kept, if others were before, or 0.
func (b *book) oldest() int64 {
	if len(b.events) < maxEvents {
		return 0
	}
	return b.events[b.next].at
}

// ran reports whether an event tells how long something took.
func ran(e *event) bool { return e.kind == kindOK || e.kind == kindFailed || e.kind == kindTimeout }

func entry(rows map[uint16]*row, n uint16) *row {
	r := rows[n]
	if r == nil {
		r = &row{}
		rows[n] = r
	}
	return r
}

func (r *row) count(e *event, at, n int) {
	r.Count += n
	r.buckets[at] += n
	switch e.kind {
	case kindRefused:
		r.Refused += n
	case kindFailed, kindTimeout, kindWebhook:
		r.Failed += n
	}
	if ran(e) {
		r.micros = append(r.micros, e.micros)
	}
}

// top returns the rows that count most, and one for what is left.
func top(rows map[uint16]*row, n names, link func(string) string) []row {
	all := slices.SortedFunc(maps.Keys(rows), func(a, b uint16) int {
		return cmp.Or(cmp.Compare(rows[b].Count, rows[a].Count), strings.Compare(n.text[a], n.text[b]))
	})
	var out []row
	var rest row
	for i, k := range all {
		r := rows[k]
		r.Name = n.text[k]
		switch {
		case i >= maxRows:
			rest.Count, rest.Refused, rest.Failed = rest.Count+r.Count, rest.Refused+r.Refused, rest.Failed+r.Failed
			rest.Name = fmt.Sprintf("%d more", len(all)-maxRows)
			continue
		case r.Name == "":
			r.Name = "(none)"
		case link != nil && k != 0:
			r.Link = link(r.Name)
		}
		r.P95, r.Spark = duration(quantile(r.micros, 0.95)), spark(r.buckets[:])
		out = append(out, *r)
	}
	if rest.Name != "" {
		out = append(out, rest)
	}
	return out
}

// sum fills the tiles, and the notices of what is far from the usual, whose places it
// returns.
func (v *view) sum(series []bucket, span time.Duration) (marks [buckets]bool) {
	var micros []uint32
	var counts [kinds]int
	perBucket := [kinds][]int{}
	for i := range series {
		micros = append(micros, series[i].micros...)
		for k, n := range series[i].counts {
			counts[k] += n
			perBucket[k] = append(perBucket[k], n)
		}
	}
	failed := counts[kindFailed] + counts[kindTimeout]
	v.Tiles = []tile{
		{"calls that ran", number(counts[kindOK] + failed), rate(counts[kindOK]+failed, span), ""},
		{"refused", number(counts[kindRefused]), rate(counts[kindRefused], span), class(counts[kindRefused], "refused")},
		{"failed", number(failed), rate(failed, span), class(failed, "failed")},
		{"half take up to", duration(quantile(micros, 0.5)), "95 % up to " + duration(quantile(micros, 0.95)), ""},
	}
	if n := counts[kindWebhook]; n > 0 {
		v.Tiles = append(v.Tiles, tile{"webhooks failed", number(n), rate(n, span), "failed"})
	}
	width := span / buckets
	for k, word := range []string{"calls", "questions to people", "refusals", "failures", "calls that were given up", "failed webhooks"} {
		at, usual := spikes(perBucket[k])
		for _, i := range at {
			marks[i] = true
		}
		for _, i := range at[max(0, len(at)-3):] {
			before := span - time.Duration(i)*width
			v.Notices = append(v.Notices, fmt.Sprintf("%s %s within %s, %s ago (usual: %d).", number(perBucket[k][i]), word, short(width), short(before), usual))
		}
	}
	return marks
}

func class(n int, name string) string {
	if n == 0 {
		return ""
	}
	return name
}

func number(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func rate(n int, span time.Duration) string {
	return fmt.Sprintf("%.3g a minute", float64(n)/span.Minutes())
}

func duration(micros uint32) string {
	switch d := time.Duration(micros) * time.Microsecond; {
	case d == 0:
		return "–"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", micros)
	case d < time.Second:
		return fmt.Sprintf("%.3g ms", float64(micros)/1e3)
	default:
		return fmt.Sprintf("%.3g s", d.Seconds())
	}
}

// short is a duration without its zeroes.
func short(d time.Duration) string {
	switch {
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d >= time.Minute:
		return fmt.Sprintf("%d min", d.Round(time.Minute)/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

func ago(d time.Duration) string {
	switch {
	case d < 2*time.Second:
		return "now"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s ago", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	}
	return fmt.Sprintf("%d h ago", d/time.Hour)
}
