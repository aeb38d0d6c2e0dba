package pgtool

import (
	"strings"
	"testing"
)

// TestDDLDigest says which differences of two plans count.
func TestDDLDigest(t *testing.T) {
	t.Parallel()
	plan := func(rows int64, does, object, mode string) string {
		e := &effects{locks: []heldLock{{mode, "s.t"}}}
		e.add(does, thing{kind: "table", title: object, rows: rows})
		return e.digest()
	}
	first := plan(1000, drops, "s.t", "ACCESS EXCLUSIVE")
	if plan(1500, drops, "s.t", "ACCESS EXCLUSIVE") != first {
		t.Error("a number of the same magnitude counts")
	}
	for what, other := range map[string]string{
		"ten times the rows": plan(10_000, drops, "s.t", "ACCESS EXCLUSIVE"), "no rows": plan(0, drops, "s.t", "ACCESS EXCLUSIVE"),
		"another action": plan(1000, alters, "s.t", "ACCESS EXCLUSIVE"), "another object": plan(1000, drops, "s.u", "ACCESS EXCLUSIVE"), "another lock": plan(1000, drops, "s.t", "SHARE"),
	} {
		if other == first {
			t.Errorf("%s: does not count", what)
		}
	}
	if plan(0, drops, "s.t", "SHARE") == plan(1, drops, "s.t", "SHARE") {
		t.Error("one row is as none")
	}
}

// TestDDLWarnsOfLargeTables has a table that is too large to be made for a test.
func TestDDLWarnsOfLargeTables(t *testing.T) {
	t.Parallel()
	warnings := func(mode string, kib int64) string {
		held := &result{fields: make([]field, 4)}
		for _, row := range [][]string{{"c1", mode, "", ""}, {"c1", "AccessShareLock", "", ""}, {"", "", "7", "e"}} {
			var values [][]byte
			for _, v := range row {
				values = append(values, []byte(v))
			}
			held.add(values, bounds)
		}
		e, o := &effects{}, &outcome{}
		there := map[string]thing{"c1": {key: "c1", kind: "table", title: "s.t", file: "1", rows: 5, kib: kib}}
		if err := e.hold(held, there, there, o); err != nil || o.xid != "7" || o.epoch != "e" {
			t.Errorf("got %+v, %v", o, err)
		}
		return strings.Join(e.warnings, ";")
	}
	if got := warnings("AccessExclusiveLock", largeKiB); !strings.Contains(got, "s.t is large (about 5 rows, 102400 KiB)") {
		t.Errorf("got %s", got)
	}
	if got := warnings("ShareLock", largeKiB) + warnings("AccessExclusiveLock", largeKiB-1); got != "" {
		t.Errorf("got %s", got)
	}
}
