// Package chart draws lines into SVG that reads in light and in dark.
package chart

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// A Series is one line, or points where X has gaps in the others.
type Series struct {
	Name string
	X, Y []float64
}

// A Chart is one drawing. Its axes begin at zero, so that what looks flat is flat; LogX
// spreads the decades of X evenly instead.
type Chart struct {
	Title, XLabel, YLabel string
	LogX                  bool
	Series                []Series
}

const (
	width, height            = 640, 320
	left, right, top, bottom = 64, 16, 40, 52
	plotWidth, plotHeight    = width - left - right, height - top - bottom
)

const style = `<style>
text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:14px;font-weight:600}.axis{stroke:#999}.grid{stroke:#ddd}
.s0{stroke:#1f6feb;fill:#1f6feb}.s1{stroke:#d1570b;fill:#d1570b}.s2{stroke:#1a7f37;fill:#1a7f37}.s3{stroke:#8250df;fill:#8250df}.line{fill:none;stroke-width:2}
@media(prefers-color-scheme:dark){text{fill:#ccc}.axis{stroke:#777}.grid{stroke:#333}.s0{stroke:#58a6ff;fill:#58a6ff}.s1{stroke:#f0883e;fill:#f0883e}.s2{stroke:#3fb950;fill:#3fb950}.s3{stroke:#bc8cff;fill:#bc8cff}.line{fill:none}}
</style>`

// SVG returns the drawing.
func (c Chart) SVG() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+style, width, height, html.EscapeString(c.Title))
	fmt.Fprintf(&b, "\n"+`<text class="title" x="%d" y="20">%s</text>`, left, html.EscapeString(c.Title))
	maxY := c.drawY(&b)
	x := c.drawX(&b)
	for i, s := range c.Series {
		var points strings.Builder
		for k := range s.X {
			px, py := x(s.X[k]), top+plotHeight*(1-s.Y[k]/maxY)
			fmt.Fprintf(&points, "%.1f,%.1f ", px, py)
			if len(s.X) < 40 {
				fmt.Fprintf(&b, "\n"+`<circle class="s%d" cx="%.1f" cy="%.1f" r="3"/>`, i%4, px, py)
			}
		}
		fmt.Fprintf(&b, "\n"+`<polyline class="s%d line" points="%s"/>`, i%4, strings.TrimSpace(points.String()))
		if len(c.Series) > 1 {
			at := left + 8 + i*plotWidth/len(c.Series)
			fmt.Fprintf(&b, "\n"+`<rect class="s%d" x="%d" y="%d" width="10" height="10"/><text x="%d" y="%d">%s</text>`, i%4, at, top-12, at+14, top-3, html.EscapeString(s.Name))
		}
	}
	b.WriteString("\n</svg>\n")
	return []byte(b.String())
}

// drawY draws the lines to read values by, and returns the value at the top.
func (c Chart) drawY(b *strings.Builder) float64 {
	most := 0.0
	for _, s := range c.Series {
		for _, y := range s.Y {
			most = max(most, y)
		}
	}
	step := nice(most / 4)
	n := int(math.Ceil(most/step + 0.05))
	for i := range n + 1 {
		y := top + plotHeight*(1-float64(i)/float64(n))
		fmt.Fprintf(b, "\n"+`<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			left, y, left+plotWidth, y, left-6, y+4, number(float64(i)*step))
	}
	fmt.Fprintf(b, "\n"+`<text transform="translate(14 %d) rotate(-90)" text-anchor="middle">%s</text>`, top+plotHeight/2, html.EscapeString(c.YLabel))
	return float64(n) * step
}

// drawX draws the axis, and returns where a value lies on it.
func (c Chart) drawX(b *strings.Builder) func(float64) float64 {
	least, most := math.Inf(1), 0.0
	for _, s := range c.Series {
		for _, x := range s.X {
			least, most = min(least, x), max(most, x)
		}
	}
	position := func(x float64) float64 { return left + plotWidth*x/most }
	var ticks []float64
	if c.LogX {
		low, high := math.Floor(math.Log10(max(least, 1))), math.Ceil(math.Log10(max(most, 10)))
		position = func(x float64) float64 {
			return left + plotWidth*(math.Log10(max(x, 1))-low)/(high-low)
		}
		for e := low; e <= high; e++ {
			ticks = append(ticks, math.Pow(10, e))
		}
	} else {
		for step, x := nice(most/6), 0.0; x <= most; x += step {
			ticks = append(ticks, x)
		}
	}
	y := top + plotHeight
	fmt.Fprintf(b, "\n"+`<line class="axis" x1="%d" y1="%d" x2="%d" y2="%d"/>`, left, y, left+plotWidth, y)
	for _, x := range ticks {
		fmt.Fprintf(b, "\n"+`<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, position(x), y+16, number(x))
	}
	fmt.Fprintf(b, "\n"+`<text x="%d" y="%d" text-anchor="middle">%s</text>`, left+plotWidth/2, height-10, html.EscapeString(c.XLabel))
	return position
}

// nice is the next of 1, 2 and 5 times a power of ten.
func nice(x float64) float64 {
	if x <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*unit >= x {
			return m * unit
		}
	}
	return x
}

func number(x float64) string {
	switch {
	case x >= 1e6:
		return fmt.Sprintf("%.4gM", x/1e6)
	case x >= 1e4:
		return fmt.Sprintf("%.4gk", x/1e3)
	}
	return fmt.Sprintf("%.4g", x)
}
