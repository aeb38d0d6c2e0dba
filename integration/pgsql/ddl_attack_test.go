package pgsql

import (
	"net/url"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// hostile are texts that are refused although every kind of change is allowed.
var hostileDDL = []string{
	// Statements that define nothing.
	"SELECT 1", "SELECT pg_sleep(1)", "INSERT INTO s.harmed VALUES (1)", "UPDATE s.orders SET note = ''", "DELETE FROM s.orders", "TRUNCATE s.orders", "TRUNCATE TABLE s.orders CASCADE",
	"MERGE INTO s.orders USING s.items ON true WHEN MATCHED THEN DELETE", "WITH x AS (DELETE FROM s.orders RETURNING *) SELECT * FROM x", "VALUES (1)", "TABLE s.orders", "EXPLAIN ANALYZE DELETE FROM s.orders",
	"COPY s.orders TO STDOUT", "COPY s.harmed FROM PROGRAM 'id'", "DO $$BEGIN DELETE FROM s.orders; END$$", "DO LANGUAGE plpgsql 'BEGIN NULL; END'", "CALL s.p()", "EXECUTE x", "PREPARE x AS SELECT 1", "DEALLOCATE ALL", "DECLARE c CURSOR FOR SELECT 1", "FETCH ALL FROM c", "CLOSE ALL", "MOVE c",
	"BEGIN", "START TRANSACTION", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT a", "RELEASE a", "ROLLBACK TO a", "PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "COMMIT AND CHAIN",
	"SET role = postgres", "SET SESSION AUTHORIZATION postgres", "SET LOCAL search_path = o", "SET search_path TO o", "SET CONSTRAINTS ALL DEFERRED", "SET TRANSACTION READ ONLY", "RESET ALL", "RESET ROLE", "DISCARD ALL", "SHOW all", "LOAD 'x'", "LISTEN x", "NOTIFY x", "UNLISTEN *", "LOCK TABLE s.orders", "VACUUM", "VACUUM FULL s.orders", "ANALYZE", "CHECKPOINT", "CLUSTER s.orders", "REINDEX TABLE s.orders", "REFRESH MATERIALIZED VIEW s.m", "IMPORT FOREIGN SCHEMA x FROM SERVER y INTO s", "SECURITY LABEL ON TABLE s.orders IS 'x'",
	// Objects of the server, or that run things, or that reach outside.
	"CREATE EXTENSION dblink", "ALTER EXTENSION plpgsql ADD TABLE s.orders", "CREATE LANGUAGE plpython3u", "CREATE SERVER x FOREIGN DATA WRAPPER postgres_fdw", "CREATE FOREIGN DATA WRAPPER x", "CREATE FOREIGN TABLE s.f (id int) SERVER x", "CREATE USER MAPPING FOR public SERVER x", "ALTER USER MAPPING FOR public SERVER x OPTIONS (SET password 'x')", "DROP USER MAPPING FOR public SERVER x",
	"CREATE SUBSCRIPTION x CONNECTION 'host=h' PUBLICATION p", "CREATE PUBLICATION x FOR ALL TABLES", "CREATE EVENT TRIGGER x ON ddl_command_end EXECUTE FUNCTION s.touch()", "ALTER EVENT TRIGGER x DISABLE", "DROP EVENT TRIGGER x", "CREATE TABLESPACE x LOCATION '/tmp'", "CREATE DATABASE x", "DROP DATABASE postgres", "ALTER DATABASE postgres SET x = 1", "ALTER SYSTEM SET fsync = off", "ALTER SYSTEM RESET ALL",
	"CREATE RULE r AS ON SELECT TO s.orders DO INSTEAD SELECT * FROM o.secret", "CREATE OR REPLACE RULE r AS ON INSERT TO s.orders DO ALSO DELETE FROM s.items", "DROP RULE r ON s.orders", "ALTER RULE r ON s.orders RENAME TO x", "CREATE OPERATOR s.+ (LEFTARG = int, RIGHTARG = int, FUNCTION = s.harm)", "CREATE CAST (int AS text) WITH FUNCTION s.harm()", "CREATE AGGREGATE s.a (int) (SFUNC = int4pl, STYPE = int)", "CREATE ACCESS METHOD x TYPE TABLE HANDLER y", "CREATE COLLATION s.c FROM \"C\"", "CREATE CONVERSION s.c FOR 'UTF8' TO 'LATIN1' FROM x", "CREATE TEXT SEARCH TEMPLATE s.t (LEXIZE = x)", "CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION x(internal))", "CREATE STATISTICS s.st ON id, note FROM s.orders", "CREATE SCHEMA x", "CREATE SCHEMA x CREATE TABLE y (id int) GRANT ALL ON y TO PUBLIC", "DROP SCHEMA s CASCADE", "ALTER SCHEMA s OWNER TO postgres", "ALTER SCHEMA s RENAME TO x", "DROP OWNED BY postgres", "REASSIGN OWNED BY postgres TO x", "ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT ALL ON TABLES TO PUBLIC", "ALTER LARGE OBJECT 1 OWNER TO x",
	"CREATE TYPE s.r AS RANGE (subtype = int4, subtype_diff = s.harm)", "CREATE TYPE s.b (INPUT = s.harm, OUTPUT = s.harm)", "CREATE TYPE s.shell", "ALTER TYPE s.mood OWNER TO postgres", "ALTER TYPE s.mood SET (RECEIVE = s.harm)",
	// A second thing in the same text.
	"CREATE TABLE s.x (id int); DROP DATABASE postgres", "CREATE TABLE s.x (id int); COMMIT; DROP TABLE s.orders", "ALTER TABLE s.orders ADD COLUMN x int; SELECT s.harm()", ";; COMMIT", "/* ; */ COMMIT", "-- x\rCOMMIT", "CREATE /* nested /* comment */ */ EXTENSION dblink", "CREATE--\nEXTENSION dblink", "ALTER TABLE s.orders ADD COLUMN x int, OWNER TO postgres", "ALTER TABLE s.orders ADD COLUMN x text DEFAULT 'a'; RESET ROLE",
	"COMMENT ON TABLE s.orders IS 'a\\'; COMMIT; --'", "COMMENT ON TABLE s.orders IS E'a\\''; COMMIT; --'", "COMMENT ON TABLE s.orders IS $a$ $b$ $a$; COMMIT",
	// Names that look like others.
	`CREATE TABLE U&"\0073".x (id int)`, `CREATE TABLE s.U&"x" (id int)`, `ALTER TABLE "S".orders ADD COLUMN x int`, `"CREATE" TABLE s.x (id int)`, `CREATE "table" s.x (id int)`, `ALTER "TABLE" s.orders ADD x int`, "CREATE TABLE s." + strings.Repeat("x", 64) + " (id int)", "ＣＲＥＡＴＥ TABLE s.x (id int)", "CREATE\u00a0TABLE s.x (id int)", "CREATE TABLE \u200bs.x (id int)", "CREATE TABLE $1 (id int)", "CREATE TABLE s.\"\" (id int)", "CREATE TABLE s.x (id int", "CREATE TABLE s.x (id int))", "CREATE TABLE s.x (id int]", "CREATE TABLE s.x ('id' int", "CREATE TABLE s.x (id int) /* open",
	// Kinds that hide in others, or behind them.
	"CREATE TABLE s.x AS SELECT * FROM o.secret", "CREATE TABLE s.x AS EXECUTE y", "CREATE TABLE s.x (id) AS SELECT s.harm()", "CREATE TEMP TABLE x (id int)", "CREATE TEMPORARY TABLE orders (id int)", "CREATE TABLE pg_temp.x (id int)", "CREATE GLOBAL TEMP TABLE x (id int)", "CREATE TABLE s.x (id int) TABLESPACE pg_default", "CREATE TABLE s.x (id int) USING heap", "CREATE TABLE s.x (id int) WITH (user_catalog_table = true)", "CREATE TABLE s.x OF s.t", "CREATE TABLE s.x (id int) ON COMMIT DROP",
	"ALTER TABLE s.orders OWNER TO postgres", "ALTER TABLE s.orders SET SCHEMA o", "ALTER TABLE s.orders SET TABLESPACE x", "ALTER TABLE s.orders SET ACCESS METHOD heap", "ALTER TABLE s.orders INHERIT o.secret", "ALTER TABLE s.orders REPLICA IDENTITY FULL", "ALTER TABLE s.orders ENABLE RULE r", "ALTER TABLE s.orders DISABLE RULE \"_RETURN\"", "ALTER TABLE s.orders DISABLE TRIGGER ALL", "ALTER TABLE s.orders ENABLE REPLICA TRIGGER t", "ALTER TABLE s.orders ENABLE ALWAYS TRIGGER t", "ALTER TABLE s.orders CLUSTER ON orders_pkey", "ALTER TABLE s.orders SET UNLOGGED", "ALTER TABLE s.open_orders SET (security_invoker = false)", "ALTER TABLE s.open_orders RESET (security_barrier)", "ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE x", "ALTER TABLE s.orders OPTIONS (ADD x 'y')", "ALTER TABLE s.orders ALTER COLUMN note OPTIONS (ADD x 'y')", "ALTER TABLE s.orders OF s.mood",
	"ALTER VIEW s.open_orders OWNER TO postgres", "ALTER VIEW s.open_orders SET (security_invoker = false)", "ALTER VIEW s.open_orders ALTER COLUMN id SET DEFAULT s.harm()", "ALTER FUNCTION s.touch() SECURITY DEFINER", "ALTER FUNCTION s.touch() OWNER TO postgres", "ALTER FUNCTION s.touch() SET role = postgres", "ALTER ROUTINE s.touch() RESET ALL", "ALTER SEQUENCE s.orders_id_seq OWNER TO postgres", "ALTER INDEX s.orders_pkey SET TABLESPACE x", "ALTER INDEX s.orders_pkey ATTACH PARTITION o.i", "ALTER TRIGGER t ON s.orders DEPENDS ON EXTENSION x", "ALTER POLICY own ON o.secret USING (true)",
	"CREATE VIEW s.v AS SELECT * FROM o.secret", "CREATE VIEW s.v AS SELECT s.harm()", "CREATE VIEW s.v AS SELECT pg_read_file('/etc/passwd')", "CREATE VIEW s.v AS SELECT rolpassword FROM pg_authid", "CREATE VIEW s.v AS SELECT 1 INTO x", "CREATE VIEW s.v AS WITH x AS (DELETE FROM s.orders RETURNING 1) SELECT * FROM x", "CREATE VIEW s.v AS SELECT 1 FROM s.orders FOR UPDATE", "CREATE VIEW s.v WITH (security_barrier = false) AS SELECT 1", "CREATE VIEW s.v WITH (check_option = local) AS SELECT 1", "CREATE TEMP VIEW orders AS SELECT 1", "CREATE RECURSIVE VIEW s.v (n) AS SELECT 1", "CREATE VIEW s.v AS DELETE FROM s.orders", "CREATE VIEW s.v AS EXPLAIN SELECT 1", "CREATE VIEW o.v AS SELECT 1", "CREATE MATERIALIZED VIEW s.m AS SELECT s.harm()", "CREATE MATERIALIZED VIEW s.m AS SELECT pg_sleep(60)", "CREATE MATERIALIZED VIEW s.m TABLESPACE x AS SELECT 1", "CREATE MATERIALIZED VIEW s.m AS SELECT query FROM pg_stat_activity",
	// What runs at once or later.
	"CREATE TABLE s.x (id int DEFAULT s.harm())", "CREATE TABLE s.x (id int DEFAULT harm())", "CREATE TABLE s.x (id int CHECK (s.harm() = 1))", "ALTER TABLE s.orders ADD COLUMN x int DEFAULT s.harm()", "ALTER TABLE s.orders ADD COLUMN x int DEFAULT pg_sleep(60)::text::int", "ALTER TABLE s.orders ALTER COLUMN note SET DEFAULT pg_read_file('/etc/passwd')", "ALTER TABLE s.orders ALTER COLUMN note SET DEFAULT set_config('role', 'postgres', false)", "ALTER TABLE s.orders ALTER COLUMN note TYPE int USING s.harm()", "ALTER TABLE s.orders ALTER COLUMN note SET DEFAULT (lo_import('/etc/passwd'))::text", "ALTER TABLE s.orders ADD CHECK (s.harm() = 1)", "ALTER TABLE s.orders ALTER note SET DEFAULT query_to_xml('DELETE FROM s.orders', true, true, '')::text", "ALTER TABLE s.orders ADD COLUMN x bool DEFAULT pg_terminate_backend(1)", "ALTER TABLE s.orders ADD COLUMN x int8 DEFAULT nextval('s.orders_id_seq')", "ALTER TABLE s.orders ADD COLUMN x text DEFAULT dblink_exec('host=h', 'x')::text || pg_ls_dir('/')::text",
	"CREATE INDEX i ON s.orders (s.harm())", "CREATE INDEX i ON s.orders ((id + s.harm()))", "CREATE INDEX i ON s.orders (id) WHERE s.harm() = 1", "CREATE INDEX i ON s.orders (id) TABLESPACE x", "CREATE INDEX i ON o.secret (id)", "CREATE DOMAIN s.d AS int CHECK (s.harm() = VALUE)", "CREATE DOMAIN s.d AS int DEFAULT s.harm()", "ALTER DOMAIN s.d SET DEFAULT s.harm()", "ALTER DOMAIN s.d OWNER TO postgres", "CREATE POLICY p ON s.orders USING (s.harm() = 1)", "CREATE POLICY p ON s.orders USING (true) WITH CHECK ((SELECT count(*) FROM o.secret) > 0)", "CREATE POLICY p ON s.orders USING ((SELECT 1 FROM s.items FOR UPDATE) = 1)", "CREATE POLICY p ON s.orders USING (pg_advisory_lock(1) IS NULL)", "CREATE POLICY p ON o.secret USING (true)", "CREATE POLICY p ON s.orders TO postgres USING (true)",
	"CREATE TRIGGER t BEFORE INSERT ON s.orders FOR EACH ROW WHEN (s.harm() = 1) EXECUTE FUNCTION s.touch()", "CREATE TRIGGER t BEFORE INSERT ON s.orders FOR EACH ROW EXECUTE FUNCTION o.f()", "CREATE TRIGGER t BEFORE INSERT ON o.secret FOR EACH ROW EXECUTE FUNCTION s.touch()", "CREATE TRIGGER t AFTER INSERT ON s.orders EXECUTE FUNCTION pg_catalog.lo_manage()",
	"CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE s.x (id int DEFAULT s.f())", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER TABLE s.orders ADD COLUMN x int DEFAULT f()", "CREATE FUNCTION s.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE MATERIALIZED VIEW s.m AS SELECT (id).f FROM s.orders", "CREATE FUNCTION s.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE MATERIALIZED VIEW s.m AS SELECT \"f\"(1)",
	// Functions.
	"CREATE FUNCTION s.f() RETURNS int LANGUAGE c AS 'libc', 'system'", "CREATE FUNCTION s.f() RETURNS int LANGUAGE internal AS 'pg_sleep'", "CREATE FUNCTION s.f() RETURNS int LANGUAGE plpython3u AS 'x'", "CREATE FUNCTION s.f() RETURNS int LANGUAGE 'c' AS 'x'", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql RETURN 1", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = s AS 'SELECT 1'", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT 1'", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_temp, s AS 'SELECT 1'", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS 'SELECT 1'", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = \"$user\", pg_temp AS 'SELECT 1'", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS 'SELECT 1'", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql EXTERNAL SECURITY DEFINER AS 'SELECT 1'", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql SET role = postgres AS 'SELECT 1'", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql SET session_replication_role = replica AS 'SELECT 1'", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql LEAKPROOF AS 'SELECT 1'", "CREATE FUNCTION s.f() RETURNS int LANGUAGE sql SUPPORT x AS 'SELECT 1'", "CREATE FUNCTION o.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE FUNCTION pg_catalog.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE FUNCTION s.f(x int DEFAULT s.harm()) RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE FUNCTION s.f() RETURNS event_trigger LANGUAGE sql AS 'a', 'b'",
	// Roles and grants.
	"CREATE ROLE app SUPERUSER", "CREATE ROLE app WITH LOGIN REPLICATION", "CREATE ROLE app BYPASSRLS", "CREATE ROLE app CREATEROLE", "CREATE ROLE app CREATEDB", "CREATE USER app IN ROLE postgres", "CREATE ROLE app ADMIN postgres", "CREATE ROLE app ROLE postgres", "CREATE ROLE app PASSWORD 'clear'", "CREATE ROLE app ENCRYPTED PASSWORD 'clear'", "CREATE ROLE app PASSWORD 'secret:other'", "CREATE ROLE app PASSWORD E'secret:app'", "CREATE ROLE app PASSWORD 'SCRAM-SHA-256$4096:x'", "ALTER ROLE postgres PASSWORD 'secret:app'", "ALTER ROLE current_user SUPERUSER", "ALTER ROLE app SET role = postgres", "ALTER ROLE app IN DATABASE postgres SET x = 1", "ALTER ROLE ALL SET x = 1", "ALTER ROLE app RENAME TO postgres", "DROP ROLE postgres", "CREATE ROLE other", "CREATE GROUP app", "GRANT postgres TO app", "GRANT pg_execute_server_program TO app", "REVOKE postgres FROM app",
	"GRANT ALL ON s.orders TO app", "GRANT SELECT ON s.orders TO app WITH GRANT OPTION", "GRANT TRIGGER ON s.orders TO app", "GRANT TRUNCATE ON s.orders TO app", "GRANT CREATE ON SCHEMA s TO app", "GRANT SELECT ON s.orders TO postgres", "GRANT SELECT ON s.orders TO current_user", "GRANT SELECT ON o.secret TO app", "GRANT USAGE ON SCHEMA o TO app", "GRANT SELECT ON ALL TABLES IN SCHEMA o TO app", "GRANT CONNECT ON DATABASE postgres TO app", "GRANT USAGE ON LANGUAGE sql TO app", "GRANT SET ON PARAMETER x TO app", "GRANT USAGE ON FOREIGN SERVER x TO app", "GRANT SELECT ON LARGE OBJECT 1 TO app", "GRANT SELECT ON s.orders TO app GRANTED BY postgres", "GRANT EXECUTE ON FUNCTION pg_catalog.pg_read_file(text) TO app", "REVOKE ALL ON DATABASE postgres FROM app",
	"COMMENT ON ROLE postgres IS 'x'", "COMMENT ON DATABASE postgres IS 'x'", "COMMENT ON TABLE o.secret IS 'x'", "COMMENT ON TABLE s.orders IS pg_read_file('x')", "COMMENT ON EXTENSION plpgsql IS 'x'",
	// Others' things.
	"DROP TABLE o.secret", "DROP TABLE s.orders, o.secret", "DROP VIEW o.all_orders", "ALTER TABLE o.secret ADD COLUMN x int", "CREATE TABLE o.x (id int)", "CREATE TABLE s.x (LIKE o.secret)", "CREATE TABLE s.x (id int REFERENCES o.secret)", "CREATE TABLE s.x () INHERITS (o.secret)", "CREATE TABLE s.x PARTITION OF o.secret DEFAULT", "DROP FUNCTION o.f()", "DROP EXTENSION plpgsql CASCADE", "CREATE SEQUENCE s.q OWNED BY o.secret.id", "ALTER TABLE o.secret DISABLE ROW LEVEL SECURITY", "DROP POLICY own ON o.secret", "CREATE TABLE pg_catalog.x (id int)", "ALTER TABLE pg_catalog.pg_class ADD COLUMN x int", "CREATE TABLE information_schema.x (id int)", "CREATE TABLE s.o.x (id int)", "CREATE TABLE db.s.x (id int)",
	"CREATE INDEX CONCURRENTLY ON s.orders (id)", "CREATE INDEX CONCURRENTLY i ON s.orders (id); DROP TABLE s.orders", "DROP INDEX CONCURRENTLY s.a, s.b", "DROP INDEX CONCURRENTLY o.i", "ALTER TABLE s.orders DETACH PARTITION s.x CONCURRENTLY",
	"", ";", "   -- nothing", "CREATE", "DROP", "ALTER TABLE", "COMMENT ON", "GRANT", "\x00", "CREATE TABLE s.x (id int)\x00; DROP TABLE s.orders", strings.Repeat("COMMENT ON TABLE s.orders IS 'x';", 21), "COMMENT ON TABLE s.orders IS '" + strings.Repeat("x", 20_000) + "'",
}

// anyPassword is one that the operator has named.
func withApp(o *pgtool.DDLOptions) {
	o.Roles = []string{"app"}
	o.Passwords = map[string]mcpsec.Secret{"app": redact.NewSecret("pass" + "word-of-app")}
}

// through a proxy, no transaction of any of the texts is begun.
func TestDDLAttacks(t *testing.T) {
	t.Parallel()
	name, conn := yardSetup(t, "")
	u, err := url.Parse(postgres.Server(t).URL(name, name))
	if err != nil {
		t.Fatal(err)
	}
	cut := newCutter(t, u.Host)
	pgtest.Exec(t, conn, "ALTER ROLE "+name+" CREATEROLE")
	m := openMigrator(t, ddlOptions(t, name, func(o *pgtool.DDLOptions) {
		withApp(o)
		o.URL = through(t, name, cut.Addr().String())
	}))
	p := &person{}
	cs, _ := writeClient(t, pgtool.DDLTools(m), p)
	before := shape(t, conn)
	for _, begins := range []string{"BEGIN ISOLATION LEVEL REPEATABLE READ", "SET default_transaction_read_only"} {
		cut.set(begins, false, false)
		for _, sql := range hostileDDL {
			for _, tool := range []string{"pg_plan_ddl", "pg_apply_ddl"} {
				res, err := cs.CallTool(t.Context(), toolParams(tool, args{"sql": sql}))
				if err == nil && !res.IsError {
					t.Errorf("%s took %.200q", tool, sql)
				}
			}
			if cut.cuts.Load() != 0 {
				t.Errorf("was sent: %.200q", sql)
				cut.set(begins, false, false)
			}
		}
	}
	if p.count() != 0 {
		t.Errorf("a person was asked: %s", p.last())
	}
	if shape(t, conn) != before {
		t.Error("something was changed")
	}
	t.Logf("%d texts", len(hostileDDL))
}
