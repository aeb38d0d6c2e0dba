// Package leakcorpus holds lines with made-up secrets, and lines that look as if
// they had some, to measure what finds secrets. It protects nobody; it shows
// how well others do.
package leakcorpus

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
)

// Line is one text and what must become of it.
type Line struct {
	Name     string
	Category string
	Service  string   // whose credential stands alone in the text
	Tier     int      // 1 must be found; 2, encoded or split, is counted
	Optional bool     // personal data, found on request only
	Text     string   // what is redacted
	Secrets  []string // of these, no piece of six bytes may remain
	Keep     []string // these must remain
}

//go:embed *.rot47
var files embed.FS

// Leaks returns the lines with secrets.
func Leaks() []Line { return read("leaks") }

// WideLeaks is more of [Leaks], by others, in more formats.
func WideLeaks() []Line { return read("wide-leaks") }

// Benign returns the lines that must come out byte for byte.
func Benign() []Line { return read("benign") }

// WideBenign is more of [Benign].
func WideBenign() []Line { return read("wide-benign") }

// Services returns lines with the credential of one service, in a sentence that
// does not name it.
func Services() []Line { return read("services") }

// read undoes ROT47, in which the files are kept.
func read(name string) (lines []Line) {
	data, err := files.ReadFile(name + ".rot47")
	if err != nil {
		panic(err)
	}
	for i, c := range data {
		if '!' <= c && c <= '~' {
			data[i] = '!' + (c-'!'+47)%94
		}
	}
	for n, row := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		var l Line
		if err := json.Unmarshal(row, &l); err != nil {
			panic(fmt.Sprintf("leakcorpus: %s, line %d: %v", name, n+1, err))
		}
		lines = append(lines, l)
	}
	return lines
}

// Trace returns a piece of a secret that is still in out: six bytes, or all of
// a shorter one.
func (l Line) Trace(out string) string {
	for _, s := range l.Secrets {
		if len(s) < 6 && strings.Contains(out, s) {
			return s
		}
		for i := 0; i+6 <= len(s); i++ {
			if strings.Contains(out, s[i:i+6]) {
				return s[i : i+6]
			}
		}
	}
	return ""
}

// Lost returns a text that should be in out, and is not.
func (l Line) Lost(out string) string {
	for _, k := range l.Keep {
		if !strings.Contains(out, k) {
			return k
		}
	}
	return ""
}
