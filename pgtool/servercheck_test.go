package pgtool

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// analysed is what a server answers that is to analyse a statement, with reports
// before it is done.
func analysed(reports ...pgproto3.BackendMessage) []pgproto3.BackendMessage {
	all := honest(openStatus, idleStatus)
	return slices.Concat(all[:7], all[3:7], reports, []pgproto3.BackendMessage{&pgproto3.ParseComplete{}}, all[12:])
}

func report(title, tree string) *pgproto3.NoticeResponse {
	return &pgproto3.NoticeResponse{SeverityUnlocalized: "LOG", Message: title, Detail: tree}
}

const (
	emptyTree = "{QUERY :commandType 1 :hasForUpdate false :hasModifyingCTE false}"
	parsedAs  = "parse tree:"
	rewritten = "rewritten parse tree:"
)

// TestAnalysisTrip pins that a statement which is analysed is not run.
func TestAnalysisTrip(t *testing.T) {
	t.Parallel()
	c, sent := fake(t, analysed(report(parsedAs, emptyTree), report(rewritten, "("+emptyTree+")"))...)
	a := &analysis{}
	if _, err := c.run(&query{sql: "caller's text", analysis: a}); err != nil || !c.settle() {
		t.Errorf("got %v", err)
	}
	got := strings.Join(<-sent, "\n")
	if want := "Parse \"\" " + treeSettings + "\nBind \"\" \"\" [] []\nExecute \"\" 0\nParse \"\" caller's text\nSync\nParse \"\" ROLLBACK\n"; !strings.Contains(got, want) {
		t.Errorf("got\n%s", got)
	}
	if _, _, err := a.uses(); err != nil {
		t.Error(err)
	}
}

// TestAnalysable refuses what a server would make a long text of, which it logs.
func TestAnalysable(t *testing.T) {
	t.Parallel()
	for sql, fine := range map[string]bool{
		"SELECT * FROM a JOIN b USING (id)":                          true,
		"SELECT 1 FROM a" + strings.Repeat(" JOIN a USING (id)", 40): true,
		"SELECT 1 FROM a" + strings.Repeat(" JOIN a USING (id)", 41): false,
		"TABLE a" + strings.Repeat(" UNION ALL TABLE a", 59):         true,
		"TABLE a" + strings.Repeat(" UNION ALL TABLE a", 60):         false,
		"SELECT 1" + strings.Repeat(", a.*", 61) + " FROM a":         false,
		"SELECT 1" + strings.Repeat(", 1", 1999):                     true,
		"SELECT 1" + strings.Repeat(", 1", 2000):                     false,
	} {
		tokens, err := sqllex.Scan(sql)
		if err != nil {
			t.Fatal(err)
		}
		if err := analysable(tokens); (err == nil) != fine {
			t.Errorf("%.60s …: got %v", sql, err)
		}
	}
}

// TestAnalysisForged refuses what is not exactly the two reports of the server.
func TestAnalysisForged(t *testing.T) {
	t.Parallel()
	one, two := report(parsedAs, emptyTree), report(rewritten, "("+emptyTree+")")
	notice := &pgproto3.NoticeResponse{SeverityUnlocalized: "NOTICE", Message: parsedAs, Detail: emptyTree}
	for name, reports := range map[string][]pgproto3.BackendMessage{
		"none":        nil,
		"one":         {one},
		"the other":   {two},
		"three":       {one, one, two},
		"also three":  {one, two, two},
		"a notice":    {notice, two},
		"not a query": {report(parsedAs, "{QUERY :commandType 6}"), two},
		"not plain":   {one, report(rewritten, "("+emptyTree+" "+emptyTree+")")},
	} {
		c, _ := fake(t, analysed(reports...)...)
		a := &analysis{}
		if _, err := c.run(&query{sql: "caller's text", analysis: a}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := a.uses(); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	all := analysed(one, two)
	all[len(all)-len(honest(0, 0)[12:])-1] = &pgproto3.BindComplete{}
	c, _ := fake(t, all...)
	if _, err := c.run(&query{sql: "caller's text", analysis: &analysis{}}); err == nil {
		t.Error("want an error for an answer to what was not sent")
	}
}
