package pgtool

import (
	"fmt"
	"testing"
)

// rowsOf returns a result of rows as a server writes them.
func rowsOf(n int) *Answer {
	db := &DB{}
	r := &result{fields: []field{{"id", 23}, {"name", 25}, {"email", 1043}, {"total", 1700}, {"active", 16}, {"created", 1184}, {"size", 20}, {"note", 25}}}
	q := &query{maxRows: n, maxBytes: 100 * n * 8}
	for i := range n {
		id := fmt.Sprint(i)
		r.add([][]byte{[]byte(id), []byte("item " + id), []byte("user" + id + "@example.com"), []byte("12.50"), []byte("t"),
			[]byte("2024-01-31 12:34:56.5+00"), []byte("9007199254740993"), nil}, q)
	}
	return db.typed(r)
}

// allocations fails the test if f allocates more often than most.
func allocations(t *testing.T, name string, most float64, f func()) {
	t.Helper()
	if got := testing.AllocsPerRun(20, f); got > most {
		t.Errorf("%s: %v allocations, want at most %v", name, got, most)
	}
}

// TestAllocations pins what the paths of a query allocate. The numbers are those that
// were measured, with room for other versions of Go, and far from one for each row.
func TestAllocations(t *testing.T) {
	j := catalogOf()
	j.on(request{sql: usual})
	allocations(t, "a statement that was seen", 0, func() { j.on(request{sql: usual}) })
	allocations(t, "a new statement", 12, func() { sentenceFor(request{sql: usual}, j.snapshot) })

	a := rowsOf(1000)
	buffer := make([]byte, 0, 1<<20)
	allocations(t, "rows as JSON", 2, func() {
		b := buffer
		for row := range a.Rows {
			b = row.AppendJSON(b)
		}
	})
	allocations(t, "all rows of an answer", 8, func() { a.rowsJSON(1 << 20) })

	values := [][]byte{[]byte("1"), []byte("a"), nil}
	allocations(t, "1,000 rows that are kept", 30, func() {
		r, q := &result{}, &query{maxRows: 1000, maxBytes: 1 << 20}
		for range 1000 {
			r.add(values, q)
		}
	})
	allocations(t, "the columns of an answer", 4, func() { (&DB{}).typed(a.r) })
}

func BenchmarkRows(b *testing.B) {
	a := rowsOf(5000)
	b.ReportAllocs()
	for b.Loop() {
		a.rowsJSON(8 << 20)
	}
}
