package pgtool

import (
	"fmt"
	"slices"
)

var auditChecks = slices.Concat(roleChecks, grantChecks, codeChecks, networkChecks)

// roleChecks are about roles, which everybody may see but for their passwords.
// Predefined ones, and the role that made the server, are as they have to be.
var roleChecks = []check{
	{name: "superuser",
		why: "A superuser passes every check of the server, and can run programs on its machine. Applications need none.",
		sql: `SELECT CASE WHEN rolname = session_user THEN 'critical' ELSE 'warning' END AS severity, format('role %I', rolname) AS object,
			CASE WHEN rolname = session_user THEN 'this tool itself is logged in as a superuser' ELSE 'a superuser that can log in, besides the one that made the server' END AS what,
			CASE WHEN oid = 10 THEN '-- open this tool with a role that can only read' ELSE format('ALTER ROLE %I NOSUPERUSER;', rolname) END AS fix
		FROM pg_roles WHERE rolsuper AND rolcanlogin AND (oid <> 10 OR rolname = session_user) ORDER BY 1, 2`},
	{name: "role_attribute",
		why: "BYPASSRLS ignores every policy, REPLICATION reads every byte, CREATEROLE makes and changes other roles.",
		sql: `SELECT 'warning' AS severity, format('role %I', r.rolname) AS object, format('it can log in and has %s', a.name) AS what,
			format('ALTER ROLE %I NO%s;', r.rolname, a.name) AS fix
		FROM pg_roles r, LATERAL (VALUES ('BYPASSRLS', r.rolbypassrls), ('REPLICATION', r.rolreplication), ('CREATEROLE', r.rolcreaterole)) a(name, has)
		WHERE r.rolcanlogin AND NOT r.rolsuper AND a.has ORDER BY 2, 3`},
	{name: "dangerous_membership",
		why: "Members of these roles read or write files of the server, run programs on it, or read or write every table.",
		sql: `SELECT CASE WHEN g.rolname LIKE '%\_server\_%' THEN 'critical' ELSE 'warning' END AS severity, format('role %I', m.rolname) AS object,
			format('it is a member of %I', g.rolname) AS what, format('REVOKE %I FROM %I;', g.rolname, m.rolname) AS fix
		FROM pg_auth_members x JOIN pg_roles g ON g.oid = x.roleid JOIN pg_roles m ON m.oid = x.member
		WHERE g.oid < 16384 AND m.oid >= 16384 AND g.rolname LIKE 'pg\_%' AND NOT m.rolsuper AND g.rolname NOT IN ('pg_monitor', 'pg_read_all_settings', 'pg_read_all_stats',
			'pg_stat_scan_tables', 'pg_database_owner', 'pg_checkpoint', 'pg_use_reserved_connections') ORDER BY 1, 2, 3`},
	{name: "member_of_superuser",
		why: "Whoever can become a superuser is one.",
		sql: `SELECT 'critical' AS severity, format('role %I', m.rolname) AS object, format('it is a member of %I, which is a superuser', g.rolname) AS what,
			format('REVOKE %I FROM %I;', g.rolname, m.rolname) AS fix
		FROM pg_auth_members x JOIN pg_roles g ON g.oid = x.roleid JOIN pg_roles m ON m.oid = x.member
		WHERE g.rolsuper AND NOT m.rolsuper ORDER BY 2, 3`},
	{name: "weak_password_hash",
		why: "An MD5 hash that leaks is as good as the password, and quickly guessed.",
		sql: `SELECT 'critical' AS severity, format('role %I', rolname) AS object, 'its password is stored as an MD5 hash' AS what,
			format('\password %I', rolname) AS fix
		FROM pg_authid WHERE rolpassword LIKE 'md5%' ORDER BY 2`},
}

var grantChecks = []check{
	{name: "public_create",
		why: "Everybody can make objects there, which stand in for others of the same name where the search_path finds them first.",
		sql: `SELECT 'critical' AS severity, format('schema %I', n.nspname) AS object, 'PUBLIC may CREATE in it' AS what,
			format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC;', n.nspname) AS fix
		FROM pg_namespace n, aclexplode(n.nspacl) a
		WHERE a.grantee = 0 AND a.privilege_type = 'CREATE' AND has_schema_privilege(n.oid, 'USAGE') AND n.nspname !~ '^pg_' AND ($1::text[] IS NULL OR n.nspname = ANY ($1)) ORDER BY 2`},
	{name: "public_table",
		why: "PUBLIC is every role there is, and every one to come.",
		sql: `SELECT CASE WHEN bool_or(a.privilege_type <> 'SELECT') THEN 'critical' ELSE 'warning' END AS severity, format('%I.%I', n.nspname, c.relname) AS object,
			format('PUBLIC has %s', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)) AS what,
			format('REVOKE ALL ON %I.%I FROM PUBLIC;', n.nspname, c.relname) AS fix
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a
		WHERE a.grantee = 0 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ` + shown + ` AND NOT EXISTS (
			SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
		GROUP BY n.nspname, c.relname ORDER BY 1, 2`},
	{name: "public_default_privileges",
		why: "What is made later is open to everybody from the start.",
		sql: `SELECT 'warning' AS severity, format('role %I', pg_get_userbyid(d.defaclrole)) AS object, format('objects of kind "%s" that it makes%s are granted to PUBLIC', d.defaclobjtype, ' in ' || quote_ident(n.nspname)) AS what,
			'-- ALTER DEFAULT PRIVILEGES FOR ROLE ... REVOKE ALL ON TABLES FROM PUBLIC;' AS fix
		FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
		WHERE d.defaclobjtype IN ('r', 'S', 'n') AND ($1::text[] IS NULL OR n.oid IS NULL OR n.nspname = ANY ($1)) AND (n.oid IS NULL OR has_schema_privilege(n.oid, 'USAGE'))
			AND EXISTS (SELECT 1 FROM aclexplode(d.defaclacl) a WHERE a.grantee = 0) ORDER BY 2, 3`},
	{name: "row_security_off",
		why: "Policies do nothing until row security is switched on for the table.",
		sql: `SELECT 'critical' AS severity, format('%I.%I', n.nspname, c.relname) AS object, format('it has %s policies, and row security is off', count(*)) AS what,
			format('ALTER TABLE %I.%I ENABLE ROW LEVEL SECURITY;', n.nspname, c.relname) AS fix
		FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE NOT c.relrowsecurity AND ` + shown + ` GROUP BY n.nspname, c.relname ORDER BY 2`},
	{name: "view_passes_policies",
		why: "A view reads with the rights of its owner: policies of the tables behind it do not see who asks.",
		sql: `SELECT 'warning' AS severity, format('%I.%I', n.nspname, c.relname) AS object, 'the view reads a table with row security as its owner, whom the policies do not hold' AS what,
			CASE WHEN current_setting('server_version_num')::int >= 150000 THEN format('ALTER VIEW %I.%I SET (security_invoker = true);', n.nspname, c.relname) ELSE '' END AS fix
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles o ON o.oid = c.relowner
		WHERE c.relkind = 'v' AND ` + shown + ` AND NOT EXISTS (SELECT 1 FROM pg_options_to_table(c.reloptions) x WHERE x.option_name = 'security_invoker' AND x.option_value IN ('true', 'on', 'yes', '1'))
			AND EXISTS (SELECT 1 FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
				JOIN pg_class t ON t.oid = d.refobjid AND t.relkind IN ('r', 'p')
				WHERE w.ev_class = c.oid AND t.relrowsecurity AND (o.rolsuper OR o.rolbypassrls OR t.relowner = c.relowner AND NOT t.relforcerowsecurity)) ORDER BY 2`},
}

var codeChecks = []check{
	{name: "definer_search_path",
		why: "A SECURITY DEFINER function runs with the rights of its owner. Without a search_path of its own its caller chooses which functions, operators and tables it finds.",
		sql: `SELECT CASE WHEN o.rolsuper THEN 'critical' ELSE 'warning' END AS severity, f.oid::regprocedure::text AS object,
			format('SECURITY DEFINER without a fixed search_path; it runs as %I%s', o.rolname, CASE WHEN o.rolsuper THEN ', a superuser' ELSE '' END) AS what,
			format('ALTER %s %s SET search_path = pg_catalog, %I, pg_temp;', CASE f.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, f.oid::regprocedure, n.nspname) AS fix
		FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace JOIN pg_roles o ON o.oid = f.proowner
		WHERE f.prosecdef AND NOT EXISTS (SELECT 1 FROM unnest(f.proconfig) s WHERE s LIKE 'search\_path=%') AND ` + function + ` ORDER BY 1, 2`},
	{name: "definer_for_everybody",
		why: "What the function does with a superuser's rights, every role can do by calling it.",
		sql: `SELECT 'warning' AS severity, f.oid::regprocedure::text AS object, format('SECURITY DEFINER, runs as %I, a superuser, and PUBLIC may run it', o.rolname) AS what,
			format('REVOKE EXECUTE ON %s %s FROM PUBLIC;', CASE f.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, f.oid::regprocedure) AS fix
		FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace JOIN pg_roles o ON o.oid = f.proowner
		WHERE f.prosecdef AND o.rolsuper AND EXISTS (SELECT 1 FROM aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a WHERE a.grantee = 0) AND ` + function + ` ORDER BY 2`},
	{name: "reaching_extension",
		why: "It lets SQL reach files, programs or other servers from the database's machine. Keep it to roles that need it.",
		sql: `SELECT 'warning' AS severity, format('extension %I', x.extname) AS object, 'it reaches out of the database' AS what,
			format('DROP EXTENSION %I; -- if nothing needs it', x.extname) AS fix
		FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace
		WHERE x.extname IN ('dblink', 'postgres_fdw', 'file_fdw', 'adminpack', 'http', 'pg_net', 'pgsql-http', 'aws_s3', 'aws_lambda', 'azure_storage', 'plsh', 'pg_cron',
			'plpython3u', 'plpythonu', 'plperlu', 'pltclu', 'pljavau', 'plrust', 'oracle_fdw', 'mysql_fdw', 'tds_fdw', 'multicorn', 'wrappers', 'pg_execute_server_program') ORDER BY 2`},
	{name: "public_user_mapping",
		why: "Every role reaches the foreign server with the password of the mapping.",
		sql: `SELECT 'critical' AS severity, format('foreign server %I', srvname) AS object, 'it has a user mapping for PUBLIC' AS what,
			format('DROP USER MAPPING FOR PUBLIC SERVER %I;', srvname) AS fix
		FROM pg_user_mappings WHERE umuser = 0 ORDER BY 2`},
}

// function is which function f in namespace n a finding may name.
const function = `has_schema_privilege(n.oid, 'USAGE') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND has_function_privilege(f.oid, 'EXECUTE')
	AND ($1::text[] IS NULL OR n.nspname = ANY ($1)) AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.deptype = 'e')`

var networkChecks = []check{
	{name: "server_access", judge: judgeAccess, sql: `SELECT current_setting('ssl') AS ssl, current_setting('password_encryption') AS hash, current_setting('listen_addresses') AS listens,
			coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)::text AS encrypted, (inet_client_addr() IS NULL OR inet_client_addr() <<= '127.0.0.0/8' OR inet_client_addr() = '::1')::text AS local`},
	{name: "host_rules", judge: judgeRules,
		sql: `SELECT line_number, type, auth_method, coalesce(error, '') AS error, (address IS NULL OR address LIKE '127.%' OR address IN ('::1', 'samehost', 'localhost'))::text AS local
			FROM pg_hba_file_rules ORDER BY line_number`},
}

func judgeAccess(rows []map[string]string) (out []finding) {
	if len(rows) != 1 {
		return nil
	}
	r := rows[0]
	if r["ssl"] == "off" && r["listens"] != "" && r["listens"] != "localhost" && r["listens"] != "127.0.0.1" {
		out = append(out, finding{Severity: critical, Check: "tls_off", What: fmt.Sprintf("the server listens on %q without TLS", r["listens"]),
			Why: "Passwords and data cross the network in plain text.", Fix: "ALTER SYSTEM SET ssl = on; -- after ssl_cert_file and ssl_key_file"})
	}
	if r["encrypted"] == "false" && r["local"] == "false" {
		out = append(out, finding{Severity: critical, Check: "connection_without_tls", What: "the connection of this tool itself is not encrypted",
			Why: "What is asked and answered crosses the network in plain text."})
	}
	if r["hash"] == "md5" {
		out = append(out, finding{Severity: critical, Check: "md5_passwords", What: "new passwords are stored as MD5 hashes",
			Why: "An MD5 hash that leaks is as good as the password, and quickly guessed.", Fix: "ALTER SYSTEM SET password_encryption = 'scram-sha-256';"})
	}
	return out
}

// judgeRules judges the lines of pg_hba.conf, which a superuser may see.
func judgeRules(rows []map[string]string) (out []finding) {
	for _, r := range rows {
		f := finding{Object: "pg_hba.conf line " + r["line_number"], Why: "pg_hba.conf decides who gets in, and how they prove who they are."}
		remote := r["type"] != "local" && r["local"] == "false"
		switch {
		case r["error"] != "":
			f.Severity, f.What = warning, "the line is not valid, so the file is not loaded"
		case r["auth_method"] == "trust":
			f.Severity, f.What = grade(remote), "trust lets everybody in without a password"
		case r["auth_method"] == "password" && r["type"] != "hostssl":
			f.Severity, f.What = grade(remote), "password sends the password in plain text"
		case r["auth_method"] == "ident" && remote:
			f.Severity, f.What = critical, "ident believes what the client's machine says"
		case r["auth_method"] == "md5":
			f.Severity, f.What = info, "md5 accepts hashes of MD5: use scram-sha-256"
		case remote && (r["type"] == "host" || r["type"] == "hostnossl"):
			f.Severity, f.What = warning, "the line lets clients in without TLS: use hostssl"
		default:
			continue
		}
		out = append(out, f)
	}
	return out
}
