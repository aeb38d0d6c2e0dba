// Screenshot draws a part of what the tour prints, as it is printed, into an SVG for the
// README:
//
//	go run ./integration/screenshot -o docs/tour.svg
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"html"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
)

func main() {
	out := flag.String("o", "docs/tour.svg", "`file` to write")
	from := flag.String("from", "4  Attacks do not", "the line with which it begins")
	lines := flag.Int("lines", 40, "how many lines")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := shoot(ctx, *out, *from, *lines); err != nil {
		fmt.Fprintln(os.Stderr, "screenshot:", err)
		os.Exit(1)
	}
}

func shoot(ctx context.Context, out, from string, n int) error {
	cmd := exec.CommandContext(ctx, "go", "run", "github.com/mcpsec/mcpsec-go/examples/tour")
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("the tour: %w", err)
	}
	all := strings.Split(string(text), "\n")
	at := slices.Index(all, from)
	if at < 0 {
		return errors.New("the tour prints no line " + from)
	}
	return os.WriteFile(out, draw(all[at:min(at+n, len(all))]), 0o644)
}

const (
	size = 13 // of the font
	line = 18
	pad  = 16
	cell = 7.83 // width of a letter in that size
)

// draw makes a picture of a terminal.
func draw(lines []string) []byte {
	widest := 0
	for _, l := range lines {
		widest = max(widest, len([]rune(l)))
	}
	width, height := 2*pad+int(float64(widest)*cell), 2*pad+line*len(lines)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="What the tour prints">`+
		`<style>text{font:%dpx ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d0d7de;white-space:pre}.h{fill:#fff;font-weight:700}.ok{fill:#3fb950}.dim{fill:#8b949e}</style>`+
		`<rect width="%d" height="%d" rx="8" fill="#0d1117"/>`, width, height, size, width, height)
	for i, l := range lines {
		class := ""
		switch {
		case i == 0:
			class = ` class="h"`
		case strings.Contains(l, "audit: ") || strings.Contains(l, "──") || strings.HasPrefix(l, "  ASKED"):
			class = ` class="dim"`
		}
		shown := html.EscapeString(l)
		if rest, ok := strings.CutPrefix(l, "✓"); ok {
			shown = `<tspan class="ok">✓</tspan>` + html.EscapeString(rest)
		}
		fmt.Fprintf(&b, "\n"+`<text x="%d" y="%d" xml:space="preserve"%s>%s</text>`, pad, pad+line*i+size, class, shown)
	}
	b.WriteString("\n</svg>\n")
	return []byte(b.String())
}
