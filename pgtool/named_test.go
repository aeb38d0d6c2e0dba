package pgtool

import (
	"fmt"
	"go/token"
	"reflect"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type findIn struct {
	ID   int64    `json:"id"`
	Name *string  `json:"name" validate:"omitempty,max=50"`
	Tags []string `json:"tags" validate:"max=5"`
}

type foundOrder struct {
	ID int64 `json:"id"`
}

func panics(f func()) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprint(v)
		}
	}()
	f()
	return ""
}

func TestNamedParameters(t *testing.T) {
	t.Parallel()
	n, err := newNamed[findIn, foundOrder](NewSQL("SELECT ':id', \":id\", x[1 : 2], y::int /* :no */ FROM t WHERE a=:tags AND id = :id AND (:name IS NULL OR name = :name) AND id<:id"))
	if err != nil {
		t.Fatal(err)
	}
	want := "SELECT ':id', \":id\", x[1 : 2], y::int /* :no */ FROM t WHERE a=$1 AND id = $2 AND ($3 IS NULL OR name = $3) AND id<$2"
	if n.sql != want {
		t.Errorf("\n got %s\nwant %s", n.sql, want)
	}
	args, err := n.args(findIn{ID: 9007199254740993, Tags: []string{`a"b`, "", "NULL"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%q", args); got != `["{\"a\\\"b\",\"\",\"NULL\"}" "9007199254740993" ""]` || args[2] != nil {
		t.Errorf("got %s", got)
	}
}

// A named query that cannot be meant is foundOrder at start.
func TestNamedRefuses(t *testing.T) {
	t.Parallel()
	db, w := &DB{}, &Writer{db: &DB{}}
	spec := mcpsec.ToolSpec{Name: "find", Description: "x"}
	write := spec
	write.Effect = mcpsec.Write
	type id struct {
		ID int64 `json:"id"`
	}
	type odd struct {
		ID chan int `json:"id"`
	}
	for want, f := range map[string]func(){
		`no member for :nosuch`:            func() { NamedQuery[id, foundOrder](db, spec, NewSQL("SELECT :nosuch, :id")) },
		`does not use the input's member`:  func() { NamedQuery[id, foundOrder](db, spec, NewSQL("SELECT 1 AS id")) },
		`parameters have names`:            func() { NamedQuery[id, foundOrder](db, spec, NewSQL("SELECT $1 AS id")) },
		`DELETE is not allowed`:            func() { NamedQuery[id, foundOrder](db, spec, NewSQL("DELETE FROM t WHERE id = :id")) },
		`more than one statement`:          func() { NamedQuery[id, foundOrder](db, spec, NewSQL("SELECT :id; COMMIT")) },
		`the Effect must be Read`:          func() { NamedQuery[id, foundOrder](db, write, NewSQL("SELECT :id AS id")) },
		`type chan int is no parameter`:    func() { NamedQuery[odd, foundOrder](db, spec, NewSQL("SELECT :id AS id")) },
		`type chan int holds no column`:    func() { NamedQuery[id, odd](db, spec, NewSQL("SELECT :id AS id")) },
		`must be a struct`:                 func() { NamedQuery[id, int](db, spec, NewSQL("SELECT :id AS id")) },
		`the Effect must be Write or`:      func() { NamedWrite[id, foundOrder](w, spec, NewSQL("DELETE FROM t WHERE id = :id")) },
		`must begin with INSERT`:           func() { NamedWrite[id, foundOrder](w, write, NewSQL("COMMIT -- :id\n /* :id */ AND :id")) },
		`without a semicolon`:              func() { NamedWrite[id, foundOrder](w, write, NewSQL("DELETE FROM t WHERE id = :id; COMMIT")) },
		`must begin with INSERT, UPDATE, `: func() { NamedWrite[id, foundOrder](w, write, NewSQL("TRUNCATE t, :id")) },
	} {
		if got := panics(f); !strings.Contains(got, want) || !strings.Contains(got, `"find"`) {
			t.Errorf("got %q, want %s", got, want)
		}
	}
}

// TestSQLTakesConstantsOnly looks at the parameter of NewSQL: a type without a
// name outside takes no variable.
func TestSQLTakesConstantsOnly(t *testing.T) {
	t.Parallel()
	in := reflect.TypeOf(NewSQL).In(0)
	if in.Kind() != reflect.String || in.PkgPath() == "" || token.IsExported(in.Name()) {
		t.Errorf("NewSQL takes a %s", in)
	}
	if f := reflect.TypeFor[SQL]().Field(0); f.IsExported() {
		t.Errorf("SQL has the field %s", f.Name)
	}
}
