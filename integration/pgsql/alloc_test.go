package pgsql

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/pgtool"
)

// TestAllocationsOfRows pins what the driver and we allocate for a query: next to
// nothing for each row.
func TestAllocationsOfRows(t *testing.T) {
	db := gated(t, database(t), func(o *pgtool.Options) { o.MaxRows, o.MaxBytes = 1000, 1<<20 })
	count := func(sql string) float64 {
		return testing.AllocsPerRun(50, func() {
			a, err := db.ReadOnly(t.Context(), sql, 1)
			if err != nil {
				t.Fatal(err)
			}
			for r := range a.Rows {
				_ = r
			}
		})
	}
	key := count("SELECT id, name, email, country, created_at FROM shop.customers WHERE id = $1")
	many := count("SELECT i, 'x' || i, now() FROM generate_series($1, 1000) i")
	t.Logf("%v for one row, %v for 1,000", key, many)
	if key > 60 {
		t.Errorf("by key: %v allocations, want at most 60", key)
	}
	if many > key+30 {
		t.Errorf("1,000 rows: %v allocations, want at most 30 more than the %v of one row", many, key)
	}
}
