package mailtool

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
)

// The time for the worst markdown grows with the square of its length, and so does the
// HTML of a table, whose rows are filled up to the width of its head.
const (
	maxMarkdown = 16 << 10 // bytes
	maxColumns  = 20       // | in a line
)

// converter knows CommonMark, tables and strikethrough, and leaves HTML and dangerous
// links out in a way that readHTML refuses.
var converter = goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough))

// SetMarkdown sets Text to a text in CommonMark, and HTML to what it makes: text, tables,
// lists and links, as any HTML of a message may have. Markdown with HTML, pictures, or
// links that are not https or mailto, is refused, and so is more than 16 KiB or a table
// of more than 20 columns.
func (m *Message) SetMarkdown(src string) error {
	src = strings.ReplaceAll(src, "\r\n", "\n")
	if len(src) > maxMarkdown || !cleanLines(src) {
		return wrong("markdown", "markdown must have at most %d bytes of UTF-8, without invisible and control characters", maxMarkdown)
	}
	for line := range strings.Lines(src) {
		if strings.Count(line, "|") > maxColumns {
			return wrong("markdown", "a line of markdown must have at most %d |", maxColumns)
		}
	}
	var b bytes.Buffer
	if err := converter.Convert([]byte(src), &b); err != nil {
		return fmt.Errorf("converting markdown: %w", err)
	}
	if b.Len() > maxRendered {
		return wrong("markdown", "what the markdown makes is longer than %d bytes", maxRendered)
	}
	doc, err := readHTML(b.String())
	if err != nil {
		return err
	}
	m.Text, m.HTML = src, doc.html
	return nil
}
