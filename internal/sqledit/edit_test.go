package sqledit_test

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/sqledit"
)

func TestEdits(t *testing.T) {
	t.Parallel()
	sql := "SELECT 'é', f(a) FROM t"
	e := sqledit.Sort([]sqledit.Edit{
		{Pos: 23, End: 24, Text: "SELECT * FROM t) t"},
		{Pos: 23, End: 23, Text: "("},
		{Pos: 17, End: 17, Text: " FILTER (x)"},
		{Pos: 17, End: 17, Text: " OVER ()"},
	})
	const want = "SELECT 'é', f(a) FILTER (x) OVER () FROM (SELECT * FROM t) t"
	if got := e.Apply(sql); got != want {
		t.Errorf("Apply: %s", got)
	}
	for position, from := range map[int]int{
		1: 1, 9: 9, 16: 16, // SELECT, é, the parenthesis
		17: 17, 27: 17, 35: 17, // both that were put there
		36: 17, 41: 22, // what stands behind
		42: 23, 60: 23, // what was replaced
		61: 24, // the end
	} {
		if got := e.Origin(sql, position); got != from {
			t.Errorf("character %d (%q) comes from %d, want %d", position, []rune(want + " ")[position-1], got, from)
		}
	}
	if got := (sqledit.Edits)(nil).Origin(sql, 5); got != 5 {
		t.Errorf("without edits 5 comes from %d", got)
	}
}
