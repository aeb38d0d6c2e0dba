-- run in the hardened copy: what a "setup SQL" generator could emit
REVOKE TEMP, CREATE ON DATABASE ${DB} FROM PUBLIC;
REVOKE ALL ON SCHEMA evil FROM PUBLIC, mcp_reader, mcp_hard;
ALTER DATABASE ${DB} SET search_path = shop;
ALTER ROLE mcp_hard IN DATABASE ${DB} SET default_transaction_read_only = on;
ALTER ROLE mcp_hard IN DATABASE ${DB} SET statement_timeout = '10s';
ALTER ROLE mcp_hard IN DATABASE ${DB} SET temp_file_limit = '64MB';
REVOKE SELECT ON shop.v_lock, shop.v_touch, shop.v_dblink FROM mcp_hard;
REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA shop, evil, public FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shop.net_margin(numeric,numeric) TO mcp_hard;
DO $$DECLARE r record; BEGIN
 -- pure extension helpers back to the reader
 FOR r IN SELECT p.oid::regprocedure f FROM pg_proc p JOIN pg_depend d ON d.objid=p.oid AND d.classid='pg_proc'::regclass AND d.deptype='e' JOIN pg_extension e ON e.oid=d.refobjid WHERE e.extname IN ('pg_trgm','citext','hstore','unaccent','fuzzystrmatch','intarray') LOOP EXECUTE 'GRANT EXECUTE ON FUNCTION '||r.f||' TO mcp_hard'; END LOOP;
 -- built-ins with effects, or which take SQL as text
 FOR r IN SELECT p.oid::regprocedure f FROM pg_proc p WHERE p.pronamespace='pg_catalog'::regnamespace AND (
   p.proname ~ '^(pg_sleep|pg_(try_)?advisory|lo_|loread|lowrite|query_to_xml|table_to_xml|schema_to_xml|database_to_xml|cursor_to_xml|pg_terminate_backend|pg_cancel_backend|pg_notify|set_config|pg_export_snapshot|pg_current_xact_id$|txid_current$|pg_logical_|pg_replication_|pg_stat_reset|pg_switch_wal|pg_create_|pg_reload|pg_rotate|pg_promote|pg_backup|pg_read_|pg_ls_|pg_stat_file|ts_stat|pg_import|gin_clean|brin_summ|brin_desum|pg_log_backend|pg_listening|currval|lastval|pg_get_functiondef|pg_control_|pg_current_logfile|pg_tablespace_location|inet_server|pg_postmaster_start|pg_conf_load|pg_hba|pg_show_all_file|pg_stat_get_activity|pg_stat_get_wal_rec|pg_stat_get_subs|pg_show_all_settings|pg_config)'
   OR p.oid::regprocedure::text = 'ts_rewrite(tsquery,text)') LOOP EXECUTE 'REVOKE EXECUTE ON FUNCTION '||r.f||' FROM PUBLIC'; END LOOP;
END$$;
REVOKE SELECT ON pg_catalog.pg_user_mappings, pg_catalog.pg_stats, pg_catalog.pg_stats_ext, pg_catalog.pg_stats_ext_exprs, pg_catalog.pg_db_role_setting, pg_catalog.pg_roles, pg_catalog.pg_user, pg_catalog.pg_stat_activity, pg_catalog.pg_stat_ssl, pg_catalog.pg_settings, pg_catalog.pg_stat_replication, pg_catalog.pg_foreign_server, pg_catalog.pg_policies, pg_catalog.pg_largeobject_metadata, pg_catalog.pg_timezone_names, public.pg_stat_statements, public.pg_stat_statements_info FROM PUBLIC;
REVOKE SELECT ON pg_catalog.pg_proc FROM PUBLIC;
GRANT SELECT (oid,proname,pronamespace,proowner,prolang,procost,prorows,provariadic,prosupport,prokind,prosecdef,proleakproof,proisstrict,proretset,provolatile,proparallel,pronargs,pronargdefaults,prorettype,proargtypes,proallargtypes,proargmodes,proargnames) ON pg_catalog.pg_proc TO PUBLIC;
ALTER ROLE mcp_hard IN DATABASE ${DB} SET search_path = shop;
-- what pgtool itself needs, to ask what the role may do and to set its limits; the gate refuses both to callers
GRANT SELECT ON pg_catalog.pg_roles TO mcp_hard;
GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) TO mcp_hard;
