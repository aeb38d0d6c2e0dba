package pgtool

import (
	"context"
	"strings"
)

// A roleError lists what a role can do beyond what it should.
type roleError struct {
	faults []string
	should string // as in "only read"
	setup  string
}

func (e *roleError) Error() string {
	return "the role is not fit for a model:\n  - " + strings.Join(e.faults, "\n  - ") +
		"\nUse a role that can " + e.should + ". A superuser makes one so:\n\n" + e.setup
}

// maxFaults bounds the list. Each kind of fault has few objects in it.
const maxFaults = 200

// faults returns what the role can do beyond reading, itself or as another role
// that it can become.
func (db *DB) faults(ctx context.Context) ([]string, error) {
	return db.faultsBeyond(ctx, readerFaults, nil)
}

// faultsBeyond returns what the role can do beyond reading and the tables that
// listed has, as JSON. writes is the part of faultsSQL for these.
func (db *DB) faultsBeyond(ctx context.Context, writes string, listed []byte) ([]string, error) {
	return db.faultsOf(ctx, writes, listedSQL, "", listed)
}

// faultsOf is faultsBeyond with other parts of faultsSQL.
func (db *DB) faultsOf(ctx context.Context, writes, listing, only string, listed []byte) ([]string, error) {
	r, err := db.query(ctx, &query{sql: parameterACLSQL, own: true, anyone: true, maxRows: 1, maxBytes: 1 << 10})
	if err != nil {
		return nil, err
	}
	parameters := ""
	if r.rows > 0 {
		parameters = parameterFaults
	}
	holder := "me"
	if db.o.Tenant != nil {
		holder = "own" // a role that it becomes for a tenant may hold the right
		inherited, err := db.inheritedFaults(ctx)
		if err != nil {
			return nil, err
		}
		parameters += inherited
	}
	writes = strings.ReplaceAll(writes, "{holder}", holder)
	sql := strings.NewReplacer("{parameters}", parameters, "{writes}", writes, "{listed}", listing, "{only}", only).Replace(faultsSQL)
	r, err = db.query(ctx, &query{sql: sql, own: true, anyone: true, args: [][]byte{listed}, maxRows: maxFaults, maxBytes: 256 << 10})
	if err != nil {
		return nil, err
	}
	var out []string
	r.each(func(v [][]byte) bool {
		out = append(out, string(v[0]))
		return true
	})
	if r.more {
		out = append(out, "and more")
	}
	return out, nil
}

// faultsSQL asks for all faults at once. Of each kind it names ten objects.
//
// Every predefined role is a fault, also those of versions to come: a reader
// needs none. pg_read_all_data reads pg_authid with its password hashes and
// tables that are made later; pg_monitor, pg_read_all_stats and
// pg_read_all_settings show the statements of other sessions, literals
// included, and connection strings. What a role owns is what pg_shdepend says,
// which covers every kind of object, in all databases if it is shared. For a
// superuser, who is a member of everything, the one fault says it all.
//
// The role is who logs in: from a role that a setting has put in its place, any
// statement returns with set_config('role', 'none', true). What PostgreSQL keeps
// from everybody when a server is made stands in pg_init_privs: functions that
// read files or change the server, and catalogs with passwords and values of
// rows.
const faultsSQL = `
WITH me AS (
	SELECT oid, rolname, rolsuper FROM pg_roles WHERE rolname = session_user
), r AS (
	SELECT x.*, CASE WHEN x.oid = me.oid THEN 'the role' ELSE 'the role can become ' || quote_ident(x.rolname) || ', which' END AS who,
		x.oid < 16384 AND x.rolname LIKE 'pg\_%' AS predefined
	FROM pg_roles x, me
	WHERE x.oid = me.oid OR x.rolname = current_user OR NOT me.rolsuper AND pg_has_role(me.oid, x.oid, 'MEMBER')
), own AS (
	SELECT r.*, me.rolsuper AS super FROM r, me WHERE NOT r.predefined AND NOT me.rolsuper
), kept AS (
	SELECT i.classoid, i.objoid FROM pg_init_privs i
	WHERE i.objoid < 16384 AND i.objsubid = 0 AND i.privtype = 'i' AND NOT EXISTS (
		SELECT 1 FROM aclexplode(i.initprivs) a WHERE a.grantee = 0 AND a.privilege_type IN ('EXECUTE', 'SELECT'))
){listed}, f(rank, fault, object) AS (
	SELECT 0, 'the role is not the one that logs in, and can return to it: ', quote_ident(session_user) || ' has a setting of role, ' || quote_ident(current_user)
		WHERE session_user <> current_user
	UNION ALL SELECT 1, who || ' is a superuser', NULL FROM r WHERE rolsuper
	UNION ALL SELECT 2, who || ' has BYPASSRLS: row security does not hold for it', NULL FROM r, me WHERE rolbypassrls AND NOT r.rolsuper
	UNION ALL SELECT 3, who || ' has REPLICATION: it can read every byte of the server', NULL FROM r WHERE rolreplication AND NOT r.rolsuper
	UNION ALL SELECT 4, who || ' has CREATEROLE', NULL FROM r WHERE rolcreaterole AND NOT r.rolsuper
	UNION ALL SELECT 5, who || ' has CREATEDB', NULL FROM r WHERE rolcreatedb AND NOT r.rolsuper
	UNION ALL SELECT 6, 'the role is a member of a predefined role: ', rolname FROM r WHERE predefined
	UNION ALL SELECT 7, who || ' owns ', pg_describe_object(d.classid, d.objid, d.objsubid)
		FROM own JOIN pg_shdepend d ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = own.oid AND d.deptype = 'o'
			AND d.classid NOT IN ('pg_user_mapping'::regclass, 'pg_default_acl'::regclass)
			AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
	UNION ALL SELECT 8, who || ' has CREATE on database ', quote_ident(current_database()::text)
		FROM own WHERE has_database_privilege(own.oid, current_database(), 'CREATE')
	UNION ALL SELECT 9, who || ' has CREATE on schema ', quote_ident(n.nspname)
		FROM own, pg_namespace n WHERE n.nspname !~ '^pg_(toast|temp)' AND has_schema_privilege(own.oid, n.oid, 'CREATE')
	{writes}
	UNION ALL SELECT 12, who || ' has, by default privileges, more than SELECT on tables to come: ',
			'those of ' || quote_ident(pg_get_userbyid(d.defaclrole)) || coalesce(' in ' || quote_ident(n.nspname), '')
		FROM own, pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
		WHERE d.defaclobjtype = 'r' AND EXISTS (SELECT 1 FROM aclexplode(d.defaclacl) a
			WHERE a.grantee IN (0, own.oid) AND a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER'))
	UNION ALL SELECT 13, who || ' has CREATE on tablespace ', quote_ident(t.spcname)
		FROM own, pg_tablespace t WHERE has_tablespace_privilege(own.oid, t.oid, 'CREATE')
	UNION ALL SELECT 14, who || ' can run functions of PostgreSQL that are not for everybody: ', p.oid::regprocedure::text
		FROM own, kept JOIN pg_proc p ON p.oid = kept.objoid
		WHERE kept.classoid = 'pg_proc'::regclass AND has_function_privilege(own.oid, p.oid, 'EXECUTE')
	UNION ALL SELECT 15, who || ' can read catalogs of PostgreSQL that are not for everybody: ', c.relname
		FROM own, kept JOIN pg_class c ON c.oid = kept.objoid
		WHERE kept.classoid = 'pg_class'::regclass AND EXISTS (SELECT 1 FROM pg_attribute a
			WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(own.oid, c.oid, a.attnum, 'SELECT')
				AND NOT EXISTS (SELECT 1 FROM pg_init_privs i, aclexplode(i.initprivs) x WHERE i.classoid = kept.classoid
					AND i.objoid = c.oid AND i.objsubid = a.attnum AND x.grantee = 0 AND x.privilege_type = 'SELECT'))
	{parameters}
), g AS (
	SELECT rank, fault, object, row_number() OVER w AS i, count(*) OVER (PARTITION BY rank, fault) AS n
	FROM f {only} WINDOW w AS (PARTITION BY rank, fault ORDER BY object)
)
SELECT fault || coalesce(string_agg(object, ', ' ORDER BY object) FILTER (WHERE i <= 10), '')
	|| CASE WHEN max(n) > 10 THEN format(' and %s more', max(n) - 10) ELSE '' END
FROM g GROUP BY rank, fault ORDER BY rank, fault`

// Version 15 has brought privileges on parameters.
const (
	parameterACLSQL = `SELECT 1 WHERE to_regclass('pg_catalog.pg_parameter_acl') IS NOT NULL`
	parameterFaults = `UNION ALL SELECT 16, who || ' may set parameters that are not for everybody: ', p.parname
		FROM own, pg_parameter_acl p WHERE has_parameter_privilege(own.oid, p.parname, 'SET, ALTER SYSTEM')`
)
