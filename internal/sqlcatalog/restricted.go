package sqlcatalog

import (
	"slices"
	"strconv"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// restrictedCalls are functions whose arguments decide, by what a call has to
// look like. They are called by name only.
var restrictedCalls = map[string]func(c *checker, args []argument) string{
	"current_setting": currentSetting,
	"repeat":          growth, "lpad": growth, "rpad": growth,
	"format":            formatWidth,
	"pg_input_is_valid": inputType, "pg_input_error_info": inputType,
}

// An argument is the tokens between two commas of a call.
type argument []sqllex.Token

// restricted checks the call of a function at token i.
func (c *checker) restricted(i int) *fault {
	t := c.tokens[i]
	check := restrictedCalls[t.Value]
	if check == nil {
		check = growing[t.Value]
	}
	if check == nil || c.allows(i) {
		// in, between and others can stand before a parenthesis
		return c.implied(i)
	}
	if text := check(c, c.arguments(i+1)); text != "" {
		return &fault{text, t.Pos}
	}
	return nil
}

// allows reports whether the operator has allowed PostgreSQL's own function at
// token i whatever its arguments.
func (c *checker) allows(i int) bool { return c.s.listed[name{"pg_catalog", c.tokens[i].Value}] }

// arguments returns what stands between the parenthesis at open and its partner.
func (c *checker) arguments(open int) (args []argument) {
	depth, from := 0, open+1
	for i := open; i < len(c.tokens); i++ {
		switch t := c.tokens[i]; {
		case t.Is("(") || t.Is("["):
			depth++
		case t.Is(")") || t.Is("]"):
			if depth--; depth == 0 {
				return append(args, c.tokens[from:i])
			}
		case t.Is(",") && depth == 1:
			args = append(args, c.tokens[from:i])
			from = i + 1
		}
	}
	return nil
}

// currentSetting allows what SHOW may ask for.
func currentSetting(_ *checker, args []argument) string {
	if len(args) >= 1 && len(args[0]) == 1 && args[0][0].Kind == sqllex.String &&
		slices.Contains(sqlgate.DefaultSettings(), strings.ToLower(args[0][0].Value)) {
		return ""
	}
	return settingText
}

// maxGrowth is the longest text that one call makes.
const maxGrowth = 10_000

// growth demands a bound on the text that a call makes, as one call of repeat
// fills a gigabyte, even if EXPLAIN alone is asked for. least(n, 100) is one.
func growth(_ *checker, args []argument) string {
	if len(args) < 2 || !bounded(args[1]) {
		return growthText
	}
	for i, t := range args[0] {
		if i+1 < len(args[0]) && args[0][i+1].Is("(") && (t.Value == "repeat" || t.Value == "lpad" || t.Value == "rpad") {
			return nestedText
		}
	}
	return ""
}

// bounded reports whether an argument is a small number, or the least of one
// and something else.
func bounded(a argument) bool {
	if len(a) == 1 {
		return small(a[0])
	}
	n := len(a)
	if n < 6 || a[0].Kind != sqllex.Word || a[0].Value != "least" || !a[1].Is("(") || !a[n-1].Is(")") || !small(a[n-2]) || !a[n-3].Is(",") {
		return false
	}
	depth := 0
	for _, t := range a[1 : n-1] { // the first parenthesis closes last
		if t.Is("(") {
			depth++
		} else if t.Is(")") {
			depth--
		}
		if depth == 0 {
			return false
		}
	}
	return true
}

func small(t sqllex.Token) bool {
	n, err := strconv.Atoi(t.Text)
	return t.Kind == sqllex.Number && err == nil && n <= maxGrowth
}

// formatWidth demands a text without widths of five digits, or taken from an
// argument.
func formatWidth(_ *checker, args []argument) string {
	if len(args) < 1 || len(args[0]) != 1 || args[0][0].Kind != sqllex.String {
		return formatText
	}
	if strings.Count(args[0][0].Value, "$") > 2*len(args) {
		return formatText // the same argument again and again
	}
	digits := 0
	for _, r := range args[0][0].Value {
		if digits++; r < '0' || r > '9' {
			digits = 0
		}
		if digits >= 5 || r == '*' {
			return formatText
		}
	}
	return ""
}

// inputType demands a type whose name says that it is PostgreSQL's own: the
// input of others runs what their domains check.
func inputType(c *checker, args []argument) string {
	if len(args) != 2 || len(args[1]) != 1 || args[1][0].Kind != sqllex.String || !c.plainType(args[1][0].Value) {
		return inputText
	}
	return ""
}

// plainType reports whether a text names a type of one word that is no type of
// users.
func (c *checker) plainType(text string) bool {
	for _, r := range text {
		if r < '0' || r > '9' && r < 'a' || r > 'z' {
			return false
		}
	}
	for _, schema := range c.s.path {
		if c.s.has[name{schema, text}] && schema != "pg_catalog" {
			return false
		}
	}
	return text != ""
}
