package pgtool

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/mcpsec/mcpsec-go/internal/sqllex"
)

// fake returns a connection and the server at its other end, which a script
// plays: it reads one whole trip and gives the answers.
func fake(t *testing.T, answers ...pgproto3.BackendMessage) (*conn, <-chan []string) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	pg := construct(t, ours)
	sent := make(chan []string, 1)
	go func() {
		backend := pgproto3.NewBackend(theirs, theirs)
		var all []string
		for syncs := 0; syncs < 2; {
			m, err := backend.Receive()
			if err != nil {
				break
			}
			all = append(all, describe(m))
			if _, ok := m.(*pgproto3.Sync); ok {
				syncs++
			}
		}
		sent <- all
		for _, m := range answers {
			backend.Send(m)
		}
		_ = backend.Flush() // the test may have hung up
	}()
	return &conn{pg: pg, prologue: "SELECT limits", ownPrologue: "SELECT own"}, sent
}

// construct makes a client of one end of a pipe.
func construct(t *testing.T, conn net.Conn) *pgconn.PgConn {
	t.Helper()
	config := &pgconn.Config{
		BuildFrontend:              pgproto3.NewFrontend,
		DialFunc:                   func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }, // of cancel requests
		BuildContextWatcherHandler: func(c *pgconn.PgConn) ctxwatch.Handler { return &pgconn.DeadlineContextWatcherHandler{Conn: c.Conn()} },
	}
	pg, err := pgconn.Construct(&pgconn.HijackedConn{Conn: conn, TxStatus: idleStatus, Config: config, ParameterStatuses: map[string]string{}})
	if err != nil {
		t.Fatal(err)
	}
	return pg
}

func describe(m pgproto3.FrontendMessage) string {
	switch m := m.(type) {
	case *pgproto3.Parse:
		return fmt.Sprintf("Parse %q %s", m.Name, m.Query)
	case *pgproto3.Bind:
		return fmt.Sprintf("Bind %q %q %q %v", m.DestinationPortal, m.PreparedStatement, m.Parameters, m.ResultFormatCodes)
	case *pgproto3.Execute:
		return fmt.Sprintf("Execute %q %d", m.Portal, m.MaxRows)
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", m), "*pgproto3.")
}

// honest is what a server answers to a query with one row and one column.
func honest(first, second byte) []pgproto3.BackendMessage {
	parsed, bound := &pgproto3.ParseComplete{}, &pgproto3.BindComplete{}
	tag := func(s string) pgproto3.BackendMessage { return &pgproto3.CommandComplete{CommandTag: []byte(s)} }
	return []pgproto3.BackendMessage{
		parsed, bound, tag("BEGIN"),
		parsed, bound, &pgproto3.DataRow{Values: [][]byte{[]byte("x")}}, tag("SELECT 1"),
		parsed, bound, &pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("a"), DataTypeOID: 23}}},
		&pgproto3.NoticeResponse{}, &pgproto3.DataRow{Values: [][]byte{[]byte("1")}}, tag("SELECT 1"),
		&pgproto3.ReadyForQuery{TxStatus: first},
		parsed, bound, tag("ROLLBACK"), parsed, bound, tag("DISCARD ALL"),
		&pgproto3.ReadyForQuery{TxStatus: second},
	}
}

// TestTrip pins every message of a trip: it is the only one that carries a
// caller's text.
func TestTrip(t *testing.T) {
	t.Parallel()
	c, sent := fake(t, honest(openStatus, idleStatus)...)
	r, err := c.run(&query{sql: "caller's text", args: [][]byte{[]byte("arg"), nil}, maxRows: 5, maxBytes: 100})
	if err != nil || r.rows != 1 || r.more {
		t.Errorf("got %+v, %v", r, err)
	}
	want := strings.Split(`Parse "" BEGIN READ ONLY
Bind "" "" [] []
Execute "" 0
Parse "" SELECT limits
Bind "" "" [] []
Execute "" 0
Parse "" caller's text
Bind "" "" ["arg" ""] []
Describe
Execute "" 6
Sync
Parse "" ROLLBACK
Bind "" "" [] []
Execute "" 0
Parse "" DISCARD ALL
Bind "" "" [] []
Execute "" 0
Sync`, "\n")
	if got := <-sent; !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !c.settle() {
		t.Error("an honest server: the session does not settle")
	}
}

// TestTripWithBefore pins where a statement of ours goes, that only our own code
// can put before a caller's.
func TestTripWithBefore(t *testing.T) {
	t.Parallel()
	all := honest(openStatus, idleStatus)
	answers := append(slices.Clone(all[:7]), append(slices.Clone(all[3:7]), all[7:]...)...)
	c, sent := fake(t, answers...)
	r, err := c.run(&query{sql: "caller's text", before: "SELECT ours", with: [][]byte{[]byte("x")}, maxRows: 5, maxBytes: 100})
	if err != nil || r.rows != 1 || !c.settle() {
		t.Errorf("got %+v, %v", r, err)
	}
	got := strings.Join(<-sent, "\n")
	if !strings.Contains(got, "SELECT limits\nBind \"\" \"\" [] []\nExecute \"\" 0\nParse \"\" SELECT ours\nBind \"\" \"\" [\"x\"] []\nExecute \"\" 0\nParse \"\" caller's text\n") {
		t.Errorf("got\n%s", got)
	}
	c, _ = fake(t, all...) // the server answers one statement too few
	if _, err := c.run(&query{sql: "caller's text", before: "SELECT ours", maxRows: 5, maxBytes: 100}); err == nil && c.settle() {
		t.Error("an answer is missing, and the session settles")
	}
}

// TestSurprises plays servers whose session is not as it should be: the
// connection must not be used again.
func TestSurprises(t *testing.T) {
	t.Parallel()
	change := func(i int, m pgproto3.BackendMessage) []pgproto3.BackendMessage {
		all := honest(openStatus, idleStatus)
		all[i] = m
		return all
	}
	for name, answers := range map[string][]pgproto3.BackendMessage{
		"transaction gone":        honest(idleStatus, idleStatus),
		"transaction stays":       honest(openStatus, openStatus),
		"transaction failed":      honest(openStatus, failedStatus),
		"another BEGIN":           change(2, &pgproto3.CommandComplete{CommandTag: []byte("START")}),
		"another row":             change(11, &pgproto3.DataRow{Values: [][]byte{nil, nil}}),
		"copy":                    change(9, &pgproto3.CopyInResponse{}),
		"COMMIT for ROLLBACK":     change(16, &pgproto3.CommandComplete{CommandTag: []byte("COMMIT")}),
		"DISCARD refused":         change(19, &pgproto3.ErrorResponse{Severity: "ERROR", Code: "25001"}),
		"another DISCARD":         change(19, &pgproto3.CommandComplete{CommandTag: []byte("DISCARD PLANS")}),
		"an error after the rows": change(13, &pgproto3.ErrorResponse{Severity: "ERROR", Code: "57014"}),
		"silence":                 honest(openStatus, idleStatus)[:20],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := fake(t, answers...)
			if err := c.limit(10 * time.Second); err != nil {
				t.Fatal(err)
			}
			if _, err := c.run(&query{sql: "x", maxRows: 5, maxBytes: 100}); err == nil && c.settle() {
				t.Error("the session settles")
			}
		})
	}
}

func TestLookupIsOurs(t *testing.T) {
	t.Parallel()
	c, err := parseURL("postgres://u@localhost/d", nil)
	if err != nil {
		t.Fatal(err)
	}
	if name := runtime.FuncForPC(reflect.ValueOf(c.LookupFunc).Pointer()).Name(); !strings.Contains(name, "pgtool.parseURL") && !strings.Contains(name, "pgtool.lookup") {
		t.Errorf("names are looked up by %s", name)
	}
}

// TestGetEnds waits for a connection that does not come.
func TestGetEnds(t *testing.T) {
	t.Parallel()
	p := newPool(&connConfig{Config: &pgconn.Config{}}, 1, nil)
	p.slots <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.get(ctx); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	<-p.slots
	p.close()
	if _, err := p.get(t.Context()); err != errClosed {
		t.Errorf("closed: got %v", err)
	}
	p.close()
}

func TestSpoils(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]bool{
		"SELECT SET_CONFIG('a.b', '', true)":            true,
		`SELECT pg_catalog."set_config"('a.b', '', $1)`: true,
		`SELECT U&"set\005fconfig"('a.b', '', true)`:    true,
		"SELECT setseed(0)":                             true,
		"SELECT query_to_xml_and_xmlschema('x')":        true,
		"SELECT * FROM dblink_get_result('x')":          true,
		`SELECT "shop" . f (1)`:                         true,
		"SELECT pg_catalog.count(*) FROM shop.orders":   false,
		"SELECT 'set_config', o.id FROM shop.orders o":  false,
	} {
		tokens, err := sqllex.Scan(sql)
		if got := spoils(tokens); err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", sql, got, err, want)
		}
	}
}

// TestTripOfTenant pins that a tenant is set by parameters, in the transaction, and
// looked at again.
func TestTripOfTenant(t *testing.T) {
	t.Parallel()
	c, sent := fake(t)
	b := Tenant{Settings: map[string]string{"app.tenant": "4,2"}, Role: "ada"}.bind()
	go c.run(&query{sql: "caller's text", tenant: b, maxRows: 5, maxBytes: 100})
	got := strings.Join(<-sent, "\n")
	const bind = "\nBind \"\" \"\" [\"{\\\"app.tenant\\\",\\\"role\\\"}\" \"{\\\"4,2\\\",\\\"ada\\\"}\"] []\nExecute \"\" 0\n"
	for _, want := range []string{
		"Execute \"\" 0\nParse \"\" " + bindSQL + bind + "Parse \"\" " + fitSQL + "\nBind \"\" \"\" [] []\nExecute \"\" 0\nParse \"\" caller's text\n",
		"Execute \"\" 6\nParse \"\" " + boundSQL + bind + "Sync\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	if !strings.Contains(bindSQL, "set_config(s.k, s.v, true)") {
		t.Error("the tenant outlives its transaction")
	}
}

// TestTripOfSharedSession pins that what undoes the traces goes with the end of the
// transaction: between them a pooler would give the session away.
func TestTripOfSharedSession(t *testing.T) {
	t.Parallel()
	var reset []string
	for _, s := range sharedEnd {
		reset = append(reset, `Parse "" `+s[0], `Bind "" "" [] []`, `Execute "" 0`)
	}
	end := strings.Join(append(reset, "Sync"), "\n")
	c, sent := fake(t)
	c.shared = true
	go c.run(&query{sql: "caller's text", maxRows: 5, maxBytes: 100})
	start := `Parse "" BEGIN READ ONLY, ISOLATION LEVEL READ COMMITTED
Bind "" "" [] []
Execute "" 0
Parse "" RESET ALL
Bind "" "" [] []
Execute "" 0
Parse "" SELECT limits
`
	if got := strings.Join(<-sent, "\n"); !strings.HasPrefix(got, start) || !strings.HasSuffix(got, "Execute \"\" 6\nSync\nParse \"\" ROLLBACK\nBind \"\" \"\" [] []\nExecute \"\" 0\n"+end) || strings.Contains(got, "DISCARD ALL") {
		t.Errorf("a statement: %s", got)
	}
	c, sent = fake(t)
	c.shared = true
	c.sync()
	go c.finishBy("COMMIT")
	if got := strings.Join(<-sent, "\n"); got != "Sync\nParse \"\" COMMIT\nBind \"\" \"\" [] []\nExecute \"\" 0\n"+end {
		t.Errorf("a change: %s", got)
	}
}
