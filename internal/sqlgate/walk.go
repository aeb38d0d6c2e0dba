package sqlgate

import "github.com/mcpsec/mcpsec-go/internal/sqllex"

// Limits on what makes a parser recurse. The server guards its own stack; the
// limits keep us from bringing it there, and whatever else parses the text.
const (
	maxDepth = 200  // open parentheses, brackets and CASEs
	maxRun   = 1000 // tokens of one expression, in which operators may nest
	maxChain = 500  // joins and set operations of one query
)

// A frame is what stands between a parenthesis or bracket and its partner. The
// first frame is the statement itself.
type frame struct {
	closer string
	// begun tells that a token was seen.
	begun bool
	// query demands that the frame begins with a query: it is the statement,
	// the body of a CTE, or a parenthesis one of them begins with. Anywhere
	// else the grammar has room for nothing but a query or an expression.
	query bool
	// write demands that it is a statement that writes.
	write bool
	// with is the place in the WITH clause that the frame begins with.
	with withState
	// lengthFor tells that FOR gives a length, as in substring(a FROM 1 FOR b).
	lengthFor bool

	cases, run, chain int
}

// A walker passes once over the tokens, with the open frames as its stack.
type walker struct {
	tokens []sqllex.Token
	stack  []frame
	depth  int
	// before is the keyword before the current token. A word after AS or a dot
	// is no keyword but a name, even AS itself: in SELECT 1 AS as INTO t the
	// second AS is a name, and INTO is a keyword.
	before string
	// main is the token with which a statement that writes begins, or -1.
	main int
}

// walk checks the tokens of one query.
func walk(tokens []sqllex.Token) *fault {
	w := walker{tokens: tokens, stack: make([]frame, 1, 16), main: -1}
	w.stack[0].query = true
	return w.walk()
}

func (w *walker) walk() *fault {
	tokens := w.tokens
	for i, t := range tokens {
		keyword := word(t)
		if w.before == "as" || i > 0 && tokens[i-1].Is(".") {
			keyword = ""
		}
		if f := w.step(i, keyword); f != nil {
			return f
		}
		w.before = keyword
	}
	if len(w.stack) > 1 {
		return &fault{unbalanced, tokens[len(tokens)-1].Pos}
	}
	return nil
}

// step checks token i, whose keyword is "" if it is used as a name.
func (w *walker) step(i int, keyword string) *fault {
	t := w.tokens[i]
	top := &w.stack[len(w.stack)-1]
	query := false // whether a parenthesis opened here has to hold a query
	switch {
	case !top.begun:
		if f := top.begin(t, keyword); f != nil {
			return f
		}
		query = top.query
	case top.with != withNone:
		var f *fault
		if query, f = top.withStep(t, keyword, at(w.tokens, i+1)); f != nil {
			return f
		}
	}
	if top.write && top.with == withNone && w.main < 0 {
		w.main = i
	}
	switch t.Kind {
	case sqllex.UnicodeWord:
		return &fault{noUnicodeName, t.Pos}
	case sqllex.Punct:
		return w.punct(t, query)
	}
	if f := w.checkClause(i, keyword); f != nil {
		return f
	}
	return w.count(t, keyword)
}

// begin checks the first token of a frame.
func (f *frame) begin(t sqllex.Token, keyword string) *fault {
	f.begun = true
	switch keyword {
	case "with":
		f.with = withFirst
		return nil
	}
	if f.write {
		return beginsWrite(t, keyword)
	}
	switch keyword {
	case "select", "values", "table":
	default:
		if f.query && !t.Is("(") {
			return notQuery(t)
		}
	}
	return nil
}

// punct follows parentheses and brackets.
func (w *walker) punct(t sqllex.Token, query bool) *fault {
	switch t.Text {
	case "(":
		w.depth++
		w.stack = append(w.stack, frame{closer: ")", query: query,
			lengthFor: w.before == "substring" || w.before == "overlay"})
	case "[":
		w.depth++
		w.stack = append(w.stack, frame{closer: "]", begun: true})
	case ")", "]":
		top := w.stack[len(w.stack)-1]
		if top.closer != t.Text {
			return &fault{unbalanced, t.Pos}
		}
		w.depth -= 1 + top.cases
		w.stack = w.stack[:len(w.stack)-1]
	}
	return w.count(t, "")
}

// checkClause refuses the clauses by which a query writes or locks. INTO and
// FOR can be names only after AS or a dot, or in quotes.
func (w *walker) checkClause(i int, keyword string) *fault {
	switch keyword {
	case "into":
		if w.main >= 0 && i == w.main+1 {
			return nil // of INSERT or MERGE
		}
		return &fault{noInto, w.tokens[i].Pos}
	case "for":
		if w.stack[len(w.stack)-1].lengthFor {
			return nil
		}
		switch word(at(w.tokens, i+1)) {
		case "update", "no", "share", "key":
			return &fault{noLock, w.tokens[i].Pos}
		}
	}
	return nil
}

// count keeps the limits on chains and on CASE.
func (w *walker) count(t sqllex.Token, keyword string) *fault {
	top := &w.stack[len(w.stack)-1]
	top.run++
	switch keyword {
	case "case":
		top.cases++
		w.depth++
	case "end":
		// An END without CASE is a name: SELECT max(d) end FROM t.
		if top.cases > 0 {
			top.cases--
			w.depth--
		}
	case "join", "union", "intersect", "except":
		top.chain++
		top.run = 0
	case "and", "or", "when", "then", "else", "select", "from", "where", "on", "group", "having", "order":
		// The server keeps what these part as flat lists, however long. All are
		// reserved: a word that can name a column, like by, would hide a chain.
		top.run = 0
	}
	if t.Is(",") {
		top.run = 0
	}
	if top.run > maxRun || top.chain > maxChain {
		return &fault{tooChained, t.Pos}
	}
	if w.depth > maxDepth {
		return &fault{tooDeep, t.Pos}
	}
	return nil
}
