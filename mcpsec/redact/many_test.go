package redact

import (
	"encoding/binary"
	"strings"
	"testing"
)

// A service may know more values than two bytes can count, and their pairs may be all
// that there are.
func TestManyValues(t *testing.T) {
	t.Parallel()
	value := func(i int) string {
		b := binary.BigEndian.AppendUint64(nil, uint64(i+1)*0x9e3779b97f4a7c15)
		return string(b)
	}
	const n = 1<<16 + 5000
	table := build().with(func(t *table) {
		for i := range n {
			t.add(literal{text: value(i), kind: kindExact})
		}
		t.exact = true
	})
	for _, i := range []int{0, 1, 4095, 1<<16 - 1, 1 << 16, n - 1} {
		if out, dirty := redact(table, "a "+value(i)+" b"); !dirty || strings.Contains(out, value(i)) {
			t.Errorf("value %d of %d is not found", i, n)
		}
	}
	if out, dirty := redact(table, "nothing that anybody registered"); dirty {
		t.Errorf("found in ordinary text: %q", out)
	}
}
