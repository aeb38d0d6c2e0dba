package sqlcatalog

import (
	_ "embed"
	"strings"
)

// functionNames are the functions of PostgreSQL itself, of versions 14 to 18,
// that a caller may name. They compute, or tell what everybody may know of the
// catalogs. Absence is denial, also for versions to come. What reads or writes
// files, large objects, the network, other sessions, sequences, locks, settings,
// statistics, the log or replication is not among them, nor what runs SQL given
// as text or waits.
//
//go:embed functions.txt
var functionNames string

var functions = set(functionNames)

// catalogs are PostgreSQL's own relations that a caller may read. The others
// show passwords, connection strings, settings, values of rows, policies, roles,
// files, or what other sessions do.
var catalogs = set(`
	pg_aggregate pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_available_extension_versions pg_available_extensions pg_cast
	pg_class pg_collation pg_constraint pg_conversion pg_database pg_depend pg_description pg_enum pg_event_trigger pg_extension
	pg_index pg_indexes pg_inherits pg_language pg_locks pg_matviews pg_namespace pg_opclass pg_operator pg_opfamily
	pg_partitioned_table pg_proc pg_publication pg_publication_namespace pg_publication_rel pg_publication_tables pg_range
	pg_rules pg_sequence pg_sequences pg_shdescription pg_stat_activity pg_stat_all_indexes pg_stat_all_tables pg_stat_archiver
	pg_stat_bgwriter pg_stat_checkpointer pg_stat_database pg_stat_io pg_stat_progress_analyze pg_stat_progress_cluster
	pg_stat_progress_copy pg_stat_progress_create_index pg_stat_progress_vacuum pg_stat_sys_indexes pg_stat_sys_tables
	pg_stat_user_functions pg_stat_user_indexes pg_stat_user_tables pg_stat_wal pg_stat_xact_all_tables pg_stat_xact_user_tables
	pg_statio_all_indexes pg_statio_all_sequences pg_statio_all_tables pg_statio_user_indexes pg_statio_user_sequences
	pg_statio_user_tables pg_statistic_ext pg_tables pg_tablespace pg_timezone_abbrevs pg_trigger pg_ts_config pg_ts_config_map
	pg_ts_dict pg_ts_parser pg_ts_template pg_type pg_views pg_wait_events`)

// standardDenied are views of information_schema with options of foreign
// servers, which hold passwords. The others show what the role may use.
var standardDenied = set(`
	_pg_foreign_data_wrappers _pg_foreign_servers _pg_foreign_table_columns _pg_foreign_tables _pg_user_mappings column_options
	foreign_data_wrapper_options foreign_server_options foreign_table_options user_mapping_options user_mappings`)

// sealed are columns of allowed relations that show other people's texts: the
// source of functions, with what it was compiled in, and the statements and
// addresses of other sessions.
var sealed = map[name]map[string]bool{
	{"pg_catalog", "pg_proc"}:          set("prosrc probin prosqlbody proconfig"),
	{"pg_catalog", "pg_stat_activity"}: set("query client_addr client_hostname client_port"),
	{"information_schema", "routines"}: set("routine_definition"),
}

// sealedForMasks is sealed where there are masks: the value that rows have in a
// column that was added after them.
var sealedForMasks = map[name]map[string]bool{{"pg_catalog", "pg_attribute"}: set("attmissingval")}

// sealed returns the columns of a relation that are not for the caller.
func (s *Snapshot) sealed(n name) map[string]bool {
	if columns := sealed[n]; columns != nil || !s.guarded {
		return columns
	}
	return sealedForMasks[n]
}

// unmasked are functions of extensions that are allowed, and find a column by its
// name as text, or show statistics of one. They are not allowed where there are
// masks.
var unmasked = set("st_estimatedextent st_estimated_extent st_findextent find_extent _postgis_stats _postgis_selectivity _postgis_join_selectivity")

// extensions are those whose functions are allowed unless they are VOLATILE.
var extensions = set(`
	btree_gin btree_gist citext cube dict_int dict_xsyn earthdistance fuzzystrmatch hstore intarray ltree pg_trgm postgis
	seg tsm_system_rows tsm_system_time unaccent uuid-ossp vector`)

// volatileNames are functions of extensions that are allowed although VOLATILE.
var volatileNames = set("uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4 system_rows system_time")

// steady are functions that are VOLATILE, and yet no statement can foresee whether
// they return another value the next time: those that are random for secrets, and
// what only other sessions change.
var steady = set(`
	gen_random_uuid uuidv4 uuid_generate_v4 pg_database_size pg_indexes_size pg_relation_size pg_table_size pg_total_relation_size pg_is_in_recovery
	pg_partition_ancestors pg_partition_tree`)

// viewFunctions are functions of PostgreSQL's own that its views in catalogs use, and
// that no other view may.
var viewFunctions = set(`
	pg_get_wait_events pg_lock_status pg_sequence_last_value pg_stat_get_activity pg_stat_get_io pg_stat_get_xact_numscans pg_stat_get_xact_tuples_deleted
	pg_stat_get_xact_tuples_fetched pg_stat_get_xact_tuples_hot_updated pg_stat_get_xact_tuples_inserted
	pg_stat_get_xact_tuples_newpage_updated pg_stat_get_xact_tuples_returned pg_stat_get_xact_tuples_updated`)

// innerDenied are functions that are not VOLATILE, and yet are not allowed even
// in a view.
var innerDenied = []string{"query_to_xml", "table_to_xml", "schema_to_xml", "database_to_xml", "cursor_to_xml", "ts_stat", "ts_rewrite",
	"txid_current", "pg_current_xact_id", "pg_export_snapshot", "pg_get_functiondef", "pg_get_function_sqlbody", "pg_stat_get_activity"}

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

func hasPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}
