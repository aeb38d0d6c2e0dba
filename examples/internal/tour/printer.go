// Package tour tells people what a server does: it drives one with a real client,
// step by step, and shows for each what was asked, what was answered and recorded,
// and why. What went wrong is an error. It protects nothing by itself.
package tour

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// A Printer writes the tour for people: in colour on a terminal, plain
// elsewhere or when NO_COLOR is set.
type Printer struct {
	w      io.Writer
	colour bool
	widths [3]int // of the table's columns, in characters
}

// NewPrinter returns a Printer that writes to w.
func NewPrinter(w io.Writer) *Printer {
	p, width := &Printer{w: w}, 120
	if f, ok := w.(*os.File); ok {
		fi, err := f.Stat()
		terminal := err == nil && fi.Mode()&os.ModeCharDevice != 0
		p.colour = terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			width = min(max(w, 80), 140)
		}
	}
	width -= 7 // the mark and the gaps
	p.widths = [3]int{width * 28 / 100, width * 42 / 100, width * 30 / 100}
	return p
}

const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
)

func (p *Printer) paint(code, s string) string {
	if !p.colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Heading begins a chapter.
func (p *Printer) Heading(s string) {
	fmt.Fprintf(p.w, "\n%s\n", p.paint(bold, s))
}

// Say writes a line of text.
func (p *Printer) Say(format string, args ...any) {
	fmt.Fprintf(p.w, format+"\n", args...)
}

// Good is Say for what went well.
func (p *Printer) Good(format string, args ...any) {
	p.Say("%s "+format, append([]any{p.paint(green, "✓")}, args...)...)
}

// Header begins a table of steps.
func (p *Printer) Header() {
	p.row("", dim, "ASKED", "ANSWERED", "WHY")
	fmt.Fprintln(p.w, p.paint(dim, "  "+strings.Repeat("─", p.widths[0]+p.widths[1]+p.widths[2]+4)))
}

// Row is one step of the table.
func (p *Printer) Row(ok bool, asked, answered, why string) {
	mark, code := "✓", green
	if !ok {
		mark, code = "✗", red
	}
	p.row(mark, code, asked, answered, why)
}

func (p *Printer) note(s string) { p.row("", dim, "", s, "") }

// row prints one line of the table with its cells wrapped.
func (p *Printer) row(mark, code string, cells ...string) {
	lines := make([][]string, len(cells))
	height := 0
	for i, c := range cells {
		lines[i] = wrap(c, p.widths[i])
		height = max(height, len(lines[i]))
	}
	for n := range height {
		var b strings.Builder
		b.WriteString(pad(mark, 2))
		for i := range cells {
			text := ""
			if n < len(lines[i]) {
				text = lines[i][n]
			}
			b.WriteString(pad(text, p.widths[i]+2))
		}
		line := strings.TrimRight(b.String(), " ")
		if n == 0 || code == dim {
			line = p.paint(code, line)
		}
		fmt.Fprintln(p.w, line)
		mark = ""
	}
}

// pad fills s with spaces to n characters.
func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s)))
}

// wrap breaks s into lines of at most n characters, at spaces and commas where
// it can.
func wrap(s string, n int) []string {
	var out []string
	for s = strings.Join(strings.Fields(s), " "); utf8.RuneCountInString(s) > n; {
		r := []rune(s)
		cut := n
		for i := n; i > n/2; i-- {
			if r[i] == ' ' || r[i-1] == ',' {
				cut = i
				break
			}
		}
		out = append(out, strings.TrimSpace(string(r[:cut])))
		s = strings.TrimSpace(string(r[cut:]))
	}
	return append(out, s)
}
