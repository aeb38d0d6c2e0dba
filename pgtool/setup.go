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
	// Role is the new role's name. Defaults to mcp_reader.
	Role string
	// Schemas are the schemas to read. Defaults to public.
	Schemas []string
	// MaxConns is how many connections the role may have. Defaults to 10, two
	// more than the default of Options.MaxConns.
	MaxConns int
}

// SetupSQL returns the SQL that creates a role which [Open] accepts, for a
// superuser to read, adapt and run in the database, with psql or any driver. It
// holds no password: the last comment says how to set one. It panics if
// Database is empty or a name cannot be one.
func SetupSQL(o SetupOptions) string {
	if o.Role == "" {
		o.Role = "mcp_reader"
	}
	if len(o.Schemas) == 0 {
		o.Schemas = []string{"public"}
	}
	o.MaxConns = or(o.MaxConns, 10)
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
	return strings.NewReplacer(
		"{revoked}", strings.Join(revoked, ", "),
		"{role}", quoteName(o.Role),
		"{database}", quoteName(o.Database),
		"{schemas}", strings.Join(quoted, ", "),
		"{conns}", fmt.Sprint(o.MaxConns),
	).Replace(setupSQL)
}

const setupSQL = `-- A role that can only read. It inherits nothing and becomes nobody else.
CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS
  CONNECTION LIMIT {conns};
ALTER ROLE {role} SET default_transaction_read_only = on;
ALTER ROLE {role} SET statement_timeout = '10s';
ALTER ROLE {role} SET lock_timeout = '2s';
ALTER ROLE {role} SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE {role} SET search_path = pg_catalog, {schemas}, pg_temp;
-- Only a superuser can set this one, and it holds: how much disk a statement may fill.
ALTER ROLE {role} SET temp_file_limit = '256MB';

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

-- What may be read. Name tables instead of ALL TABLES if some of them are not
-- for a model; columns can be named too: GRANT SELECT (id, name) ON staff TO ...
GRANT CONNECT ON DATABASE {database} TO {role};
GRANT USAGE ON SCHEMA {schemas} TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA {schemas} TO {role};

-- Set a password with psql, which sends no plain text:  \password {role}
`
