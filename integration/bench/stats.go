package main

import (
	"fmt"
	"math"
	"slices"
)

// An interval is a median with where the true one lies, at 95 % confidence or at
// what the number of rounds allows. The zero value is nothing measured.
type interval struct{ mid, low, high float64 }

func (i interval) String() string {
	if i == (interval{}) {
		return "–"
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", i.mid, i.low, i.high)
}

// summary is the median of v and its confidence interval by the order statistics of
// the sample, which assumes nothing of how v is distributed.
func summary(v []float64) interval {
	s := slices.Sorted(slices.Values(v))
	k := inner(len(s))
	return interval{median(s), s[k], s[len(s)-1-k]}
}

// inner is how many values may be left out at each end, so that the median of what was
// sampled lies between the rest with a probability of 95 %: it has as many values on
// its one side as heads come up in n tosses of a coin.
func inner(n int) int {
	tail, p := 0.0, math.Pow(0.5, float64(n)) // of no head
	k := 0
	for ; 2*(tail+p) <= 0.05; k++ {
		tail += p
		p = p * float64(n-k) / float64(k+1)
	}
	return max(0, k-1)
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

func pick(ss []sample, f func(sample) float64) []float64 {
	out := make([]float64, len(ss))
	for i, s := range ss {
		out[i] = f(s)
	}
	return out
}

// ratio compares round by round, so that a machine whose speed drifts slows both.
func ratio(bare, hard []sample, f func(sample) float64) interval {
	var r []float64
	for i := range min(len(bare), len(hard)) {
		if f(bare[i]) == 0 {
			return interval{}
		}
		r = append(r, f(hard[i])/f(bare[i]))
	}
	if len(r) == 0 {
		return interval{}
	}
	return summary(r)
}
