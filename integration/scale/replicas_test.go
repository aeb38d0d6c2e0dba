package main

import "testing"

func TestJain(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		v    []float64
		want float64
	}{{[]float64{5, 5, 5, 5}, 1}, {[]float64{4, 0, 0, 0}, 0.25}, {[]float64{1, 3}, 0.8}} {
		if got := jain(tc.v); got != tc.want {
			t.Errorf("of %v: %v, want %v", tc.v, got, tc.want)
		}
	}
}
