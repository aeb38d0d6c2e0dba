package console

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"
)

// kindNames are classes in the style sheet, and words of the legend.
var kindNames = [kinds]string{"ok", "asked", "refused", "failed", "given up", "webhook"}

const (
	plotWidth, plotHeight         = 900, 180
	plotLeft, plotTop, plotBottom = 56, 10, 22
)

// draw makes the plots, which end at end, with marks where something is far from the usual.
func (v *view) draw(series []bucket, marks [buckets]bool, end time.Time, span time.Duration) {
	most := 0
	for i := range series {
		most = max(most, series[i].all())
	}
	p := newPlot("calls and refusals over time", end, span)
	p.linear(float64(most))
	for i := range series {
		from := 0.0
		for k, n := range series[i].counts {
			if n == 0 {
				continue
			}
			y0, y1 := p.y(from), p.y(from+float64(n))
			fmt.Fprintf(&p.b, `<rect class="k%d" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s: %d %s</title></rect>`,
				k, p.x(i)+1, y1, p.x(i+1)-p.x(i)-2, max(y0-y1, 0.8), p.clock(i), n, kindNames[k])
			from += float64(n)
		}
		if marks[i] {
			fmt.Fprintf(&p.b, `<text class="mark" x="%.1f" y="%.1f" text-anchor="middle">▾</text>`, (p.x(i)+p.x(i+1))/2, p.y(from)-1)
		}
	}
	v.Calls = p.end()

	half, most95 := make([]float64, len(series)), 0.0
	late := make([]float64, len(series))
	for i := range series {
		half[i], late[i] = float64(quantile(series[i].micros, 0.5)), float64(quantile(series[i].micros, 0.95))
		most95 = max(most95, late[i])
	}
	p = newPlot("latency over time: half and 95 percent of the calls", end, span)
	p.decades(most95)
	p.steps("late", late, series)
	p.steps("half", half, series)
	v.Latency = p.end()
}

// A plot is a drawing whose axis of time has places for the buckets.
type plot struct {
	b     strings.Builder
	until time.Time
	span  time.Duration
	part  func(v float64) float64 // of the height, at which a value is
}

// newPlot draws the axis of time. All that gets into a plot is made here: no text of the
// log.
func newPlot(title string, end time.Time, span time.Duration) *plot {
	p := &plot{until: end, span: span}
	fmt.Fprintf(&p.b, `<svg class="plot" viewBox="0 0 %d %d" role="img" aria-label="%s">`, plotWidth, plotHeight, title)
	for i := 0; i <= buckets; i += buckets / 6 {
		anchor := "middle"
		if i == 0 {
			anchor = "start"
		} else if i == buckets {
			anchor = "end"
		}
		fmt.Fprintf(&p.b, `<text class="label" x="%.1f" y="%d" text-anchor="%s">%s</text>`, p.x(i), plotHeight-5, anchor, p.clock(i))
	}
	return p
}

// linear begins at zero.
func (p *plot) linear(most float64) {
	step := nice(most / 3)
	top := step * max(1, math.Ceil(most/step*1.05)) // with room for marks
	p.part = func(v float64) float64 { return v / top }
	for y := 0.0; y <= top*1.001; y += step {
		p.grid(y, fmt.Sprintf("%.4g", y))
	}
}

// decades has the same height for each power of ten microseconds, from a hundred on.
func (p *plot) decades(most float64) {
	const low = 2
	high := max(low+1, math.Ceil(math.Log10(max(most, 1))))
	p.part = func(v float64) float64 { return max(0, (math.Log10(max(v, 1))-low)/(high-low)) }
	for e := float64(low); e <= high; e++ {
		p.grid(math.Pow(10, e), duration(uint32(math.Pow(10, e))))
	}
}

func (p *plot) grid(y float64, label string) {
	fmt.Fprintf(&p.b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text class="label" x="%d" y="%.1f" text-anchor="end">%s</text>`,
		plotLeft, plotWidth, p.y(y), p.y(y), plotLeft-6, p.y(y)+4, label)
}

func (p *plot) x(i int) float64 { return plotLeft + float64((plotWidth-plotLeft)*i)/buckets }

func (p *plot) y(v float64) float64 {
	return plotHeight - plotBottom - (plotHeight-plotTop-plotBottom)*p.part(v)
}

func (p *plot) clock(i int) string {
	return p.until.Add(-p.span + p.span/buckets*time.Duration(i)).UTC().Format("15:04")
}

// steps draws a line where there are values.
func (p *plot) steps(class string, values []float64, series []bucket) {
	var d strings.Builder
	down := false
	for i, v := range values {
		if len(series[i].micros) == 0 {
			down = false
			continue
		}
		verb := "L"
		if !down {
			verb = "M"
		}
		fmt.Fprintf(&d, "%s%.1f %.1fH%.1f", verb, p.x(i)+1, p.y(v), p.x(i+1)-1)
		down = true
	}
	fmt.Fprintf(&p.b, `<path class="%s" d="%s"/>`, class, d.String())
}

func (p *plot) end() template.HTML {
	p.b.WriteString("</svg>")
	return template.HTML(p.b.String())
}

// spark is a small drawing of counts.
func spark(counts []int) template.HTML {
	most := 1
	for _, n := range counts {
		most = max(most, n)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="spark" viewBox="0 0 %d 20" aria-hidden="true">`, 2*len(counts))
	for i, n := range counts {
		if n > 0 {
			h := max(1, 20*float64(n)/float64(most))
			fmt.Fprintf(&b, `<rect x="%d" y="%.1f" width="1.6" height="%.1f"/>`, 2*i, 20-h, h)
		}
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// nice is the next of 1, 2 and 5 times a power of ten.
func nice(x float64) float64 {
	if x <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if m*unit >= x {
			return m * unit
		}
	}
	return 10 * unit
}
