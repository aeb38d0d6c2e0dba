package pbtool

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A verdict says of an API rule whom it lets in: never, sometimes or for some
// records, or always. What cannot be told is sometimes, and neither never nor always is
// said of a rule that could be anything else.
type verdict int

const (
	never verdict = iota
	sometimes
	always
)

// An asker is a kind of caller: the guest is the zero asker.
type asker struct {
	collection string // of the account
	id         string // that collection's
}

func (v asker) guest() bool { return v.collection == "" }

// judge says whom a rule lets in. fields are those of the rule's collection,
// noID that there is no record yet whose id is one. A rule that is not understood
// lets some in.
func judge(rule *string, as asker, fields []string, noID bool) verdict {
	switch {
	case rule == nil:
		return never
	case *rule == "":
		return always
	}
	r := reader{rest: *rule, as: as, fields: fields, noID: noID}
	v, err := r.rule()
	switch {
	case err != nil:
		return sometimes
	case noID && slices.ContainsFunc(r.words, func(w string) bool { return strings.Contains(w, "_via_") }): // nothing leads to a record that there is not yet, and PocketBase refuses
		return min(v, sometimes)
	}
	return v
}

// words returns the identifiers of a rule, those in functions included.
func words(rule string) ([]string, error) {
	r := reader{rest: rule}
	if rule == "" {
		return nil, nil
	}
	_, err := r.rule()
	return r.words, err
}

// comparisons returns the identifiers on both sides of each comparison of a rule.
func comparisons(rule string) ([][2][]string, error) {
	r := reader{rest: rule}
	_, err := r.rule()
	return r.pairs, err
}

var errRule = errors.New("the rule is not one that can be told the meaning of: write comparisons with && and ||, brackets around groups of them, texts without backslashes, and no comments")

const (
	maxRule      = 3_500
	maxRuleDepth = 20
)

// A reader reads a rule and judges it on the way. It takes less than PocketBase
// does: no comments and no backslashes, which versions read differently, and no
// group where an operand or a join should be, before which PocketBase forgets what
// it has read.
type reader struct {
	rest   string
	as     asker
	fields []string
	noID   bool
	words  []string
	pairs  [][2][]string // the words on each side of a comparison
	depth  int
}

func (r *reader) rule() (verdict, error) {
	if len(r.rest) > maxRule || !utf8.ValidString(r.rest) || strings.ContainsAny(r.rest, "\\\x00") {
		return sometimes, errRule
	}
	v, err := r.either()
	if r.space(); err == nil && r.rest != "" {
		err = errRule
	}
	return v, err
}

func (r *reader) space() { r.rest = strings.TrimLeft(r.rest, " \t\n") }

// take cuts a prefix off.
func (r *reader) take(prefix string) bool {
	r.space()
	rest, ok := strings.CutPrefix(r.rest, prefix)
	if ok {
		r.rest = rest
	}
	return ok
}

// run cuts off as many of these characters as there are.
func (r *reader) run(of string) string {
	r.space()
	n := len(r.rest) - len(strings.TrimLeft(r.rest, of))
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

// either reads terms with joins: && binds more than ||, as in SQL.
func (r *reader) either() (verdict, error) {
	if r.depth++; r.depth > maxRuleDepth {
		return sometimes, errRule
	}
	defer func() { r.depth-- }()
	one, both := never, always
	for {
		v, err := r.term()
		if err != nil {
			return sometimes, err
		}
		both = min(both, v)
		switch r.run("&|") {
		case "&&":
		case "||":
			one, both = max(one, both), always
		case "":
			return max(one, both), nil
		default:
			return sometimes, errRule
		}
	}
}

func (r *reader) term() (verdict, error) {
	if r.take("(") {
		v, err := r.either()
		if err == nil && !r.take(")") {
			err = errRule
		}
		return v, err
	}
	from := len(r.words)
	left, err := r.operand(3)
	if err != nil {
		return sometimes, err
	}
	op := strings.TrimPrefix(r.run("=!~<>?"), "?")
	if !slices.Contains([]string{"=", "!=", "~", "!~", "<", "<=", ">", ">="}, op) {
		return sometimes, errRule
	}
	mid := len(r.words)
	right, err := r.operand(3)
	if err != nil {
		return sometimes, err
	}
	r.pairs = append(r.pairs, [2][]string{r.words[from:mid:mid], r.words[mid:]})
	return compared(left, op, right), nil
}

// An operand is what is known of one side of a comparison.
type operand struct {
	kind operandKind
	text string
	num  float64
}

type operandKind int

const (
	isUnknown operandKind = iota
	isNull                // SQL's
	isText                // text
	isNumber              // num
	isFilled              // a text that is not empty
)

func (r *reader) operand(depth int) (operand, error) {
	r.space()
	switch c := first(r.rest); {
	case c == '\'' || c == '"':
		s, rest, ok := strings.Cut(r.rest[1:], string(c))
		if !ok {
			return operand{}, errRule
		}
		r.rest = rest
		return operand{kind: isText, text: s}, nil
	case c == '-' || c >= '0' && c <= '9':
		s := r.run("-0123456789.")
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || strings.HasSuffix(s, ".") {
			return operand{}, errRule
		}
		return operand{kind: isNumber, num: n}, nil
	case c == '@' || c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z':
		return r.word(depth)
	}
	return operand{}, errRule
}

func first(s string) byte {
	if s == "" {
		return 0
	}
	return s[0]
}

const wordCharacters = "@_.:0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// word reads an identifier, or a function with its arguments.
func (r *reader) word(depth int) (operand, error) {
	w := r.run(wordCharacters)
	if first(r.rest) != '(' {
		r.words = append(r.words, w)
		return r.meaning(w), nil
	}
	if depth == 0 {
		return operand{}, errRule
	}
	for r.take("("); !r.take(")"); {
		if _, err := r.operand(depth - 1); err != nil {
			return operand{}, err
		}
		if !r.take(",") && first(r.rest) != ')' {
			return operand{}, errRule
		}
	}
	return operand{}, nil
}

// meaning is what an identifier stands for, as far as it is known.
func (r *reader) meaning(w string) operand {
	field := slices.ContainsFunc(r.fields, func(f string) bool { return strings.EqualFold(f, w) })
	switch lower := strings.ToLower(w); {
	case w == "id" && !r.noID:
		return operand{kind: isFilled}
	case lower == "null" && !field:
		return operand{kind: isNull}
	case lower == "true" && !field:
		return operand{kind: isNumber, num: 1}
	case lower == "false" && !field:
		return operand{kind: isNumber}
	case !strings.HasPrefix(w, "@request.auth.") || strings.Contains(w, ":"):
		return operand{}
	case r.as.guest():
		return operand{kind: isNull}
	case w == "@request.auth.id":
		return operand{kind: isFilled}
	case w == "@request.auth.collectionName":
		return operand{kind: isText, text: r.as.collection}
	case w == "@request.auth.collectionId":
		return operand{kind: isText, text: r.as.id}
	}
	return operand{}
}

// empty reports whether PocketBase takes an operand for an empty one.
func (o operand) empty() bool { return o.kind == isNull || o.kind == isText && o.text == "" }

// compared says how a comparison ends, as far as that is known.
func compared(a operand, op string, b operand) verdict {
	switch op {
	case "=":
		return equal(a, b)
	case "!=":
		return always - equal(a, b)
	}
	if a.kind == isNull || b.kind == isNull { // NULL, and so no yes
		return never
	}
	if a.kind != isNumber || b.kind != isNumber {
		return sometimes
	}
	yes := map[string]bool{"<": a.num < b.num, "<=": a.num <= b.num, ">": a.num > b.num, ">=": a.num >= b.num}
	is, ok := yes[op]
	switch {
	case !ok:
		return sometimes
	case is:
		return always
	}
	return never
}

func equal(a, b operand) verdict {
	known := func(o operand) bool { return o.kind == isNull || o.kind == isText || o.kind == isNumber }
	switch {
	case a.empty() && b.empty():
		return always
	case a.empty() && b.kind == isFilled, b.empty() && a.kind == isFilled:
		return never
	case !known(a) || !known(b):
		return sometimes
	case a.kind == b.kind && a == b:
		return always
	case a.kind == b.kind || a.empty() || b.empty():
		return never
	}
	return sometimes // a text and a number
}
