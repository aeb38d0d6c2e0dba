package pgtool

import (
	"fmt"
	"slices"
	"strings"
)

// SetupOptions says for what [SetupSQL] makes a role. Database is required.
type SetupOptions struct {
	// Database is the database to read. Required.
	Database string
	// Role is the new role's name. Defaults to mcp_reader, or to mcp_writer if
	// there are Tables, or to mcp_migrator.
	Role string
	// Schemas are the schemas to read. Defaults to public, or to those of Tables.
	Schemas []string
	// Tables are the tables to write, as in WriteOptions. Defaults to none: a role
	// that reads.
	Tables []Table
	// Migrates says that the role is for [OpenMigrator]: it becomes the owner of
	// Schemas and of all that is in them. Defaults to false.
	Migrates bool
	// MaxConns is how many connections the role may have. Defaults to 10, two
	// more than the default of Options.MaxConns.
	MaxConns int
}

// SetupSQL returns the SQL that creates a role which [Open] accepts, or [OpenWriter]
// if there are Tables, or [OpenMigrator] and [OpenAdmin] with Migrates, for a superuser
// to read, adapt and run in the database, with psql or any driver. It holds no
// password: the last comment says how to set one. It panics if Database is empty or a
// name cannot be one.
func SetupSQL(o SetupOptions) string {
	o = o.withDefaults()
	for _, name := range append([]string{o.Database, o.Role}, o.Schemas...) {
		if !plainName(name) {
			panic(fmt.Sprintf("pgtool: SetupOptions: %q cannot be a name", name))
		}
	}
	quoted := make([]string, len(o.Schemas))
	for i, s := range o.Schemas {
		quoted[i] = quoteName(s)
	}
	revoked := quoted
	if !slices.Contains(o.Schemas, "public") {
		revoked = append([]string{"public"}, quoted...) // before version 15 everybody may create there
	}
	purpose, grants := "read", ""
	switch {
	case o.Migrates:
		purpose, grants = "define what is in some schemas", ownerGrants(o, quoted)
	case len(o.Tables) == 0:
		grants = readerGrants(o, quoted)
	}
	if len(o.Tables) > 0 && !o.Migrates {
		purpose, grants = "write to some tables", writerGrants(o, quoted)
	}
	return strings.NewReplacer(
		"{purpose}", purpose,
		"{grants}", grants,
		"{revoked}", strings.Join(revoked, ", "),
		"{role}", quoteName(o.Role),
		"{database}", quoteName(o.Database),
		"{schemas}", strings.Join(quoted, ", "),
		"{conns}", fmt.Sprint(o.MaxConns),
	).Replace(setupSQL)
}

func (o SetupOptions) withDefaults() SetupOptions {
	if o.Role == "" {
		o.Role = "mcp_reader"
		if len(o.Tables) > 0 {
			o.Role = "mcp_writer"
		}
		if o.Migrates {
			o.Role = "mcp_migrator"
		}
	}
	o.Schemas = slices.Clone(o.Schemas)
	if len(o.Schemas) == 0 && len(o.Tables) == 0 {
		o.Schemas = []string{"public"}
	}
	for _, t := range o.Tables {
		if err := t.check(); err != nil {
			panic("pgtool: SetupOptions: " + err.Error())
		}
		if !slices.Contains(o.Schemas, t.Schema) {
			o.Schemas = append(o.Schemas, t.Schema)
		}
	}
	o.MaxConns = or(o.MaxConns, 10)
	return o
}

func readerGrants(o SetupOptions, schemas []string) string {
	return `-- What may be read. Name tables instead of ALL TABLES if some of them are not
-- for a model; columns can be named too: GRANT SELECT (id, name) ON staff TO ...
` + commonGrants(o, schemas) +
		"GRANT SELECT ON ALL TABLES IN SCHEMA " + strings.Join(schemas, ", ") + " TO " + quoteName(o.Role) + ";"
}

func commonGrants(o SetupOptions, schemas []string) string {
	return "GRANT CONNECT ON DATABASE " + quoteName(o.Database) + " TO " + quoteName(o.Role) + ";\n" +
		"GRANT USAGE ON SCHEMA " + strings.Join(schemas, ", ") + " TO " + quoteName(o.Role) + ";\n"
}

// writerGrants grants what is listed and no more.
func writerGrants(o SetupOptions, schemas []string) string {
	lines := []string{"-- What may be written, and what a condition or an answer may show.\n" + strings.TrimSuffix(commonGrants(o, schemas), "\n")}
	for _, t := range o.Tables {
		ident := quoteName(t.Schema) + "." + quoteName(t.Name)
		lines = append(lines, "GRANT "+strings.Join(t.grants(), ", ")+" ON "+ident+" TO "+quoteName(o.Role)+";")
		if len(t.Insert) > 0 {
			body := strings.NewReplacer("{table}", quoteText(ident), "{role}", quoteText(o.Role)).Replace(sequenceGrants)
			lines = append(lines, "DO "+quoteText(body)+";")
		}
	}
	return strings.Join(lines, "\n")
}

func (t Table) grants() []string {
	read := slices.Concat(t.Read, t.Key)
	if len(t.Key) > 0 {
		read = append(read, t.Update...) // which an upsert reads
	}
	var out []string
	for _, g := range []struct {
		privilege string
		columns   []string
	}{{"SELECT", read}, {"INSERT", t.Insert}, {"UPDATE", t.Update}} {
		if len(g.columns) > 0 {
			names := slices.Sorted(slices.Values(g.columns))
			out = append(out, g.privilege+" ("+quotedList(slices.Compact(names))+")")
		}
	}
	if t.Delete {
		out = append(out, "DELETE")
	}
	return out
}

func ownerGrants(o SetupOptions, schemas []string) string {
	var names []string
	for _, s := range o.Schemas {
		names = append(names, quoteText(s))
	}
	body := strings.NewReplacer("{role}", quoteText(o.Role), "{names}", strings.Join(names, ", ")).Replace(ownerChanges)
	return "-- What may be defined, changed and dropped: the role becomes its owner. Whoever\n-- reads and writes it now needs grants.\n" + commonGrants(o, schemas) + "DO " + quoteText(body) + ";\n" +
		"-- To make roles, and for nothing else:  ALTER ROLE " + quoteName(o.Role) + " CREATEROLE;"
}

// ownerChanges makes a role the owner of schemas and of what is in them, but for
// what belongs to an extension.
const ownerChanges = `
DECLARE
  x record;
BEGIN
  FOR x IN
    SELECT format('SCHEMA %I', n.nspname) AS what FROM pg_catalog.pg_namespace n WHERE n.nspname IN ({names})
    UNION ALL SELECT format('TABLE %s', c.oid::regclass) FROM pg_catalog.pg_class c
      WHERE c.relnamespace::regnamespace::text = ANY (SELECT quote_ident(s) FROM unnest(ARRAY[{names}]) s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i', 'e'))
    UNION ALL SELECT format('ROUTINE %s', p.oid::regprocedure) FROM pg_catalog.pg_proc p
      WHERE p.pronamespace::regnamespace::text = ANY (SELECT quote_ident(s) FROM unnest(ARRAY[{names}]) s)
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('i', 'e'))
    UNION ALL SELECT format('TYPE %s', t.oid::regtype) FROM pg_catalog.pg_type t
      WHERE t.typnamespace::regnamespace::text = ANY (SELECT quote_ident(s) FROM unnest(ARRAY[{names}]) s) AND t.typtype IN ('e', 'd')
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
  LOOP
    EXECUTE format('ALTER %s OWNER TO %I', x.what, {role});
  END LOOP;
END
`

// sequenceGrants lets defaults take numbers from the sequences of a table.
const sequenceGrants = `
DECLARE
  s regclass;
BEGIN
  FOR s IN SELECT d.objid::regclass FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid
    WHERE d.classid = 'pg_class'::regclass AND d.refobjid = {table}::regclass AND d.deptype = 'a' AND c.relkind = 'S'
  LOOP
    EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %I', s, {role});
  END LOOP;
END
`

const setupSQL = `-- A role that can only {purpose}. It inherits nothing and becomes nobody else.
CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS
  CONNECTION LIMIT {conns};
ALTER ROLE {role} SET default_transaction_read_only = on;
ALTER ROLE {role} SET statement_timeout = '10s';
ALTER ROLE {role} SET lock_timeout = '2s';
ALTER ROLE {role} SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE {role} SET search_path = pg_catalog, {schemas}, pg_temp;
-- Only a superuser can set this one, and it holds: how much disk a statement may fill.
ALTER ROLE {role} SET temp_file_limit = '64MB';

-- What everybody may do on a new server, the role included. Grant it to the
-- roles that need it before you take it from PUBLIC.
REVOKE CREATE, TEMPORARY ON DATABASE {database} FROM PUBLIC;
REVOKE CREATE ON SCHEMA {revoked} FROM PUBLIC;

-- Functions that everybody may run, and that do harm in a transaction that only
-- reads. pg_logical_emit_message writes to the log of the server (WAL), as much
-- as the caller likes, which ROLLBACK does not undo. The other two end statements
-- of the same role, and all callers share it. They come in several forms, which
-- differ between versions.
DO $$
DECLARE
  f regprocedure;
BEGIN
  FOR f IN SELECT p.oid::regprocedure FROM pg_catalog.pg_proc p
    WHERE p.pronamespace = 'pg_catalog'::regnamespace
      AND p.proname IN ('pg_logical_emit_message', 'pg_terminate_backend', 'pg_cancel_backend')
  LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
  END LOOP;
END
$$;

{grants}

-- One role for many tenants (Options.Tenant): a policy for each table with rows of
-- several of them. A table without one shows all its rows.
--   ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
--   CREATE POLICY tenant ON shop.orders TO {role}
--     USING (customer = current_setting('app.tenant')::bigint);
-- Or with a role for each, whose rights the role has only as long as it is that one:
--   CREATE ROLE ada; GRANT USAGE ON SCHEMA shop TO ada; GRANT SELECT ON shop.orders TO ada;
--   GRANT ada TO {role};

-- Set a password with psql, which sends no plain text:  \password {role}
`
