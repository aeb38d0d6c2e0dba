package main

import "testing"

// The values are those of the binomial distribution.
func TestInner(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{1: 0, 5: 0, 8: 0, 9: 1, 15: 3, 20: 5, 40: 13} {
		if got := inner(n); got != want {
			t.Errorf("of %d, %d are left out at each end, want %d", n, got, want)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	if got, want := summary([]float64{9, 1, 8, 2, 7, 3, 6, 4, 5}), (interval{5, 2, 8}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := summary([]float64{4, 1, 2, 3}), (interval{2.5, 1, 4}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRatio(t *testing.T) {
	t.Parallel()
	at := func(v ...float64) (s []sample) {
		for _, x := range v {
			s = append(s, sample{cpu: x})
		}
		return s
	}
	cpu := func(s sample) float64 { return s.cpu }
	if got, want := ratio(at(2, 4, 10), at(1, 2, 5), cpu), (interval{0.5, 0.5, 0.5}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := ratio(at(0), at(1), cpu); got.String() != "–" {
		t.Errorf("of what was not measured: %v", got)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	most, least := bound{limit: 0.5}, bound{limit: 1, least: true}
	for _, tc := range []struct {
		b    bound
		i    interval
		want string
	}{
		{most, interval{0.4, 0.3, 0.5}, "holds"},
		{most, interval{0.45, 0.3, 0.6}, "holds in the median"},
		{most, interval{0.51, 0.3, 0.6}, "**does not hold**"},
		{most, interval{}, "**not measured**"},
		{least, interval{1.5, 1, 2}, "holds"},
		{least, interval{1.5, 0.9, 2}, "holds in the median"},
		{least, interval{0.9, 0.8, 2}, "**does not hold**"},
	} {
		if got := tc.b.verdict(tc.i); got != tc.want {
			t.Errorf("%v to be %v: %s, want %s", tc.i, tc.b.limit, got, tc.want)
		}
	}
}
