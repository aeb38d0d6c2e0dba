package mailtool

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A Template makes mails that are alike but for the values of its variables. Subject and
// Text are of package text/template, HTML is of package html/template, which escapes
// each value for its place. Of the language there is what a mail needs: {{.name}} and
// {{$.name}} of declared variables, if, with, range over a list, comparisons, and, or,
// not and len. There is nothing else: no other function, no method, no field of a value,
// no define.
type Template struct {
	// Name is 1 to 64 characters of a-z 0-9 _ and -, the first a letter.
	Name string `json:"name" validate:"required,max=64"`
	// Description says what the mail is for. Defaults to none.
	Description string `json:"description,omitempty" validate:"max=500"`
	// Subject is one line.
	Subject string `json:"subject" validate:"required,max=500"`
	// Text is plain text, for all readers.
	Text string `json:"text" validate:"required,max=65536"`
	// HTML is the same for those who show it, as [Message] may have it. Defaults to
	// none.
	HTML string `json:"html,omitempty" validate:"max=65536"`
	// Variables are all that the template uses, at most 50.
	Variables []Variable `json:"variables,omitempty" validate:"max=50,dive"`
}

// A Variable is a value that a mail of a [Template] needs.
type Variable struct {
	// Name is 1 to 40 characters of a-z 0-9 and _, the first a letter.
	Name string `json:"name" validate:"required,max=40"`
	// Type is text, number (a whole one), flag (true or false) or list (of texts).
	Type string `json:"type" validate:"required,oneof=text number flag list"`
	// Max is how many bytes a text, or each text of a list, has at most, up to 10000.
	// Defaults to 1000.
	Max int `json:"max,omitempty" validate:"min=0,max=10000"`
	// Optional lets the value be missing, which then is empty, 0 or false. Defaults to
	// a missing value being an error.
	Optional bool `json:"optional,omitempty"`
}

const (
	defaultMax    = 1000
	maxValue      = 10_000
	maxVariables  = 50
	maxItems      = 200
	maxSource     = 64 << 10  // bytes of a text or HTML
	maxRendered   = 256 << 10 // bytes of each that is made of it
	maxSubjectSrc = 500
)

var (
	templateName = lazy.Regexp(`^[a-z][a-z0-9_-]{0,63}$`)
	variableName = lazy.Regexp(`^[a-z][a-z0-9_]{0,39}$`)
)

// fit tells what of a template is wrong apart from its language.
func (t Template) fit() error {
	if !templateName().MatchString(t.Name) {
		return wrong("template", "name must be 1 to 64 characters of a-z 0-9 _ and -, the first a letter")
	}
	if t.Subject == "" || t.Text == "" {
		return wrong("template", "subject and text are needed")
	}
	for _, s := range []struct {
		what, text string
		max        int
	}{{"description", t.Description, 500}, {"subject", t.Subject, maxSubjectSrc}, {"text", t.Text, maxSource}, {"html", t.HTML, maxSource}} {
		if len(s.text) > s.max {
			return wrong("template", "%s must have at most %d bytes", s.what, s.max)
		}
		if !cleanLines(s.text) {
			return wrong("template", "%s holds invisible, bidirectional or control characters, or is not UTF-8", s.what)
		}
	}
	if strings.Contains(t.Subject, "\n") {
		return wrong("template", "subject must be one line")
	}
	return fitVariables(t.Variables)
}

func fitVariables(vars []Variable) error {
	if len(vars) > maxVariables {
		return wrong("template", "at most %d variables", maxVariables)
	}
	seen := map[string]bool{}
	for i, v := range vars {
		switch {
		case !variableName().MatchString(v.Name):
			return wrong("template", "variables[%d]: name must be 1 to 40 characters of a-z 0-9 and _, the first a letter", i)
		case seen[v.Name]:
			return wrong("template", "variable %s is declared twice", v.Name)
		case v.Type != "text" && v.Type != "number" && v.Type != "flag" && v.Type != "list":
			return wrong("template", "variable %s: type must be text, number, flag or list", v.Name)
		case v.Max < 0 || v.Max > maxValue:
			return wrong("template", "variable %s: max must be at most %d", v.Name, maxValue)
		}
		seen[v.Name] = true
	}
	return nil
}

// cleanLines is clean, without carriage returns: text gets the line ends of mail when it
// is written.
func cleanLines(s string) bool { return clean(s) && !strings.Contains(s, "\r") }

// headerText is what a header that people read may hold: one line, which no reader
// decodes into another one (RFC 2047).
func headerText(s string) (string, error) {
	s = strings.TrimSpace(s)
	switch {
	case s == "":
		return "", wrong("template", "the subject is empty")
	case utf8.RuneCountInString(s) > maxSubject:
		return "", wrong("template", "the subject must have at most %d characters", maxSubject)
	case !cleanLines(s) || strings.ContainsAny(s, "\n\t\u2028\u2029"):
		return "", wrong("template", "the subject holds line ends, or invisible, bidirectional or control characters")
	case strings.Contains(s, "=?"):
		return "", wrong("template", "the subject holds =?, which mail programs decode")
	}
	return s, nil
}

// bind checks values against the declared variables. Every variable has a value
// afterwards, of its type, and nothing else has one.
func (t Template) bind(raw []byte) (map[string]any, error) {
	given := map[string]jsontext.Value{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &given); err != nil { // refuses a name that comes twice
			return nil, &mcpsec.Error{Message: "values must be an object: a value for each variable", Rule: "values", Err: err}
		}
	}
	out := make(map[string]any, len(t.Variables))
	for _, v := range t.Variables {
		value, ok := given[v.Name]
		if delete(given, v.Name); !ok && !v.Optional {
			return nil, wrong("values", "the value of %s is missing", v.Name)
		}
		bound, err := v.bind(value)
		if err != nil {
			return nil, err
		}
		out[v.Name] = bound
	}
	if len(given) > 0 {
		return nil, wrong("values", "%d values are of no variable that the template declares", len(given))
	}
	return out, nil
}

// bind makes a value of what was given; nothing makes an empty one.
func (v Variable) bind(raw jsontext.Value) (any, error) {
	limit := v.Max
	if limit == 0 {
		limit = defaultMax
	}
	var s string
	var n int64
	var b bool
	var l []string
	var err error
	var value any
	read := func(into any) {
		if raw.Kind() == 'n' {
			err = errNull
		} else if raw != nil {
			err = json.Unmarshal(raw, into)
		}
	}
	switch v.Type {
	case "text":
		read(&s)
		l, value = []string{s}, s
	case "number":
		read(&n)
		value = n
	case "flag":
		read(&b)
		value = b
	case "list":
		read(&l)
		value = l
	}
	if err != nil {
		return nil, &mcpsec.Error{Message: "the value of " + v.Name + " must be a " + v.Type, Rule: "values", Err: err}
	}
	if len(l) > maxItems {
		return nil, wrong("values", "%s must have at most %d texts", v.Name, maxItems)
	}
	for _, s := range l {
		if len(s) > limit {
			return nil, wrong("values", "a text of %s must have at most %d bytes", v.Name, limit)
		}
		if !cleanLines(s) {
			return nil, wrong("values", "%s holds invisible, bidirectional or control characters", v.Name)
		}
	}
	return value, nil
}

var errNull = fmt.Errorf("null is no value")
