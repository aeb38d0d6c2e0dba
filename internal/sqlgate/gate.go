package sqlgate

import (
	"errors"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// Options widen or narrow what Check accepts. The zero value is the strictest
// useful setting.
type Options struct {
	// MaxBytes is the longest text in bytes. Defaults to 50,000.
	MaxBytes int
	// MaxTokens is the most tokens in a statement, at most sqllex.MaxTokens.
	// Defaults to 20,000.
	MaxTokens int
	// AllowExplainAnalyze accepts EXPLAIN ANALYZE, which runs the query.
	// Defaults to false.
	AllowExplainAnalyze bool
	// Settings are the names, in lower case, that SHOW may ask for. Defaults
	// to DefaultSettings.
	Settings []string
	// Write accepts one INSERT, UPDATE, DELETE or MERGE, maybe after WITH, and
	// nothing else. In it only queries may stand in parentheses, those of WITH
	// included. Defaults to false.
	Write bool
}

// Kind says what a statement does.
type Kind uint8

const (
	// Query is SELECT, WITH, VALUES or TABLE.
	Query Kind = iota + 1
	// Explain is EXPLAIN of a Query.
	Explain
	// Show is SHOW of a listed setting.
	Show
	// Write is INSERT, UPDATE, DELETE or MERGE.
	Write
)

// A Statement is a text that Check accepted.
type Statement struct {
	// SQL is what may be sent: the text without the closing semicolon and what
	// follows it. Positions in it are positions in the caller's text.
	SQL  string
	Kind Kind
	// Query holds the tokens of the query, of the explained one if Kind is
	// Explain, and none if it is Show. Their positions count in SQL.
	Query []sqllex.Token
	// Main is the token of Query with which a Write begins, after its WITH.
	Main int
}

// Check accepts sql if it is exactly one statement that the options allow. The
// error is a *Refusal. Check keeps no state and may be called concurrently.
func Check(sql string, o Options) (Statement, error) {
	s, f := check(sql, o.withDefaults())
	if f != nil {
		return Statement{}, f.refusal(sql)
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.MaxBytes <= 0 {
		o.MaxBytes = 50_000
	}
	if o.MaxTokens <= 0 {
		o.MaxTokens = 20_000
	}
	return o
}

func check(sql string, o Options) (Statement, *fault) {
	if len(sql) > o.MaxBytes {
		return Statement{}, &fault{tooLong, o.MaxBytes}
	}
	tokens, f := scan(sql, o.MaxTokens)
	if f != nil {
		return Statement{}, f
	}
	s := Statement{SQL: sql[:tokens[len(tokens)-1].End()], Kind: Query, Query: tokens}
	if o.Write {
		s.Kind = Write
		s.Main, f = walkWrite(tokens)
		return s, f
	}
	switch word(tokens[0]) {
	case "show":
		s.Kind, s.Query = Show, nil
		return s, checkShow(tokens, o.Settings)
	case "explain":
		s.Kind = Explain
		if s.Query, f = explained(tokens, o.AllowExplainAnalyze); f != nil {
			return s, f
		}
	}
	return s, walk(s.Query)
}

// scan returns the tokens of the one statement, at least one, without the
// semicolons that close it.
func scan(sql string, limit int) ([]sqllex.Token, *fault) {
	tokens, err := sqllex.Scan(sql)
	if e := (*sqllex.Error)(nil); errors.As(err, &e) {
		return nil, &fault{unreadable(e.Reason), e.Pos}
	}
	if len(tokens) > limit {
		return nil, &fault{tooManyTokens, tokens[limit].Pos}
	}
	n := len(tokens)
	for n > 0 && tokens[n-1].Is(";") {
		n--
	}
	if n == 0 {
		return nil, &fault{empty, 0}
	}
	for _, t := range tokens[:n] {
		if t.Is(";") {
			return nil, &fault{manyStatements, t.Pos}
		}
	}
	return tokens[:n], nil
}

// word returns an unquoted word in lower case, or "" for any other token.
func word(t sqllex.Token) string {
	if t.Kind == sqllex.Word {
		return t.Value
	}
	return ""
}

// at returns the token at i, or a token of no kind beyond the end.
func at(tokens []sqllex.Token, i int) sqllex.Token {
	if i < len(tokens) {
		return tokens[i]
	}
	return sqllex.Token{}
}
