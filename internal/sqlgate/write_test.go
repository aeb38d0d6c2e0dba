package sqlgate

import "testing"

func TestWrite(t *testing.T) {
	t.Parallel()
	for sql, main := range map[string]int{
		"INSERT INTO t (a) VALUES (1);": 0,
		"UPDATE t SET a = 1":            0,
		"delete from t":                 0,
		"MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE":                 0,
		"WITH x AS (SELECT 1) DELETE FROM t":                                    7,
		"WITH RECURSIVE x(a) AS (SELECT 1), y AS (VALUES (1)) UPDATE t SET a=1": 20,
		"WITH insert AS (SELECT 1) INSERT INTO t SELECT 1":                      7,
	} {
		s, err := Check(sql, Options{Write: true})
		if err != nil || s.Kind != Write || s.Main != main {
			t.Errorf("%s: got %d of kind %d, %v", sql, s.Main, s.Kind, err)
		}
		if _, err := Check(sql, Options{}); err == nil {
			t.Errorf("%s: is no query", sql)
		}
	}
	for sql, want := range map[string]string{
		"SELECT 1": badWrite, "VALUES (1)": badWrite, "TABLE t": badWrite, "(DELETE FROM t)": badWrite, "WITH x AS (SELECT 1) SELECT 1": badWrite,
		"WITH x AS (SELECT 1) (DELETE FROM t)": badWrite, "COMMIT": badWrite, "EXPLAIN DELETE FROM t": badWrite, "SHOW work_mem": badWrite, "WITH x AS (SELECT 1)": badWrite,
		"WITH x AS (DELETE FROM t) DELETE FROM t": badBody, "WITH x AS (WITH y AS (UPDATE t SET a = 1) SELECT 1) DELETE FROM t": badBody,
		"INSERT INTO t (a) (WITH y AS (DELETE FROM t) SELECT 1)": badBody, "UPDATE t SET a = (WITH y AS (DELETE FROM t) SELECT 1)": badBody,
		"INSERT INTO t SELECT 1 INTO u": writeNoInto, "UPDATE t SET a = (SELECT 1 INTO u)": writeNoInto, "DELETE FROM t WHERE (SELECT 1 FROM u FOR UPDATE) = 1": writeNoLock,
		"DELETE FROM t; DELETE FROM t": manyStatements, "DELETE FROM t WHERE (true": unbalanced, `DELETE FROM U&"t"`: noUnicodeName,
	} {
		_, err := Check(sql, Options{Write: true})
		if r, ok := err.(*Refusal); !ok || r.Reason != want {
			t.Errorf("%s: got %v, want %s", sql, err, want)
		}
	}
}
