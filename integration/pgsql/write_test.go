package pgsql

import (
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// unasked lets updates through without a person.
func unasked(o *pgtool.WriteOptions) { o.Overwrite = mcpsec.Write }

func TestWriteInsert(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, "", nil)
	p := &person{}
	cs, _ := writeClient(t, pgtool.WriteTools(w), p)
	wants(t, cs, "pg_insert", args{"table": "w.orders", "rows": []args{
		{"status": "open", "total": "12345678.10", "tags": []string{"a", "b,c"}, "meta": args{"n": 1}},
		{"status": "paid", "at": "2024-01-01T00:00:00+02:00"},
	}, "returning": []string{"id", "status", "total", "tags", "meta", "at"}},
		`"affected":2`, `"tables":[{"table":"w.orders","inserted":2,"updated":0,"deleted":0}]`,
		`["100","open","12345678.10",["a","b,c"],{"n":1},null],["101","paid",null,null,null,"2023-12-31T22:00:00Z"]`)
	if got := pgtest.Ask[string](t, conn, "SELECT string_agg(hidden, ',') FROM w.orders WHERE id >= 100"); got != "CANARY-9f1c,CANARY-9f1c" {
		t.Errorf("defaults: got %s", got)
	}
	wants(t, cs, "pg_insert", args{"table": "w.items", "rows": []args{{"order_id": 1, "name": "x"}}, "returning": []string{"id"}}, `"rows":[[61]]`)
	if p.count() > 0 {
		t.Errorf("a person was asked: %s", p.last())
	}
	before := hash(t, conn)
	wants(t, cs, "pg_insert", args{"table": "w.orders", "rows": []args{{"status": "open"}, {"status": "bad"}}}, "a value breaks a rule of the table (SQLSTATE 23514); nothing was changed")
	if hash(t, conn) != before {
		t.Error("half of it was done")
	}
}

func TestWriteUpdate(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, "", unasked)
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{no: true})
	wants(t, cs, "pg_update", args{"table": "w.orders", "set": args{"status": "shipped", "total": nil}, "where": where("id", "between", []any{1, "3"}), "returning": []string{"id", "status", "total"}},
		`"affected":3`, `["1","shipped",null]`, `"updated":3`)
	if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.orders WHERE total IS NULL"); n != 3 {
		t.Errorf("got %d rows", n)
	}
	wants(t, cs, "pg_update", args{"table": "w.orders", "set": args{"status": "x"}, "where": where("id", "eq", 999)}, `"affected":0`, `"tables":[]`)
}

// TestWriteExpect is two people with the same row on their screens.
func TestWriteExpect(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, "", unasked)
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{})
	key := []args{{"column": "id", "op": "eq", "value": 7}, {"column": "version", "op": "eq", "value": 1}}
	update := args{"table": "w.orders", "set": args{"status": "mine", "version": 2}, "where": key, "expect": 1}
	wants(t, cs, "pg_update", update, `"affected":1`)
	update["set"] = args{"status": "yours", "version": 2}
	wants(t, cs, "pg_update", update, "it would change 0 rows of w.orders and not 1", "nothing was changed")
	if got := pgtest.Ask[string](t, conn, "SELECT status FROM w.orders WHERE id = 7"); got != "mine" {
		t.Errorf("got %s", got)
	}
	before := hash(t, conn)
	wants(t, cs, "pg_update", args{"table": "w.orders", "set": args{"status": "x"}, "where": where("id", "le", 3), "expect": 2}, "it would change 3 rows of w.orders and not 2")
	if hash(t, conn) != before {
		t.Error("something was changed")
	}
}

func TestWriteUpsert(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, "", nil)
	p := &person{}
	cs, _ := writeClient(t, pgtool.WriteTools(w), p)
	wants(t, cs, "pg_upsert", args{"table": "w.settings", "rows": []args{{"key": "a", "value": "9"}, {"key": "c", "value": "3"}}, "returning": []string{"key"}},
		`"affected":2`, `"inserted":1,"updated":1`, `["a"],["c"]`)
	if !strings.Contains(p.last(), `inserts or overwrites 2 rows of w.settings by key: key = "a", value = "9"; key = "c", value = "3"; in all: w.settings 1 inserted, 1 updated`) {
		t.Errorf("asked: %s", p.last())
	}
	if got := pgtest.Ask[string](t, conn, "SELECT string_agg(s::text, ' ' ORDER BY key) FROM w.settings s"); got != "(a,9,old) (b,2,old) (c,3,new)" {
		t.Errorf("got %s", got)
	}
	for _, test := range []struct {
		rows []args
		want string
	}{
		{[]args{{"value": "9"}}, "each row needs a value for the key: key"},
		{[]args{{"key": "a"}}, "beside the key"},
		{[]args{{"key": "a", "value": "1"}, {"key": "b"}}, "the same columns"},
		{[]args{{"key": "a", "value": "1"}, {"key": "a", "value": "2"}}, "two of the rows have the same key (SQLSTATE 21000)"},
	} {
		wants(t, cs, "pg_upsert", args{"table": "w.settings", "rows": test.rows}, test.want)
	}
}

func TestWriteDeleteIsConfirmed(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, "", nil)
	p := &person{no: true}
	cs, _ := writeClient(t, pgtool.WriteTools(w), p)
	before := hash(t, conn)
	request := args{"table": "w.orders", "where": []args{
		{"column": "status", "op": "eq", "value": "open"}, {"column": "id", "op": "lt", "value": 10},
		{"column": "total", "op": "gt", "value": 1, "or": []args{{"column": "at", "op": "not_null"}, {"column": "status", "op": "eq", "value": "x", "not": true}}},
	}}
	wants(t, cs, "pg_delete", request, "the person who was asked said no")
	want := `• deletes 3 rows of w.orders where status = "open" and id < 10 and (total > 1 or at is not null or not (status = "x")); in all: w.items 6 deleted; w.orders 3 deleted`
	if !strings.Contains(p.last(), want) || !strings.Contains(p.last(), "It cannot be undone") {
		t.Errorf("\n got %s\nwant %s", p.last(), want)
	}
	if hash(t, conn) != before {
		t.Error("a question has changed something")
	}
	p.no = false
	wants(t, cs, "pg_delete", request, `"affected":3`, `{"table":"w.items","inserted":0,"updated":0,"deleted":6}`)
	if n := pgtest.Ask[int](t, conn, "SELECT count(*) FROM w.orders"); n != 27 {
		t.Errorf("%d orders are left", n)
	}
	// Nobody can hide what a value is.
	p.no = true
	tell(t, cs, "pg_delete", args{"table": "w.orders", "where": where("status", "ne", "x\" or 1 row\n• deletes nothing\u202e")})
	if !strings.Contains(p.last(), `status <> "x\" or 1 row\n• deletes nothing`) || strings.Contains(p.last(), "\u202e") || strings.Count(p.last(), "\n") != 1 {
		t.Errorf("asked: %s", p.last())
	}
}

// TestWriteCountIsCheckedAgain changes rows while a person thinks.
func TestWriteCountIsCheckedAgain(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2025-11-25", "2026-07-28"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			testCountIsCheckedAgain(t, version)
		})
	}
}

func testCountIsCheckedAgain(t *testing.T, version string) {
	w, conn := writer(t, "", nil)
	p := &person{}
	cs, _ := writeClientOf(t, pgtool.WriteTools(w), p, version)
	p.before = func() {
		if len(p.asked) == 1 {
			pgtest.Exec(t, conn, "INSERT INTO w.orders (id, status) VALUES (1000, 'open')")
		}
	}
	wants(t, cs, "pg_delete", args{"table": "w.orders", "where": where("status", "eq", "open")}, `"affected":11`)
	if p.count() != 2 || !strings.Contains(p.asked[0], "deletes 10 rows") || !strings.Contains(p.asked[1], "deletes 11 rows") {
		t.Errorf("asked: %q", p.asked)
	}
}

// TestWriteCountIsCheckedLast has a trigger that does more when it runs for the
// third time, after the question and after the yes: in the run that would count.
func TestWriteCountIsCheckedLast(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, `CREATE SEQUENCE w.runs; CREATE FUNCTION w.more() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$BEGIN
		IF nextval('w.runs') >= 3 THEN INSERT INTO w.other VALUES (2); END IF; RETURN OLD; END$$;
		CREATE TRIGGER more BEFORE DELETE ON w.orders FOR EACH ROW EXECUTE FUNCTION w.more()`, nil)
	p := &person{}
	cs, _ := writeClient(t, pgtool.WriteTools(w), p)
	before := hash(t, conn)
	wants(t, cs, "pg_delete", args{"table": "w.orders", "where": where("id", "eq", 1)}, "the rows have changed since they were counted", "w.other 1 inserted", "nothing was changed")
	if p.count() != 1 || hash(t, conn) != before {
		t.Errorf("asked %d times; changed: %v", p.count(), hash(t, conn) != before)
	}
}

func TestWriteMaxAffected(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, "", func(o *pgtool.WriteOptions) { o.Overwrite, o.MaxAffected = mcpsec.Write, 10 })
	cs, _ := writeClient(t, pgtool.WriteTools(w), &person{})
	before := hash(t, conn)
	all := where("id", "gt", 0)
	for _, returning := range [][]string{{}, {"id"}} {
		for _, tool := range []string{"pg_delete", "pg_update"} {
			a := args{"table": "w.orders", "where": all, "returning": returning}
			if tool == "pg_update" {
				a["set"] = args{"status": "x"}
			}
			wants(t, cs, tool, a, "more than 10 rows")
		}
	}
	wants(t, cs, "pg_delete", args{"table": "w.orders", "where": where("id", "le", 4)}, "more than 10 rows") // with 8 items
	if hash(t, conn) != before {
		t.Error("something was changed")
	}
	wants(t, cs, "pg_delete", args{"table": "w.orders", "where": where("id", "le", 3)}, `"affected":3`)
	wants(t, cs, "pg_update", args{"table": "w.orders", "set": args{"status": "x"}, "where": where("id", "le", 13), "returning": []string{"id"}}, `"affected":10`)
}

func TestWriteDryRun(t *testing.T) {
	t.Parallel()
	w, conn := writer(t, "", nil)
	p := &person{}
	cs, _ := writeClient(t, pgtool.WriteTools(w), p)
	before := hash(t, conn)
	wants(t, cs, "pg_dry_run", args{"operation": "delete", "table": "w.orders", "where": where("id", "in", []any{1, 2})}, `deletes 2 rows of w.orders where id in [1,2]; in all: w.items 4 deleted; w.orders 2 deleted`)
	wants(t, cs, "pg_dry_run", args{"operation": "update", "table": "w.orders", "set": args{"status": "y"}, "where": where("id", "eq", 1)}, `updates 1 row of w.orders set status = \"y\" where id = 1"`)
	wants(t, cs, "pg_dry_run", args{"operation": "insert", "table": "w.items", "rows": []args{{"order_id": 1}}}, `inserts 1 row of w.items"`)
	wants(t, cs, "pg_dry_run", args{"operation": "upsert", "table": "w.settings", "rows": []args{{"key": "a", "value": "z"}}}, "1 updated")
	wants(t, cs, "pg_dry_run", args{"operation": "insert", "table": "w.items", "rows": []args{{"order_id": 4711}}}, "SQLSTATE 23503")
	wants(t, cs, "pg_dry_run", args{"operation": "delete", "table": "w.orders"}, "a delete where")
	wants(t, cs, "pg_dry_run", args{"operation": "delete", "table": "w.other", "where": where("id", "eq", 1)}, "not allowed")
	// A schema that is shown in brief takes no more than the whole one.
	either := func(c args) []args {
		return []args{{"column": "id", "op": "eq", "value": 1, "or": []args{c}}}
	}
	for _, w := range [][]args{
		{{"column": "id", "op": "eq", "value": 1, "x": 1}}, {{"column": "id", "op": "or"}}, {{"op": "is_null"}},
		either(args{"column": "id", "op": "eq", "value": 1, "x": 1}), either(args{"column": "id", "op": "or"}), either(args{"op": "is_null"}),
	} {
		wants(t, cs, "pg_dry_run", args{"operation": "delete", "table": "w.orders", "where": w}, "invalid arguments")
		wants(t, cs, "pg_delete", args{"table": "w.orders", "where": w}, "invalid arguments")
	}
	if hash(t, conn) != before || p.count() > 0 {
		t.Errorf("something was changed, or %d questions asked", p.count())
	}
}

func BenchmarkWrite(b *testing.B) {
	w, _ := writer(b, "", unasked)
	cs, _ := writeClient(b, pgtool.WriteTools(w), &person{})
	b.Run("insert", func(b *testing.B) {
		for b.Loop() {
			tell(b, cs, "pg_insert", args{"table": "w.orders", "rows": []args{{"status": "x", "total": "1.5"}}})
		}
	})
	b.Run("update", func(b *testing.B) {
		for b.Loop() {
			tell(b, cs, "pg_update", args{"table": "w.orders", "set": args{"status": "y"}, "where": where("id", "eq", 1)})
		}
	})
	b.Run("delete with a question", func(b *testing.B) {
		for b.Loop() {
			tell(b, cs, "pg_delete", args{"table": "w.orders", "where": where("id", "eq", 1)})
		}
	})
}
