-- A role that can only write to some tables. It inherits nothing and becomes nobody else.
CREATE ROLE "mcp_writer" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS
  CONNECTION LIMIT 10;
ALTER ROLE "mcp_writer" SET default_transaction_read_only = on;
ALTER ROLE "mcp_writer" SET statement_timeout = '10s';
ALTER ROLE "mcp_writer" SET lock_timeout = '2s';
ALTER ROLE "mcp_writer" SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE "mcp_writer" SET search_path = pg_catalog, "shop", "o'd""d$$", pg_temp;
-- Only a superuser can set this one, and it holds: how much disk a statement may fill.
ALTER ROLE "mcp_writer" SET temp_file_limit = '64MB';

-- What everybody may do on a new server, the role included. Grant it to the
-- roles that need it before you take it from PUBLIC.
REVOKE CREATE, TEMPORARY ON DATABASE "shop" FROM PUBLIC;
REVOKE CREATE ON SCHEMA public, "shop", "o'd""d$$" FROM PUBLIC;

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

-- What may be written, and what a condition or an answer may show.
GRANT CONNECT ON DATABASE "shop" TO "mcp_writer";
GRANT USAGE ON SCHEMA "shop", "o'd""d$$" TO "mcp_writer";
GRANT SELECT ("id", "status"), INSERT ("id", "status"), UPDATE ("status"), DELETE ON "shop"."orders" TO "mcp_writer";
DO '
DECLARE
  s regclass;
BEGIN
  FOR s IN SELECT d.objid::regclass FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid
    WHERE d.classid = ''pg_class''::regclass AND d.refobjid = ''"shop"."orders"''::regclass AND d.deptype = ''a'' AND c.relkind = ''S''
  LOOP
    EXECUTE format(''GRANT USAGE ON SEQUENCE %s TO %I'', s, ''mcp_writer'');
  END LOOP;
END
';
GRANT INSERT ("line") ON "shop"."log" TO "mcp_writer";
DO '
DECLARE
  s regclass;
BEGIN
  FOR s IN SELECT d.objid::regclass FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid
    WHERE d.classid = ''pg_class''::regclass AND d.refobjid = ''"shop"."log"''::regclass AND d.deptype = ''a'' AND c.relkind = ''S''
  LOOP
    EXECUTE format(''GRANT USAGE ON SEQUENCE %s TO %I'', s, ''mcp_writer'');
  END LOOP;
END
';
GRANT INSERT ("a""b") ON "o'd""d$$"."t'" TO "mcp_writer";
DO '
DECLARE
  s regclass;
BEGIN
  FOR s IN SELECT d.objid::regclass FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class c ON c.oid = d.objid
    WHERE d.classid = ''pg_class''::regclass AND d.refobjid = ''"o''''d""d$$"."t''''"''::regclass AND d.deptype = ''a'' AND c.relkind = ''S''
  LOOP
    EXECUTE format(''GRANT USAGE ON SEQUENCE %s TO %I'', s, ''mcp_writer'');
  END LOOP;
END
';

-- One role for many tenants (Options.Tenant): a policy for each table with rows of
-- several of them. A table without one shows all its rows.
--   ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
--   CREATE POLICY tenant ON shop.orders TO "mcp_writer"
--     USING (customer = current_setting('app.tenant')::bigint);
-- Or with a role for each, whose rights the role has only as long as it is that one:
--   CREATE ROLE ada; GRANT USAGE ON SCHEMA shop TO ada; GRANT SELECT ON shop.orders TO ada;
--   GRANT ada TO "mcp_writer";

-- Set a password with psql, which sends no plain text:  \password "mcp_writer"
