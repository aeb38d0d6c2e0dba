package pgtool

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// sharedTrip is what a pooler's server answers to a query of one row, where the
// prologue has set what is given.
func sharedTrip(inForce, row []string) (out []pgproto3.BackendMessage) {
	values := func(texts []string) *pgproto3.DataRow {
		r := &pgproto3.DataRow{}
		for _, s := range texts {
			r.Values = append(r.Values, []byte(s))
		}
		return r
	}
	ok := func(tag string, rows ...pgproto3.BackendMessage) {
		out = append(append(append(out, &pgproto3.ParseComplete{}, &pgproto3.BindComplete{}), rows...), &pgproto3.CommandComplete{CommandTag: []byte(tag)})
	}
	ok("BEGIN")
	ok("RESET")
	ok("SELECT 1", values(inForce))
	ok("SELECT 1", &pgproto3.RowDescription{Fields: make([]pgproto3.FieldDescription, len(row))}, values(row))
	out = append(out, &pgproto3.ReadyForQuery{TxStatus: openStatus})
	ok("ROLLBACK")
	for _, s := range sharedEnd {
		ok(s[1])
	}
	return append(out, &pgproto3.ReadyForQuery{TxStatus: idleStatus})
}

// TestProbe has a server that does not keep what a transaction sets.
func TestProbe(t *testing.T) {
	t.Parallel()
	for differ, want := range map[string]string{"0": "", "1": "does not keep the settings"} {
		c, _ := fake(t, sharedTrip([]string{"path", "10s"}, []string{"t", "t", "77", "t", "10s", differ})...)
		c.shared = true
		p, err := c.probe(t.Context(), []setting{{"statement_timeout", "10000", 0}}, false)
		if want == "" && (err != nil || !p.fit || !p.login || !p.unlocks || p.pid != 77) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s differ: got %+v, %v", differ, p, err)
		}
	}
}

// TestSettingsInForce has a session in which a transaction has other settings than
// those before.
func TestSettingsInForce(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		row  []string
		want error
	}{
		{[]string{"pg_catalog", "10s", "16MB"}, nil}, {[]string{"pg_catalog, public", "10s", "16MB"}, nil},
		{[]string{"pg_catalog", "0", "16MB"}, errProtocol}, {[]string{"pg_catalog", "10s"}, errProtocol},
	} {
		c, _ := fake(t, sharedTrip(test.row, []string{"x"})...)
		c.shared, c.inForce = true, []byte("10s\x0016MB")
		if _, err := c.run(&query{sql: "x", maxRows: 1, maxBytes: 100}); !errors.Is(err, test.want) {
			t.Errorf("%q: got %v, want %v", test.row, err, test.want)
		}
	}
}

// TestFailed says after which errors of a server another one is asked.
func TestFailed(t *testing.T) {
	t.Parallel()
	replica, primary := &server{}, &server{primary: true}
	code := func(c, severity string) error { return &pgconn.PgError{Code: c, SeverityUnlocalized: severity} }
	for _, test := range []struct {
		s    *server
		err  error
		want bool
	}{
		{replica, nil, false}, {replica, code("22012", "ERROR"), false}, {replica, code("57014", "ERROR"), false}, {replica, code("40001", "ERROR"), true},
		{primary, code("40001", "ERROR"), false}, {replica, code("57P01", "FATAL"), true}, {replica, code("53300", "FATAL"), true},
		{replica, &lostError{errors.New("refused")}, true}, {primary, &lostError{errors.New("refused")}, true}, {replica, errBusy, true},
		{replica, &lostError{&pgproto3.ExceededMaxBodyLenErr{}}, false}, {replica, errStrayed, false}, {replica, errTenant(nil), false},
	} {
		test.s.good.Store(1 << 62)
		if got := test.s.failed(test.err); got != test.want {
			t.Errorf("%v: got %v", test.err, got)
		}
	}
}

// TestStarted has sessions that do not have their settings from the start: those get
// them from each transaction.
func TestStarted(t *testing.T) {
	t.Parallel()
	o, err := Options{URL: redact.NewSecret("x"), Schemas: []string{"shop"}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	settings := []setting{{"search_path", ownSearchPath, 0}, {"statement_timeout", "10000", 0}, {"transaction_timeout", "15000", 17}}
	inForce := []string{ownSearchPath, "10s", "15s"}
	for now, want := range map[string]bool{
		o.searchPath() + "\n10s\n0": true,
		ownSearchPath + "\n10s\n0":  false,
		o.searchPath() + "\n0\n15s": false,
		o.searchPath() + "\n\n15s":  false,
		"shop, public, x\n10s\n15s": false,
	} {
		c, _ := fake(t, ownTrip(now)...)
		c.ownPrologue = ""
		if got, err := (&DB{o: o}).started(t.Context(), c, settings, inForce); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", now, got, err, want)
		}
	}
	c, _ := fake(t, ownTrip("10s")...)
	c.ownPrologue = ""
	if _, err := (&DB{o: o}).started(t.Context(), c, settings, inForce); err == nil {
		t.Error("too few settings are taken for all")
	}
}

// ownTrip is what a server answers to a query of one value, without a prologue.
func ownTrip(value string) []pgproto3.BackendMessage {
	done := func(tag string) []pgproto3.BackendMessage {
		return []pgproto3.BackendMessage{&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.CommandComplete{CommandTag: []byte(tag)}}
	}
	return slices.Concat(done("BEGIN"), []pgproto3.BackendMessage{
		&pgproto3.ParseComplete{}, &pgproto3.BindComplete{}, &pgproto3.RowDescription{Fields: make([]pgproto3.FieldDescription, 1)},
		&pgproto3.DataRow{Values: [][]byte{[]byte(value)}}, &pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")},
		&pgproto3.ReadyForQuery{TxStatus: openStatus},
	}, done("ROLLBACK"), done("DISCARD ALL"), []pgproto3.BackendMessage{&pgproto3.ReadyForQuery{TxStatus: idleStatus}})
}
