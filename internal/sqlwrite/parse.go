package sqlwrite

import (
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// A relation is where the statement names a table.
type relation struct {
	start, at int  // the first token of the name, and the last
	alias     int  // the token of its alias, or -1
	renamed   bool // its columns get new names
	nested    bool // it stands in the parentheses of a join
}

// A parser reads what has to be known of a statement that writes.
type parser struct {
	tokens []sqllex.Token
	words  []string // the keyword at each token, "" for one that is a name or no word
	main   int

	target            relation
	inserts, updates  []int // tokens of columns that get values
	inserted, updated bool
	deleted           bool

	relations []relation
	natural   int // a token, or -1
}

func (p *parser) parse() *fault {
	p.natural = -1
	p.words = make([]string, len(p.tokens))
	before := ""
	for i, t := range p.tokens {
		if t.Kind == sqllex.Word && before != "as" && !p.is(i-1, ".") {
			p.words[i] = t.Value
		}
		before = p.words[i]
	}
	body, f := p.statement()
	if f != nil {
		return f
	}
	return p.reads(body)
}

// statement reads the target and the columns that are written, and returns where
// the rest of the statement begins.
func (p *parser) statement() (body int, f *fault) {
	i := p.main + 1
	switch verb, next := p.words[p.main], p.word(i); {
	case verb == "update":
		return p.update(i)
	case verb == "insert" && next == "into":
		return p.insert(i + 1)
	case verb == "delete" && next == "from":
		return p.delete(i + 1)
	case verb == "merge" && next == "into":
		return p.merge(i + 1)
	}
	return 0, p.fault(i, targetText)
}

func (p *parser) insert(i int) (body int, f *fault) {
	if i, f = p.name(&p.target, i); f != nil {
		return 0, f
	}
	if p.word(i) == "as" && p.named(i+1) {
		p.target.alias, i = i+1, i+2
	}
	p.inserted, body = true, i
	if i, f = p.insertColumns(i); f != nil {
		return 0, f
	}
	switch p.word(i) {
	case "values", "select":
	default:
		if !p.is(i, "(") {
			return 0, p.fault(i, sourceText)
		}
	}
	return body, p.onConflict(i)
}

// insertColumns reads (a, b), or the DEFAULT before VALUES.
func (p *parser) insertColumns(i int) (int, *fault) {
	if p.word(i) == "default" && p.word(i+1) == "values" {
		return i + 1, nil
	}
	if w := p.word(i + 1); !p.is(i, "(") || w == "select" || w == "with" || w == "values" || p.is(i+1, "(") {
		return 0, p.fault(i, columnsText)
	}
	return p.columns(&p.inserts, i)
}

// columns reads a list of columns in parentheses.
func (p *parser) columns(out *[]int, i int) (int, *fault) {
	for i++; p.named(i); i += 2 {
		*out = append(*out, i)
		if p.is(i+1, ")") {
			return i + 2, nil
		}
		if !p.is(i+1, ",") {
			return 0, p.fault(i+1, partText)
		}
	}
	return 0, p.fault(i, partText)
}

// onConflict finds DO UPDATE SET. DO is reserved: elsewhere it is a name only
// after AS, or labels a column, which no UPDATE can follow.
func (p *parser) onConflict(i int) (f *fault) {
	p.flat(i, func(i int) bool {
		if p.words[i] == "do" && p.word(i+1) == "update" && p.word(i+2) == "set" {
			p.updated = true
			_, f = p.sets(i + 3)
		}
		return f == nil
	})
	return f
}

func (p *parser) update(i int) (body int, f *fault) {
	if i, f = p.targetName(i); f != nil {
		return 0, f
	}
	if p.word(i) != "set" {
		return 0, p.fault(i, targetText)
	}
	p.updated = true
	body = i
	if i, f = p.sets(i + 1); f != nil {
		return 0, f
	}
	return body, p.where(i)
}

func (p *parser) delete(i int) (body int, f *fault) {
	if i, f = p.targetName(i); f != nil {
		return 0, f
	}
	switch p.word(i) {
	case "using", "where", "returning", "":
	default:
		return 0, p.fault(i, targetText)
	}
	p.deleted = true
	return i, p.where(i)
}

// where demands one, before RETURNING.
func (p *parser) where(i int) *fault {
	found := false
	p.flat(i, func(i int) bool {
		found = found || p.words[i] == "where" && (p.word(i+1) != "current" || p.word(i+2) != "of") // a cursor's row
		return p.words[i] != "returning" && !found
	})
	if !found {
		return p.fault(p.main, whereText)
	}
	return nil
}

// merge reads the actions: a THEN outside parentheses that INSERT, UPDATE SET or
// DELETE follow.
func (p *parser) merge(i int) (body int, f *fault) {
	if i, f = p.targetName(i); f != nil {
		return 0, f
	}
	if p.word(i) != "using" {
		return 0, p.fault(i, targetText)
	}
	p.flat(i, func(i int) bool {
		if p.words[i] == "then" {
			f = p.action(i + 1)
		}
		return f == nil
	})
	return i, f
}

func (p *parser) action(i int) (f *fault) {
	switch {
	case p.word(i) == "update" && p.word(i+1) == "set":
		p.updated = true
		_, f = p.sets(i + 2)
	case p.word(i) == "delete":
		p.deleted = true
	case p.word(i) == "insert":
		p.inserted = true
		if i, f = p.insertColumns(i + 1); f == nil && p.word(i) != "values" {
			f = p.fault(i, sourceText)
		}
	}
	return f
}

// sets reads what stands after SET: columns, each with a value.
func (p *parser) sets(i int) (int, *fault) {
	for {
		var f *fault
		if p.is(i, "(") {
			if i, f = p.columns(&p.updates, i); f != nil {
				return 0, f
			}
		} else if p.named(i) {
			p.updates = append(p.updates, i)
			i++
		}
		if i >= len(p.tokens) || p.tokens[i].Kind != sqllex.Operator || p.tokens[i].Value != "=" {
			return 0, p.fault(i, partText)
		}
		if i = p.value(i + 1); !p.is(i, ",") {
			return i, nil
		}
		i++
	}
}

// value returns where the value of a column ends. It is an expression, which has
// commas only in parentheses, FROM only after DISTINCT, and WHEN only after CASE.
func (p *parser) value(i int) int {
	cases, end := 0, len(p.tokens)
	p.flat(i, func(j int) bool {
		goes := true
		switch p.words[j] {
		case "case":
			cases++
		case "end":
			cases--
		case "where", "returning":
			goes = false
		case "when":
			goes = cases > 0
		case "from":
			goes = p.word(j-1) == "distinct"
		}
		if !goes || p.is(j, ",") {
			end = j
			return false
		}
		return true
	})
	return end
}

// flat calls f with the tokens from i on that are not in parentheses or brackets,
// until it returns false. An opening one is passed on.
func (p *parser) flat(i int, f func(int) bool) {
	for depth := 0; i < len(p.tokens); i++ {
		closes := p.is(i, ")") || p.is(i, "]")
		if closes {
			depth--
		}
		if depth == 0 && !closes && !f(i) {
			return
		}
		if p.is(i, "(") || p.is(i, "[") {
			depth++
		}
	}
}

// targetName reads the name of the target with its alias.
func (p *parser) targetName(i int) (int, *fault) {
	i, f := p.name(&p.target, i)
	if f == nil {
		i = p.alias(&p.target, i)
	}
	return i, f
}

// name reads the name of a table.
func (p *parser) name(r *relation, i int) (int, *fault) {
	r.start, r.at, r.alias = i, i, -1
	if p.word(i) == "only" || !p.named(i) {
		return 0, p.fault(i, targetText)
	}
	if p.is(i+1, ".") {
		r.at = i + 2
		if !p.named(r.at) || p.is(r.at+1, ".") {
			return 0, p.fault(i, tableText)
		}
	}
	if n := r.at + 1; n < len(p.tokens) && p.tokens[n].Kind == sqllex.Operator {
		return 0, p.fault(n, targetText) // t * means t and what inherits from it
	}
	return r.at + 1, nil
}

// alias reads [AS] name, if there is one.
func (p *parser) alias(r *relation, i int) int {
	switch {
	case p.word(i) == "as" && p.named(i+1):
		r.alias, i = i+1, i+2
	case p.named(i) && !afterTable[p.word(i)]:
		r.alias, i = i, i+1
	}
	return i
}

// afterTable are words that can follow a table and cannot be its alias without AS.
var afterTable = words("where join on left right inner full cross natural group order limit offset fetch having union intersect except window for using tablesample set when returning")

func words(list string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(list) {
		m[w] = true
	}
	return m
}

func (p *parser) is(i int, text string) bool {
	return i >= 0 && i < len(p.tokens) && p.tokens[i].Is(text)
}

func (p *parser) word(i int) string {
	if i >= 0 && i < len(p.words) {
		return p.words[i]
	}
	return ""
}

func (p *parser) named(i int) bool {
	return i >= 0 && i < len(p.tokens) && (p.tokens[i].Kind == sqllex.Word || p.tokens[i].Kind == sqllex.QuotedWord)
}

// A fault is a refusal at a token.
type fault struct {
	reason string
	pos    int
}

func (p *parser) fault(i int, reason string) *fault {
	return &fault{reason, p.tokens[min(i, len(p.tokens)-1)].Pos}
}

func newParser(st sqlgate.Statement) *parser { return &parser{tokens: st.Query, main: st.Main} }
