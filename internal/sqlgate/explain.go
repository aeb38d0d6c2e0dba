package sqlgate

import "github.com/mcpsec/mcpsec-go/internal/sqllex"

// explained returns the tokens of the query that EXPLAIN, the first token,
// stands before.
func explained(tokens []sqllex.Token, analyze bool) ([]sqllex.Token, *fault) {
	read := explainWords
	if at(tokens, 1).Is("(") && !beginsQuery(at(tokens, 2), at(tokens, 3)) {
		read = explainOptions
	}
	i, f := read(tokens, analyze)
	if f != nil {
		return nil, f
	}
	first := i
	for at(tokens, first).Is("(") {
		first++
	}
	if !beginsQuery(at(tokens, first), at(tokens, first+1)) {
		return nil, &fault{badExplain, tokens[min(first, len(tokens)-1)].Pos}
	}
	return tokens[i:], nil
}

// beginsQuery tells a query in parentheses from a list of options. VALUES could
// be the name of an option, but not before a parenthesis.
func beginsQuery(t, next sqllex.Token) bool {
	switch word(t) {
	case "select", "with", "table":
		return true
	case "values":
		return next.Is("(")
	}
	return t.Is("(")
}

// explainWords reads EXPLAIN [ANALYZE] [VERBOSE] and returns what follows.
func explainWords(tokens []sqllex.Token, analyze bool) (int, *fault) {
	i := 1
	if isAnalyze(at(tokens, i)) {
		if !analyze {
			return 0, &fault{noAnalyze, tokens[i].Pos}
		}
		i++
	}
	if word(at(tokens, i)) == "verbose" {
		i++
	}
	return i, nil
}

// The server spells it both ways.
func isAnalyze(t sqllex.Token) bool { return word(t) == "analyze" || word(t) == "analyse" }

// explainOptions reads EXPLAIN (name [value], …) and returns what follows. A
// list with a name it does not know is refused: extensions add options, and
// the name may be in quotes.
func explainOptions(tokens []sqllex.Token, analyze bool) (int, *fault) {
	for i := 2; ; {
		name := at(tokens, i)
		value := at(tokens, i+1)
		next := i + 1
		if isOptionValue(value) {
			next++
		}
		switch {
		case i >= len(tokens):
			return 0, &fault{unbalanced, tokens[len(tokens)-1].Pos}
		case isAnalyze(name) && !analyze && !isFalse(value):
			return 0, &fault{noAnalyze, name.Pos}
		case !isAnalyze(name) && !explainOption[word(name)]:
			return 0, &fault{badOption, name.Pos}
		case at(tokens, next).Is(")"):
			return next + 1, nil
		case !at(tokens, next).Is(","):
			return 0, &fault{badOption, tokens[min(next, len(tokens)-1)].Pos}
		}
		i = next + 1
	}
}

// The options of versions 13 to 18 that do not run the query, or have no effect
// unless ANALYZE does.
var explainOption = map[string]bool{
	"verbose": true, "costs": true, "settings": true, "generic_plan": true, "buffers": true,
	"serialize": true, "wal": true, "timing": true, "summary": true, "memory": true, "format": true,
}

func isOptionValue(t sqllex.Token) bool {
	return t.Kind == sqllex.Word || t.Kind == sqllex.String || t.Kind == sqllex.Number
}

func isFalse(t sqllex.Token) bool {
	return isOptionValue(t) && (t.Value == "false" || t.Value == "off" || t.Value == "0")
}
