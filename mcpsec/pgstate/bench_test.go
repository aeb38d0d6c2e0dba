package pgstate_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// BenchmarkStore measures calls one after the other and from sixteen callers, on a
// server that does not wait for its disk.
func BenchmarkStore(b *testing.B) {
	w := newWorld(b)
	s := w.store(b)
	var n atomic.Int64
	for _, bench := range []struct {
		name string
		call func() error
	}{
		{"Take/one-key", func() error {
			_, err := s.Take(b.Context(), "k", 1, state.Allowance{Limit: 1e6, Per: time.Second})
			return err
		}},
		{"Take/refused", func() error {
			_, err := s.Take(b.Context(), "refused", 1, state.Allowance{Limit: 1, Per: 24 * time.Hour})
			return err
		}},
		{"Take/1000-keys", func() error {
			_, err := s.Take(b.Context(), fmt.Sprint("k", n.Add(1)%1000), 1, state.Allowance{Limit: 1e6, Per: time.Second})
			return err
		}},
		{"Claim/new", func() error {
			_, err := s.Claim(b.Context(), fmt.Sprint("new", n.Add(1)), time.Hour)
			return err
		}},
		{"Claim/busy", func() error {
			_, err := s.Claim(b.Context(), "busy", time.Hour)
			return err
		}},
		{"ClaimAndComplete", func() error {
			c, err := s.Claim(b.Context(), fmt.Sprint("both", n.Add(1)), time.Hour)
			if err != nil {
				return err
			}
			return s.Complete(b.Context(), c, []byte("ok"), time.Hour)
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			for b.Loop() {
				if err := bench.call(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(bench.name+"/parallel", func(b *testing.B) {
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := bench.call(); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
