package pgmask

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/pgtool"
)

// BenchmarkMask compares a lookup by key of a table without masks, in a DB that has
// none, with one in a DB that has, and of a table with masked columns.
func BenchmarkMask(b *testing.B) {
	plain := opened(b, func(o *pgtool.Options) { o.Mask = nil })[0]
	masked := opened(b, nil)[0]
	for _, c := range []struct {
		name, sql string
		db        *pgtool.DB
	}{
		{"none", "SELECT id, name FROM lab.many WHERE id = 77", plain},
		{"elsewhere", "SELECT id, v FROM annex.plain WHERE id = 1", masked},
		{"hidden", "SELECT id, name, ssn FROM lab.many WHERE id = 77", masked},
		{"hashed", "SELECT id, name, email FROM lab.people WHERE id = 1", masked},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, failed := ask(b.Context(), c.db, c.sql); failed {
					b.Fatal("not answered")
				}
			}
		})
	}
}
