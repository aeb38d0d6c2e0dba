package console

import "slices"

// spikes returns the places of counts that are far above the usual: at least ten, and above
// the median by more than six times the median distance from it, which counts as at
// least one and a fifth of the median. The last count is of a time that has not ended, and
// may be one all the same.
func spikes(counts []int) (at []int, usual int) {
	usual = median(counts)
	distances := make([]int, len(counts))
	for i, n := range counts {
		distances[i] = max(n-usual, usual-n)
	}
	distance := max(median(distances), 1, usual/5)
	for i, n := range counts {
		if n >= 10 && n-usual > 6*distance {
			at = append(at, i)
		}
	}
	return at, usual
}

func median(counts []int) int {
	if len(counts) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(counts))
	return sorted[len(sorted)/2]
}

// quantile returns the smallest of values that a part q of them does not exceed, and
// reorders them.
func quantile(values []uint32, q float64) uint32 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(int(q*float64(len(values))), len(values)-1)]
}
