package pgtool

import (
	"context"
	"strconv"
	"sync"
)

// A kind is how the text of a value becomes JSON.
type kind uint8

const (
	textKind   kind = iota // a string as it is, also what is not listed
	boolKind               // true and false
	numberKind             // a number that every reader of JSON has exactly
	jsonKind               // embedded
	byteaKind              // base64
	timeKind               // RFC 3339
	arrayKind
)

// A typ is what has to be known of a type to write its values.
type typ struct {
	name  string
	kind  kind
	elem  uint32 // of an array
	delim byte   // between the elements of an array
}

// builtin are the types whose OIDs are the same in every server. int8, numeric
// and oid become strings: most readers of JSON round numbers beyond 2^53.
var builtin = func() map[uint32]typ {
	m := map[uint32]typ{
		16: {name: "bool", kind: boolKind}, 17: {name: "bytea", kind: byteaKind}, 18: {name: "char"}, 19: {name: "name"},
		20: {name: "int8"}, 21: {name: "int2", kind: numberKind}, 23: {name: "int4", kind: numberKind}, 25: {name: "text"},
		26: {name: "oid"}, 114: {name: "json", kind: jsonKind}, 142: {name: "xml"}, 600: {name: "point"}, 650: {name: "cidr"},
		700: {name: "float4", kind: numberKind}, 701: {name: "float8", kind: numberKind}, 790: {name: "money"}, 829: {name: "macaddr"},
		869: {name: "inet"}, 1042: {name: "bpchar"}, 1043: {name: "varchar"}, 1082: {name: "date"}, 1083: {name: "time"},
		1114: {name: "timestamp", kind: timeKind}, 1184: {name: "timestamptz", kind: timeKind}, 1186: {name: "interval"},
		1266: {name: "timetz"}, 1560: {name: "bit"}, 1562: {name: "varbit"}, 1700: {name: "numeric"}, 2205: {name: "regclass"},
		2206: {name: "regtype"}, 2249: {name: "record"}, 2278: {name: "void"}, 2950: {name: "uuid"}, 3614: {name: "tsvector"},
		3615: {name: "tsquery"}, 3802: {name: "jsonb", kind: jsonKind}, 3904: {name: "int4range"}, 3906: {name: "numrange"},
		3908: {name: "tsrange"}, 3910: {name: "tstzrange"}, 3912: {name: "daterange"}, 3926: {name: "int8range"}, 705: {name: "text"},
	}
	for array, elem := range map[uint32]uint32{
		1000: 16, 1001: 17, 1002: 18, 1003: 19, 1016: 20, 1005: 21, 1007: 23, 1009: 25, 1028: 26, 199: 114, 143: 142, 1017: 600,
		651: 650, 1021: 700, 1022: 701, 791: 790, 1040: 829, 1041: 869, 1014: 1042, 1015: 1043, 1182: 1082, 1183: 1083, 1115: 1114,
		1185: 1184, 1187: 1186, 1270: 1266, 1561: 1560, 1563: 1562, 1231: 1700, 2210: 2205, 2211: 2206, 2287: 2249, 2951: 2950,
		3643: 3614, 3645: 3615, 3807: 3802, 3905: 3904, 3907: 3906, 3909: 3908, 3911: 3910, 3913: 3912, 3927: 3926,
	} {
		m[array] = typ{name: m[elem].name + "[]", kind: arrayKind, elem: elem, delim: ','}
	}
	return m
}()

// types knows the other types that the database has shown so far.
type types struct {
	mu sync.RWMutex
	m  map[uint32]typ
}

// maxTypes bounds what types keeps, in a database where types come and go.
const maxTypes = 10_000

// of returns what is known of a type.
func (ts *types) of(oid uint32) (typ, bool) {
	if t, ok := builtin[oid]; ok {
		return t, true
	}
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	t, ok := ts.m[oid]
	return t, ok
}

func (ts *types) add(oid uint32, t typ) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.m == nil || len(ts.m) >= maxTypes {
		ts.m = map[uint32]typ{}
	}
	ts.m[oid] = t
}

// typesSQL describes types, and the types of their elements. A domain over an
// array is not an array here: the server reports a column as of its base type,
// also that of a domain over a domain, and so do we for elements.
const typesSQL = `
SELECT t.oid, format_type(t.oid, NULL), e.oid, e.typdelim
FROM unnest($1::oid[]) AS o(oid)
JOIN pg_type t ON t.oid = o.oid
LEFT JOIN pg_type a ON a.oid = t.oid AND a.typcategory = 'A' AND a.typelem <> 0
LEFT JOIN pg_type x ON x.oid = a.typelem
LEFT JOIN pg_type e ON e.oid = (
	WITH RECURSIVE b AS (
		SELECT x.oid, x.typtype, x.typbasetype
		UNION ALL SELECT y.oid, y.typtype, y.typbasetype FROM b JOIN pg_type y ON y.oid = b.typbasetype WHERE b.typtype = 'd'
	) SELECT b.oid FROM b WHERE b.typtype <> 'd')`

// learn asks for the types of a result that are not known yet, at most twice:
// an array's element may be one.
func (db *DB) learn(ctx context.Context, fields []field) error {
	oids := make([]uint32, len(fields))
	for i, f := range fields {
		oids[i] = f.oid
	}
	for range 2 {
		var list []byte
		for _, oid := range oids {
			if _, ok := db.types.of(oid); !ok {
				list = strconv.AppendUint(append(list, ','), uint64(oid), 10)
			}
		}
		if list == nil {
			return nil
		}
		list[0] = '{'
		r, err := db.query(ctx, &query{sql: typesSQL, own: true, anyone: true, args: [][]byte{append(list, '}')}, maxRows: 10_000, maxBytes: 4 << 20})
		if err != nil {
			return err
		}
		oids = oids[:0]
		r.each(func(v [][]byte) bool {
			t := typ{name: string(v[1])}
			if len(v[3]) == 1 {
				t.kind, t.elem, t.delim = arrayKind, parseOID(v[2]), v[3][0]
				oids = append(oids, t.elem)
			}
			db.types.add(parseOID(v[0]), t)
			return true
		})
	}
	return nil
}

func parseOID(text []byte) uint32 {
	n, _ := strconv.ParseUint(string(text), 10, 32) // 0, which is no type, if the server writes nonsense
	return uint32(n)
}
