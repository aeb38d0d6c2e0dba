package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/internal/secretfile"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// LoadFile is [Load] with a file for what the environment does not set, which wins.
// A path of "" is no file.
//
// A line of the file is NAME=value with the whole name; empty lines and those that
// begin with # count for nothing. The value is what stands there, as for docker run
// --env-file. What other readers of such files take otherwise is refused: quotes
// around a value, export before a name, a # behind a space, a space at either end.
// So is a name that stands there twice, or that no field is read from, whatever it
// begins with. The file must be fit for a secret, a regular one that not every user
// may read: [redact.SecretFromFile]. What is wrong in it is told by line and name, with
// all else.
func LoadFile[T any](prefix, path string) (T, error) {
	return loadWith[T](prefix, path, os.Environ())
}

// settings are the lines of a file that set something, and what is wrong with them.
type settings struct {
	names, values []string
	problems      []error
	untold        int // problems beyond maxUnknown: the path may be that of any file
}

func (s *settings) environ() []string {
	out := make([]string, len(s.names))
	for i, name := range s.names {
		out[i] = name + "=" + s.values[i]
	}
	return out
}

// readFile returns settings that [plan.load] may judge, along with what is wrong:
// all of it is told together.
func (p *plan) readFile(path string) (*settings, error) {
	data, err := secretfile.Read(path)
	switch {
	case err != nil:
	case len(bytes.TrimSpace(data)) == 0:
		err = errors.New("is empty")
	case !utf8.Valid(data) || bytes.ContainsRune(data, 0) || bytes.HasPrefix(data, []byte("\ufeff")):
		err = errors.New("is not plain text: UTF-8 without NUL and byte order mark")
	}
	content := redact.NewSecret(string(data))
	defer content.Close()
	clear(data)
	if err != nil {
		return nil, fmt.Errorf("the file of the configuration, %s: %w", path, err)
	}
	s, at, n := &settings{}, map[string]int{}, 0
	for line := range strings.Lines(content.Reveal()) {
		n++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if strings.TrimSpace(line) == "" || line[0] == '#' {
			continue
		}
		name, value, found := strings.Cut(line, "=")
		if !found || !variable().MatchString(name) {
			s.problem(n, "is not NAME=value") // without a piece of it, which may be a value
			continue
		}
		ours := p.known[name] != nil || p.prefix != "" && strings.HasPrefix(name, p.prefix) // plan.unknown names those that it does not know
		switch problem := valueProblem(value); {
		case !ours:
			s.problem(n, "sets what is not known"+p.fileHint()) // without the name: it may be a value, too
			continue
		case at[name] != 0:
			s.problem(n, fmt.Sprintf("sets %s again, after line %d", shownName(name), at[name]))
			continue
		case problem != "":
			s.problem(n, "sets "+shownName(name)+" to a value "+problem)
		}
		at[name] = n
		s.names, s.values = append(s.names, name), append(s.values, value)
	}
	if s.untold > 0 {
		s.problems = append(s.problems, fmt.Errorf("and %d more lines of the file are wrong", s.untold))
	}
	return s, nil
}

func (p *plan) fileHint() string {
	if p.prefix == "" {
		return ""
	}
	return ": names begin with " + p.prefix
}

func (s *settings) problem(line int, text string) {
	if len(s.problems) == maxUnknown {
		s.untold++
		return
	}
	s.problems = append(s.problems, fmt.Errorf("line %d of the file %s", line, text))
}

var (
	quoted  = lazy.Regexp("^[\"'`]|[\"'`]$")
	comment = lazy.Regexp(`\s#`)
)

// valueProblem tells what readers of such files disagree about.
func valueProblem(value string) string {
	switch {
	case strings.TrimSpace(value) != value:
		return "with a space at one end"
	case quoted().MatchString(value):
		return "in quotes: leave them out"
	case comment().MatchString(value):
		return "with # behind a space: give a comment a line of its own"
	case strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "with a character that is not seen"
	}
	return ""
}
