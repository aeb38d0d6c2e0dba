package sqlgate

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// A Refusal tells the caller why a text is not sent and what to do instead. It
// may be shown to the model: it holds no piece of the text but SQL keywords.
type Refusal struct {
	Reason string
	// Pos counts characters from 1, as PostgreSQL does. It is 0 if the reason
	// concerns the whole text.
	Pos int
}

// Error returns the reason with its position.
func (r *Refusal) Error() string {
	if r.Pos == 0 {
		return r.Reason
	}
	return fmt.Sprintf("%s (at character %d)", r.Reason, r.Pos)
}

// A fault is a Refusal whose position is still a byte offset.
type fault struct {
	reason string
	pos    int
}

func (f *fault) refusal(sql string) *Refusal {
	if f.reason == empty {
		return &Refusal{Reason: f.reason}
	}
	return &Refusal{f.reason, utf8.RuneCountInString(sql[:f.pos]) + 1}
}

// The reasons that hold no keyword.
const (
	oneOf = "send one SELECT, WITH, VALUES, TABLE, EXPLAIN or SHOW statement"

	empty          = "there is no statement; " + oneOf
	tooLong        = "the statement is too long; ask for less, or pass long values as parameters"
	tooManyTokens  = "the statement has too many parts; ask for less, or pass long lists as one array parameter"
	tooDeep        = "the statement is nested too deeply; use fewer parentheses, or WITH for its parts"
	tooChained     = "the expression is too long; split it into parts"
	unbalanced     = "the parentheses or brackets do not match; close each one that is opened"
	manyStatements = "more than one statement; send them one call at a time"
	badStart       = "this is no statement of the kinds allowed; " + oneOf
	badWith        = "the WITH clause cannot be read; write WITH name AS (SELECT …) SELECT …"
	badExplain     = "EXPLAIN must be followed by SELECT, WITH, VALUES or TABLE"
	badOption      = "this EXPLAIN option is not allowed; use VERBOSE, COSTS, SETTINGS, BUFFERS or FORMAT"
	noAnalyze      = "EXPLAIN ANALYZE is not allowed, as it runs the query; use EXPLAIN without ANALYZE"
	noSetting      = "SHOW of this setting is not allowed"
	noInto         = "INTO is not allowed: this tool only reads; leave INTO out and the rows are returned"
	noLock         = "row locks are not allowed: this tool only reads; leave out FOR UPDATE, FOR SHARE and the like"
	noUnicodeName  = `names written U&"…" are not allowed; write the letters themselves, in double quotes if needed`
)

func unreadable(r sqllex.Reason) string {
	return "the statement cannot be read: it has " + string(r) + "; mend this and send it again"
}

// Advice for statements that are refused, by what they are for.
const (
	transactionAdvice = " is not allowed: each call runs in a transaction of its own, which the tool ends; "
	sessionAdvice     = " is not allowed: nothing is kept between calls; "
	writeAdvice       = " is not allowed: this tool only reads; "
	otherAdvice       = " is not allowed here; "
)

var advice = func() map[string]string {
	m := make(map[string]string)
	for text, words := range map[string]string{
		transactionAdvice: "begin start commit end rollback abort savepoint release lock",
		sessionAdvice:     "set reset discard prepare execute deallocate declare fetch move close listen unlisten notify load",
		writeAdvice: "insert update delete merge truncate copy create alter drop grant revoke comment security " +
			"reassign refresh reindex cluster repack vacuum analyze analyse checkpoint import wait",
		otherAdvice: "do call explain show",
	} {
		for _, w := range strings.Fields(words) {
			m[w] = text
		}
	}
	return m
}()

// notQuery refuses a token that stands where a query has to begin.
func notQuery(t sqllex.Token) *fault {
	w := word(t)
	if text := advice[w]; text != "" {
		return &fault{strings.ToUpper(w) + text + oneOf, t.Pos}
	}
	return &fault{badStart, t.Pos}
}
