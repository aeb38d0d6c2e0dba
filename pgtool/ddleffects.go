package pgtool

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A thing is a row of thingsSQL.
type thing struct {
	key, parent, kind, title, file, options string
	rows, kib                               int64
	written                                 bool
}

// An effect is what became of one thing.
type effect struct {
	Does   string `json:"does"`
	Kind   string `json:"kind"`
	Object string `json:"object"`
	Rows   *int64 `json:"rows_about,omitempty"`
	KiB    *int64 `json:"kib_about,omitempty"`
}

// What became of a thing.
const (
	creates = "creates"
	alters  = "alters"
	drops   = "drops"
	rewrite = "rewrites"
)

// A held lock is the strongest that a transaction takes of a relation that was there
// before.
type heldLock struct {
	Mode   string `json:"mode"`
	Object string `json:"object"`
}

// effects are what a transaction of statements that define things does.
type effects struct {
	changes  []effect
	locks    []heldLock
	warnings []string
}

// modes are the locks of relations, the weakest first, as pg_locks names them.
var modes = []string{
	"AccessShareLock", "RowShareLock", "RowExclusiveLock", "ShareUpdateExclusiveLock", "ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock",
}

// modeNames are what they are called in SQL.
var modeNames = []string{
	"ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE",
}

func things(r *result) map[string]thing {
	out := make(map[string]thing, r.rows)
	number := func(v []byte) int64 {
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	r.each(func(v [][]byte) bool {
		if len(v) == 9 {
			t := thing{
				key: string(v[0]), parent: string(v[1]), kind: string(v[2]), title: string(v[3]), file: string(v[4]),
				rows: number(v[5]), kib: number(v[6]), options: string(v[7]), written: len(v[8]) > 0,
			}
			out[t.key] = t
		}
		return true
	})
	return out
}

// effectsOf compares what was there before with what is there after.
func effectsOf(before, after, held *result) (*outcome, error) {
	old, now := things(before), things(after)
	e := &effects{}
	for key, t := range now {
		was, there := old[key]
		_, parentThere := old[t.parent]
		switch {
		case !there && (t.parent == "" || parentThere):
			e.add(creates, t)
			e.warnCreated(t, old[t.parent])
		case there && t.file != was.file && sized(t.kind):
			e.add(rewrite, was)
			e.warn("writes the whole of %s anew (%s): nobody can read or write it meanwhile", t.title, size(was))
		case there && t.written:
			e.add(alters, renamed(was, t))
			if was.options != t.options {
				e.warn("view %s has other options than before: security_invoker and security_barrier decide who sees what", t.title)
			}
		}
	}
	for key, t := range old {
		_, there := now[key]
		_, parentThere := now[t.parent]
		if _, had := old[t.parent]; !there && (!had || parentThere) {
			e.add(drops, t)
			e.warnDropped(t)
		}
	}
	o := &outcome{effects: e}
	if err := e.hold(held, old, now, o); err != nil {
		return nil, err
	}
	e.sort()
	return o, nil
}

// renamed is what t is called if it was called otherwise.
func renamed(was, t thing) thing {
	if was.title != t.title {
		was.title += " to " + t.title
	}
	return was
}

func sized(kind string) bool { return kind == "table" || kind == "materialized view" }

func size(t thing) string { return fmt.Sprintf("about %d rows, %d KiB", t.rows, t.kib) }

func (e *effects) add(does string, t thing) {
	x := effect{Does: does, Kind: t.kind, Object: t.title}
	if sized(t.kind) && does != creates {
		x.Rows, x.KiB = &t.rows, &t.kib
	}
	e.changes = append(e.changes, x)
}

func (e *effects) warn(format string, args ...any) {
	e.warnings = append(e.warnings, fmt.Sprintf(format, args...))
}

func (e *effects) warnDropped(t thing) {
	switch t.kind {
	case "table", "materialized view":
		e.warn("the rows of %s are lost (%s)", t.title, size(t))
	case "column":
		e.warn("the values of column %s are lost", t.title)
	case "policy":
		e.warn("policy %s no longer decides which rows are seen and written", t.title)
	}
}

func (e *effects) warnCreated(t, parent thing) {
	switch {
	case t.kind == "index" && sized(parent.kind):
		e.warn("index %s: writes to %s (%s) wait until it is built; CREATE INDEX CONCURRENTLY lets them go on", t.title, parent.title, size(parent))
	case t.kind == "constraint" && sized(parent.kind):
		e.warn("constraint %s: all rows (%s) are read while the table is locked, unless it is NOT VALID at first", t.title, size(parent))
	}
}

const largeKiB = 100 << 10

// hold notes the locks on what was there before.
func (e *effects) hold(held *result, old, now map[string]thing, o *outcome) error {
	strongest, ok := map[string]int{}, false
	held.each(func(v [][]byte) bool {
		if key := string(v[0]); key != "" {
			strongest[key] = max(strongest[key], slices.Index(modes, string(v[1])))
			return true
		}
		o.xid, o.epoch, ok = string(v[2]), string(v[3]), true
		return true
	})
	if !ok {
		return errProtocol
	}
	for key, mode := range strongest {
		t, there := old[key]
		if !there || mode < 1 {
			continue
		}
		e.locks = append(e.locks, heldLock{modeNames[mode], t.title})
		if mode == len(modes)-1 && t.kib >= largeKiB && now[key].file == t.file {
			e.warn("%s is large (%s), and nobody can read or write it until the end", t.title, size(t))
		}
	}
	return nil
}

func (e *effects) sort() {
	slices.SortFunc(e.changes, func(a, b effect) int {
		return cmp.Or(cmp.Compare(b.Does, a.Does), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Object, b.Object))
	})
	slices.SortFunc(e.locks, func(a, b heldLock) int { return cmp.Or(cmp.Compare(a.Object, b.Object), cmp.Compare(a.Mode, b.Mode)) })
	slices.Sort(e.warnings)
}

// text says what a person has to know.
func (e *effects) text() string {
	var parts []string
	for _, c := range e.changes {
		part := c.Does + " " + c.Kind + " " + c.Object
		if c.Rows != nil {
			part += fmt.Sprintf(" (about %d rows, %d KiB)", *c.Rows, *c.KiB)
		}
		parts = append(parts, part)
	}
	if parts == nil {
		parts = []string{"no object that is known here"}
	}
	text := "in all it " + strings.Join(parts, "; ")
	if e.locks != nil {
		var held []string
		for _, l := range e.locks {
			held = append(held, l.Object+" "+l.Mode)
		}
		text += ". Locks until the end: " + strings.Join(held, "; ")
	}
	if e.warnings != nil {
		text += ". Beware: " + strings.Join(e.warnings, "; ")
	}
	return text
}

// digest is what must be the same when a person has said yes: objects, locks, and
// how many rows there are, by orders of magnitude, as the numbers are estimates.
func (e *effects) digest() string {
	h := sha256.New()
	for _, c := range e.changes {
		magnitude := 0
		if c.Rows != nil {
			magnitude = len(strconv.FormatInt(*c.Rows, 10))
			if *c.Rows == 0 {
				magnitude = 0
			}
		}
		fmt.Fprintf(h, "%s\x00%s\x00%s\x00%d\n", c.Does, c.Kind, c.Object, magnitude)
	}
	for _, l := range e.locks {
		fmt.Fprintf(h, "%s\x00%s\n", l.Mode, l.Object)
	}
	return hex.EncodeToString(h.Sum(nil))
}
