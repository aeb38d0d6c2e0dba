package pgtool

import (
	"fmt"
	"strconv"
)

var settingsChecks = []check{{name: "settings", sql: settingsSQL, judge: judgeSettings}}

// settingsSQL asks for the values that rules are about, in the units of bytes,
// milliseconds or none, as the server runs with. The limits of our own sessions
// are not among them.
const settingsSQL = `
SELECT name, CASE WHEN vartype IN ('integer', 'real') THEN (setting::numeric * CASE unit WHEN '8kB' THEN 8192 WHEN 'kB' THEN 1024 WHEN 'MB' THEN 1048576
	WHEN 's' THEN 1000 WHEN 'min' THEN 60000 ELSE 1 END)::text ELSE setting END AS value, pending_restart::text AS pending
FROM pg_settings WHERE context <> 'internal'`

// A rule says which values of a setting are not good.
type rule struct {
	name, severity string
	bad            func(value string) bool
	why, want      string
}

func is(values ...string) func(string) bool {
	return func(v string) bool {
		for _, w := range values {
			if v == w {
				return true
			}
		}
		return false
	}
}

func below(n float64) func(string) bool {
	return func(v string) bool { f, err := strconv.ParseFloat(v, 64); return err == nil && f >= 0 && f < n }
}

func above(n float64) func(string) bool {
	return func(v string) bool { f, err := strconv.ParseFloat(v, 64); return err == nil && f > n }
}

func exactly(n float64) func(string) bool {
	return func(v string) bool { f, err := strconv.ParseFloat(v, 64); return err == nil && f == n }
}

const (
	mib    = 1 << 20
	minute = 60_000 // milliseconds
)

// settingRules are for a server with data that matters. What depends on the
// machine is advice, not a fault.
var settingRules = []rule{
	{"fsync", critical, is("off"), "After a crash of the machine the database may be damaged beyond repair.", "on"},
	{"full_page_writes", critical, is("off"), "A crash in the middle of writing a page leaves a damaged one.", "on"},
	{"zero_damaged_pages", critical, is("on"), "Damaged pages are silently replaced by empty ones: rows are lost.", "off"},
	{"ignore_checksum_failure", critical, is("on"), "Damaged pages are read as if they were good.", "off"},
	{"synchronous_commit", warning, is("off"), "The last transactions that a client was told are committed can be lost in a crash.", "on"},
	{"autovacuum", critical, is("off"), "Dead rows and old transaction ids pile up until the server stops writing.", "on"},
	{"track_counts", critical, is("off"), "Autovacuum does not know which tables need it.", "on"},
	{"autovacuum_max_workers", info, below(3), "One large table keeps all others waiting.", "3"},
	{"autovacuum_freeze_max_age", warning, above(1_000_000_000), "Little room is left between the forced vacuum and the end of transaction ids.", "200000000"},
	{"shared_buffers", info, below(128 * mib), "A small cache reads from the disk what could be in memory. A quarter of the memory is usual.", "'1GB'"},
	{"maintenance_work_mem", info, below(64 * mib), "VACUUM and CREATE INDEX take more passes.", "'256MB'"},
	{"max_connections", info, above(500), "Each connection is a process. Hundreds of busy ones slow each other down: use a pooler.", "200"},
	{"max_wal_size", info, below(1 << 30), "Checkpoints come often under load and write each page anew.", "'2GB'"},
	{"checkpoint_completion_target", info, below(0.5), "Checkpoints write all at once, and statements wait.", "0.9"},
	{"wal_level", info, is("minimal"), "Neither replication nor backups to a point in time are possible.", "replica"},
	{"archive_mode", info, is("off"), "Without archived WAL a backup restores to its own time only, unless another tool streams WAL.", "on"},
	{"random_page_cost", info, exactly(4), "That is the price of a spinning disk: on SSDs the planner avoids indexes that would be faster.", "1.1"},
	{"log_lock_waits", info, is("off"), "Who waits for whom is not in the log.", "on"},
	{"log_min_duration_statement", info, is("-1"), "Slow statements are not in the log. It would hold their values: protect it.", "'1s'"},
	{"log_connections", info, is("off", ""), "Who has logged in is not in the log.", "on"},
	{"log_checkpoints", info, is("off"), "Checkpoints that come too often are not in the log.", "on"},
	{"log_autovacuum_min_duration", info, above(10 * minute), "Long vacuums are not in the log.", "'10min'"},
	{"log_statement", warning, is("all", "mod"), "The log holds every statement with its values, secrets included.", "ddl"},
	{"debug_print_parse", warning, is("on"), "The log holds the trees of all statements, values included.", "off"},
	{"ssl", warning, is("off"), "Passwords and data cross the network in plain text, unless connections are local only. It needs ssl_cert_file and ssl_key_file.", "on"},
	{"ssl_min_protocol_version", warning, is("TLSv1", "TLSv1.1", ""), "TLS before 1.2 has known weaknesses.", "'TLSv1.2'"},
	{"password_encryption", critical, is("md5"), "An MD5 hash that leaks is as good as the password, and quickly guessed.", "'scram-sha-256'"},
	{"allow_system_table_mods", critical, is("on"), "A superuser's slip can destroy the catalogs.", "off"},
	{"listen_addresses", info, is("*", "0.0.0.0"), "The server listens on every interface: pg_hba.conf alone decides who gets in.", "'localhost'"},
}

// ownSettings names what our sessions set for themselves.
const ownSettings = "statement_timeout, idle_in_transaction_session_timeout and work_mem are not visible to this role: its sessions bring their own; look at postgresql.conf"

func judgeSettings(rows []map[string]string) (out []finding) {
	values := make(map[string]string, len(rows))
	for _, r := range rows {
		values[r["name"]] = r["value"]
		if r["pending"] == "true" {
			out = append(out, finding{Severity: info, Check: "pending_restart", Object: r["name"], What: "the configuration has another value, which a restart will bring",
				Why: "The server does not run with what its files say."})
		}
	}
	for _, r := range settingRules {
		value, ok := values[r.name]
		if !ok || !r.bad(value) {
			continue
		}
		out = append(out, finding{Severity: r.severity, Check: "setting_" + r.name, Object: r.name, What: fmt.Sprintf("it is %q", value),
			Why: r.why, Fix: "ALTER SYSTEM SET " + r.name + " = " + r.want + ";"})
	}
	return append(out, finding{Severity: hidden, What: ownSettings})
}
