-- A role that can only define what is in some schemas. It inherits nothing and becomes nobody else.
CREATE ROLE "mcp_migrator" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS
  CONNECTION LIMIT 10;
ALTER ROLE "mcp_migrator" SET default_transaction_read_only = on;
ALTER ROLE "mcp_migrator" SET statement_timeout = '10s';
ALTER ROLE "mcp_migrator" SET lock_timeout = '2s';
ALTER ROLE "mcp_migrator" SET idle_in_transaction_session_timeout = '15s';
ALTER ROLE "mcp_migrator" SET search_path = pg_catalog, "shop", "o'd""d$$", pg_temp;
-- Only a superuser can set this one, and it holds: how much disk a statement may fill.
ALTER ROLE "mcp_migrator" SET temp_file_limit = '64MB';

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

-- What may be defined, changed and dropped: the role becomes its owner. Whoever
-- reads and writes it now needs grants.
GRANT CONNECT ON DATABASE "shop" TO "mcp_migrator";
GRANT USAGE ON SCHEMA "shop", "o'd""d$$" TO "mcp_migrator";
DO '
DECLARE
  x record;
BEGIN
  FOR x IN
    SELECT format(''SCHEMA %I'', n.nspname) AS what FROM pg_catalog.pg_namespace n WHERE n.nspname IN (''shop'', ''o''''d"d$$'')
    UNION ALL SELECT format(''TABLE %s'', c.oid::regclass) FROM pg_catalog.pg_class c
      WHERE c.relnamespace::regnamespace::text = ANY (SELECT quote_ident(s) FROM unnest(ARRAY[''shop'', ''o''''d"d$$'']) s) AND c.relkind IN (''r'', ''p'', ''v'', ''m'', ''f'', ''S'')
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = ''pg_class''::regclass AND d.objid = c.oid AND d.deptype IN (''a'', ''i'', ''e''))
    UNION ALL SELECT format(''ROUTINE %s'', p.oid::regprocedure) FROM pg_catalog.pg_proc p
      WHERE p.pronamespace::regnamespace::text = ANY (SELECT quote_ident(s) FROM unnest(ARRAY[''shop'', ''o''''d"d$$'']) s)
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = ''pg_proc''::regclass AND d.objid = p.oid AND d.deptype IN (''i'', ''e''))
    UNION ALL SELECT format(''TYPE %s'', t.oid::regtype) FROM pg_catalog.pg_type t
      WHERE t.typnamespace::regnamespace::text = ANY (SELECT quote_ident(s) FROM unnest(ARRAY[''shop'', ''o''''d"d$$'']) s) AND t.typtype IN (''e'', ''d'')
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = ''pg_type''::regclass AND d.objid = t.oid AND d.deptype = ''e'')
  LOOP
    EXECUTE format(''ALTER %s OWNER TO %I'', x.what, ''mcp_migrator'');
  END LOOP;
END
';
-- To make roles, and for nothing else:  ALTER ROLE "mcp_migrator" CREATEROLE;

-- One role for many tenants (Options.Tenant): a policy for each table with rows of
-- several of them. A table without one shows all its rows.
--   ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
--   CREATE POLICY tenant ON shop.orders TO "mcp_migrator"
--     USING (customer = current_setting('app.tenant')::bigint);
-- Or with a role for each, whose rights the role has only as long as it is that one:
--   CREATE ROLE ada; GRANT USAGE ON SCHEMA shop TO ada; GRANT SELECT ON shop.orders TO ada;
--   GRANT ada TO "mcp_migrator";

-- Set a password with psql, which sends no plain text:  \password "mcp_migrator"
