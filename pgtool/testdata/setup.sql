-- A role that can only read. It inherits nothing and becomes nobody else.
CREATE ROLE "mcp_reader" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS
  CONNECTION LIMIT 10;
ALTER ROLE "mcp_reader" SET default_transaction_read_only = on;
ALTER ROLE "mcp_reader" SET statement_timeout = '10s';
ALTER ROLE "mcp_reader" SET lock_timeout = '2s';
ALTER ROLE "mcp_reader" SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE "mcp_reader" SET search_path = pg_catalog, "public", pg_temp;
-- Only a superuser can set this one, and it holds: how much disk a statement may fill.
ALTER ROLE "mcp_reader" SET temp_file_limit = '64MB';

-- What everybody may do on a new server, the role included. Grant it to the
-- roles that need it before you take it from PUBLIC.
REVOKE CREATE, TEMPORARY ON DATABASE "shop" FROM PUBLIC;
REVOKE CREATE ON SCHEMA "public" FROM PUBLIC;

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
GRANT CONNECT ON DATABASE "shop" TO "mcp_reader";
GRANT USAGE ON SCHEMA "public" TO "mcp_reader";
GRANT SELECT ON ALL TABLES IN SCHEMA "public" TO "mcp_reader";

-- One role for many tenants (Options.Tenant): a policy for each table with rows of
-- several of them. A table without one shows all its rows.
--   ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
--   CREATE POLICY tenant ON shop.orders TO "mcp_reader"
--     USING (customer = current_setting('app.tenant')::bigint);
-- Or with a role for each, whose rights the role has only as long as it is that one:
--   CREATE ROLE ada; GRANT USAGE ON SCHEMA shop TO ada; GRANT SELECT ON shop.orders TO ada;
--   GRANT ada TO "mcp_reader";

-- Set a password with psql, which sends no plain text:  \password "mcp_reader"
-- A role that can only read. It inherits nothing and becomes nobody else.
CREATE ROLE "r" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS
  CONNECTION LIMIT 3;
ALTER ROLE "r" SET default_transaction_read_only = on;
ALTER ROLE "r" SET statement_timeout = '10s';
ALTER ROLE "r" SET lock_timeout = '2s';
ALTER ROLE "r" SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE "r" SET search_path = pg_catalog, "a", "public", "b""; DROP", pg_temp;
-- Only a superuser can set this one, and it holds: how much disk a statement may fill.
ALTER ROLE "r" SET temp_file_limit = '64MB';

-- What everybody may do on a new server, the role included. Grant it to the
-- roles that need it before you take it from PUBLIC.
REVOKE CREATE, TEMPORARY ON DATABASE "sh""op{role}" FROM PUBLIC;
REVOKE CREATE ON SCHEMA "a", "public", "b""; DROP" FROM PUBLIC;

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
GRANT CONNECT ON DATABASE "sh""op{role}" TO "r";
GRANT USAGE ON SCHEMA "a", "public", "b""; DROP" TO "r";
GRANT SELECT ON ALL TABLES IN SCHEMA "a", "public", "b""; DROP" TO "r";

-- One role for many tenants (Options.Tenant): a policy for each table with rows of
-- several of them. A table without one shows all its rows.
--   ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
--   CREATE POLICY tenant ON shop.orders TO "r"
--     USING (customer = current_setting('app.tenant')::bigint);
-- Or with a role for each, whose rights the role has only as long as it is that one:
--   CREATE ROLE ada; GRANT USAGE ON SCHEMA shop TO ada; GRANT SELECT ON shop.orders TO ada;
--   GRANT ada TO "r";

-- Set a password with psql, which sends no plain text:  \password "r"
