package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestSVGIsWhole(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Chart{
		"lines":   {Title: "a < b & c", XLabel: "x", YLabel: "y", Series: []Series{{"one", []float64{0, 1, 2}, []float64{3, 4, 5}}, {"two", []float64{0, 2}, []float64{1, 1}}}},
		"decades": {Title: "t", LogX: true, Series: []Series{{"", []float64{1, 100_000}, []float64{0.1, 0.2}}}},
		"zeroes":  {Title: "t", Series: []Series{{"", []float64{0, 1}, []float64{0, 0}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			svg := string(c.SVG())
			if strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
				t.Errorf("a number is none:\n%s", svg)
			}
			for d := xml.NewDecoder(strings.NewReader(svg)); ; {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatalf("%v in\n%s", err, svg)
				}
			}
		})
	}
}

func TestNice(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]float64{0: 1, 0.03: 0.05, 1: 1, 1.2: 2, 4: 5, 7: 10, 120: 200} {
		if got := nice(x); got < want*0.999 || got > want*1.001 {
			t.Errorf("nice(%v) = %v, want %v", x, got, want)
		}
	}
}
