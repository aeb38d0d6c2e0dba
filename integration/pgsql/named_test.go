package pgsql

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

type customerIn struct {
	ID    int64    `json:"id"`
	Names []string `json:"names" validate:"max=5"`
	Since *string  `json:"since" validate:"omitempty,max=40"`
}

type customerOut struct {
	ID      int64           `json:"id"`
	Name    string          `json:"name"`
	Country *string         `json:"country"`
	Tags    []string        `json:"tags"`
	Profile json.RawMessage `json:"profile"`
	Created time.Time       `json:"created_at"`
}

func TestNamedQuery(t *testing.T) {
	t.Parallel()
	db := open(t, database(t), nil)
	tool := pgtool.NamedQuery[customerIn, customerOut](db, mcpsec.ToolSpec{Name: "customer", Description: "Find customers."}, pgtool.NewSQL(`
		SELECT id, name, nullif(country, 'US') AS country, tags, profile, created_at FROM shop.customers
		WHERE (id = :id OR name = ANY (:names)) AND (:since::timestamptz IS NULL OR created_at >= :since) ORDER BY id`))
	cs, _ := writeClient(t, []*mcpsec.Tool{tool}, &person{})
	wants(t, cs, "customer", args{"id": 1, "names": []string{"Customer 2", `x"y`}},
		`{"id":1,"name":"Customer 1","country":"FR","tags":["t1","x1"],"profile":{"age":21,"prefs":["a","b",1]},"created_at":"2024-01-01T01:00:00Z"},{"id":2,"name":"Customer 2","country":null`, `"truncated":false`)
	wants(t, cs, "customer", args{"id": 1, "since": "2025-01-01T00:00:00Z"}, `{"rows":[],"truncated":false}`)
	wants(t, cs, "customer", args{"id": 1, "since": "'; DROP TABLE x"}, "SQLSTATE 22007")
}

// TestNamedRows has rows that the type of Out does not hold exactly, and rows that
// it does.
func TestNamedRows(t *testing.T) {
	t.Parallel()
	db := open(t, database(t), nil)
	type num struct {
		V int64 `json:"v"`
	}
	type small struct {
		V int8 `json:"v"`
	}
	type float struct {
		V float64 `json:"v"`
	}
	type text struct {
		V string `json:"v"`
	}
	type blob struct {
		V []byte `json:"v"`
	}
	type list struct {
		V []*int64 `json:"v"`
	}
	type maybe struct {
		V *int `json:"v"`
	}
	for _, test := range []struct {
		tool func(spec mcpsec.ToolSpec) *mcpsec.Tool
		want string
	}{
		{named[num](db, pgtool.NewSQL("SELECT 9007199254740993 AS v")), `[{"v":9007199254740993}]`},
		{named[small](db, pgtool.NewSQL("SELECT 127 AS v")), `[{"v":127}]`},
		{named[small](db, pgtool.NewSQL("SELECT 128 AS v")), "internal error"},
		{named[num](db, pgtool.NewSQL("SELECT 1.0 AS v")), "internal error"},
		{named[num](db, pgtool.NewSQL("SELECT NULL::int AS v")), "internal error"},
		{named[float](db, pgtool.NewSQL("SELECT 0.1::float8 AS v")), `[{"v":0.1}]`},
		{named[float](db, pgtool.NewSQL("SELECT 0.1 AS v")), "internal error"},
		{named[float](db, pgtool.NewSQL("SELECT 'NaN'::float8 AS v")), "internal error"},
		{named[text](db, pgtool.NewSQL("SELECT 12345678901234567890.10 AS v")), `[{"v":"12345678901234567890.10"}]`},
		{named[blob](db, pgtool.NewSQL(`SELECT '\x00ff'::bytea AS v`)), `[{"v":"AP8="}]`},
		{named[blob](db, pgtool.NewSQL(`SELECT 'x' AS v`)), "internal error"},
		{named[list](db, pgtool.NewSQL("SELECT ARRAY[9007199254740993, NULL] AS v")), `[{"v":[9007199254740993,null]}]`},
		{named[list](db, pgtool.NewSQL("SELECT ARRAY[[1, 2]] AS v")), "internal error"},
		{named[maybe](db, pgtool.NewSQL("SELECT NULL::int AS v")), `[{"v":null}]`},
		{named[num](db, pgtool.NewSQL("SELECT 1 AS v, 2 AS w")), "internal error"},
		{named[num](db, pgtool.NewSQL("SELECT 1 AS v, 2 AS v")), "internal error"},
		{named[num](db, pgtool.NewSQL("SELECT 1 AS other")), "internal error"},
		{named[num](db, pgtool.NewSQL("SELECT generate_series(1, 100000000) AS v")), `"truncated":true`},
		{named[num](db, pgtool.NewSQL("SELECT shop.touch_victim() AS v")), "only reads (SQLSTATE 25006)"},
	} {
		tool := test.tool(mcpsec.ToolSpec{Name: "named", Description: "x"})
		cs, _ := writeClient(t, []*mcpsec.Tool{tool}, &person{})
		if got := tell(t, cs, "named", args{}); !strings.Contains(got, test.want) {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

type nothing struct{}

// named returns what makes a tool without parameters.
func named[Out any](db *pgtool.DB, statement pgtool.SQL) func(mcpsec.ToolSpec) *mcpsec.Tool {
	return func(spec mcpsec.ToolSpec) *mcpsec.Tool { return pgtool.NamedQuery[nothing, Out](db, spec, statement) }
}

// TestNamedWrite writes by statements of the operator's own.
func TestNamedWrite(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, "", func(o *pgtool.WriteOptions) { o.MaxAffected = 15 })
	type ship struct {
		Below int64  `json:"below"`
		To    string `json:"to" validate:"required,max=20"`
	}
	type shipped struct {
		ID int64 `json:"id"`
	}
	statement := pgtool.NewSQL("UPDATE w.orders SET status = :to WHERE id < :below RETURNING id")
	p := &person{}
	cs, _ := writeClient(t, []*mcpsec.Tool{
		pgtool.NamedWrite[ship, shipped](w, mcpsec.ToolSpec{Name: "ship", Description: "x", Effect: mcpsec.Write}, statement),
		pgtool.NamedWrite[ship, shipped](w, mcpsec.ToolSpec{Name: "ship_asking", Description: "x", Effect: mcpsec.Destroy}, statement),
		pgtool.NamedWrite[ship, nothing](w, mcpsec.ToolSpec{Name: "ship_wrongly", Description: "x", Effect: mcpsec.Write}, statement),
		pgtool.NamedWrite[nothing, nothing](w, mcpsec.ToolSpec{Name: "spy", Description: "x", Effect: mcpsec.Write}, pgtool.NewSQL("DELETE FROM w.other")),
	}, p)
	before := hash(t, conn)
	wants(t, cs, "ship_wrongly", args{"below": 3, "to": "x"}, "internal error")
	wants(t, cs, "ship", args{"below": 100, "to": "x"}, "more than 15 rows", "nothing was changed")
	wants(t, cs, "ship", args{"below": 3, "to": "bad"}, "SQLSTATE 23514", "nothing was changed")
	wants(t, cs, "spy", args{}, "SQLSTATE 42501", "nothing was changed")
	if hash(t, conn) != before {
		t.Error("something was changed")
	}
	wants(t, cs, "ship", args{"below": 3, "to": "x"}, `{"rows":[{"id":1},{"id":2}],"truncated":false}`)
	if p.count() > 0 {
		t.Errorf("asked: %s", p.last())
	}
	wants(t, cs, "ship_asking", args{"below": 2, "to": "y' --"}, `{"rows":[{"id":1}]`)
	if !strings.Contains(p.last(), `• runs ship_asking with to = "y' --", below = "2"; rows affected: 1; in all: w.orders 1 updated`) {
		t.Errorf("asked: %s", p.last())
	}
	if got := pgtest.Ask[string](t, conn, "SELECT string_agg(status, ',' ORDER BY id) FROM w.orders WHERE id < 3"); got != "y' --,x" {
		t.Errorf("got %s", got)
	}
}

// A bomb panics when it is decoded.
type bomb string

func (*bomb) UnmarshalText([]byte) error    { panic("boom") }
func (b bomb) MarshalText() ([]byte, error) { return []byte(b), nil }

// TestNamedWritePanics loses neither the only connection nor the truth.
func TestNamedWritePanics(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, "", func(o *pgtool.WriteOptions) { o.MaxConns = 1 })
	type out struct {
		Status bomb `json:"status"`
	}
	statement := pgtool.NewSQL("UPDATE w.orders SET status = 'x' WHERE id = 1 RETURNING status")
	cs, _ := writeClient(t, append(pgtool.WriteTools(w),
		pgtool.NamedWrite[nothing, out](w, mcpsec.ToolSpec{Name: "bomb", Description: "x", Effect: mcpsec.Write}, statement)), &person{})
	before := hash(t, conn)
	for range 3 {
		wants(t, cs, "bomb", args{}, "internal error")
	}
	if hash(t, conn) != before {
		t.Error("something was changed")
	}
	wants(t, cs, "pg_insert", args{"table": "w.orders", "rows": []args{{"status": "fine"}}}, `"affected":1`)
}
