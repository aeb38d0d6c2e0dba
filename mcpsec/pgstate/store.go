package pgstate

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// Options configures a [Store]. The zero value is good for most.
type Options struct {
	// Schema is where the tables are. Defaults to mcpsec.
	Schema string
	// Timeout is how long one call may take, waiting for a connection of the pool
	// included. Defaults to 5 seconds, and is at most a minute.
	Timeout time.Duration
	// CleanEvery is the time between two deletions of rows that no longer count.
	// Defaults to a minute, and is at least a second.
	CleanEvery time.Duration
	// Log takes failures of these deletions. Defaults to text on standard error.
	Log slog.Handler
}

// A Store is the [state.Store] of all replicas that use one database. It is safe
// for concurrent use.
type Store struct {
	pool    *pgxpool.Pool
	timeout time.Duration
	log     *slog.Logger
	slots   chan struct{} // one for each connection

	takeSQL, claimSQL, completeSQL, failSQL string
	cleanSQL                                []string

	stop    context.CancelFunc
	cleaner sync.WaitGroup
}

var _ state.Store = (*Store)(nil)

// New returns a Store on the pool, which stays the caller's and must outlive it. It
// asks the database whether all is as it should be, and says what to do if not. The
// Store must be closed.
func New(ctx context.Context, pool *pgxpool.Pool, o Options) (*Store, error) {
	o.Schema = orDefault(o.Schema)
	if err := o.check(pool); err != nil {
		return nil, fmt.Errorf("pgstate: %w", err)
	}
	s := &Store{pool: pool, timeout: o.Timeout, log: slog.New(o.Log), slots: make(chan struct{}, pool.Config().MaxConns)}
	s.prepare(quote(o.Schema), databaseClock)
	for _, check := range []func(context.Context, querier, string) error{checkSession, checkVersion, checkTables} {
		if _, err := do(ctx, s, func(ctx context.Context) (any, error) { return nil, check(ctx, pool, o.Schema) }); err != nil {
			return nil, fmt.Errorf("pgstate: %w", err)
		}
	}
	s.startCleaner(o.CleanEvery)
	return s, nil
}

func (o *Options) check(pool *pgxpool.Pool) error {
	switch {
	case pool == nil:
		return errors.New("a pool is required")
	case o.Timeout < 0 || o.Timeout > time.Minute:
		return errors.New("Options.Timeout must be at most a minute")
	case o.CleanEvery != 0 && o.CleanEvery < time.Second:
		return errors.New("Options.CleanEvery must be at least a second")
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.CleanEvery == 0 {
		o.CleanEvery = time.Minute
	}
	if o.Log == nil {
		o.Log = slog.NewTextHandler(os.Stderr, nil)
	}
	return checkName(o.Schema)
}

// databaseClock is the time in microseconds. Replicas' clocks differ.
const databaseClock = `(EXTRACT(epoch FROM pg_catalog.clock_timestamp()) * 1000000::numeric)::bigint`

// longest is the longest wait that is told.
const longest = 100 * 366 * 24 * time.Hour

// prepare fills in the statements. Every function and table in them is qualified,
// and operands have the very types of the built-in operators, so that no object of
// somebody else's can fit better.
func (s *Store) prepare(schema, clock string) {
	fill := strings.NewReplacer("{schema}", schema, "{clock}", clock, "{longest}", fmt.Sprint(longest.Microseconds())).Replace
	s.takeSQL, s.claimSQL, s.completeSQL, s.failSQL = fill(takeSQL), fill(claimSQL), fill(completeSQL), fill(failSQL)
	s.cleanSQL = nil
	for _, table := range []string{"claims", "allowances"} {
		s.cleanSQL = append(s.cleanSQL, fill(strings.ReplaceAll(cleanSQL, "{table}", table)))
	}
}

// checkSession refuses a session in which the statements would not mean what they
// should.
func checkSession(ctx context.Context, q querier, _ string) error {
	var version int
	var standby bool
	var isolation, commit, readOnly, first string
	err := q.QueryRow(ctx, `SELECT pg_catalog.current_setting('server_version_num')::integer, pg_catalog.pg_is_in_recovery(),
		pg_catalog.current_setting('default_transaction_isolation'), pg_catalog.current_setting('synchronous_commit'),
		pg_catalog.current_setting('default_transaction_read_only'),
		(SELECT s FROM pg_catalog.unnest(pg_catalog.current_schemas(true)) AS s WHERE s::text NOT LIKE 'pg\_temp%' LIMIT 1)::text`).
		Scan(&version, &standby, &isolation, &commit, &readOnly, &first)
	switch {
	case err != nil:
		return err
	case version < 140000:
		return plain("PostgreSQL 14 or later is required")
	case standby:
		return plain("this is a standby: connect to the primary")
	case readOnly != "off":
		return plain("default_transaction_read_only is on for this role")
	case isolation != "read committed":
		return plain("default_transaction_isolation must be read committed for this role")
	case commit == "off":
		return plain("synchronous_commit is off: a crash would forget keys that were used. Set it on for this role")
	case first != "pg_catalog":
		return plain("the role's search_path puts another schema before pg_catalog: leave pg_catalog out of it")
	}
	return nil
}

func checkTables(ctx context.Context, q querier, schema string) error {
	var tables int
	var rights, logged bool
	err := q.QueryRow(ctx, `SELECT pg_catalog.count(*),
		COALESCE(pg_catalog.bool_and(pg_catalog.has_table_privilege(c.oid, 'SELECT') AND pg_catalog.has_table_privilege(c.oid, 'INSERT')
			AND pg_catalog.has_table_privilege(c.oid, 'UPDATE') AND pg_catalog.has_table_privilege(c.oid, 'DELETE')), false),
		COALESCE(pg_catalog.bool_or(c.relname = 'claims' AND c.relpersistence = 'p'), false)
		FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
		WHERE n.nspname::text = $1::text AND c.relname IN ('claims', 'allowances')`, schema).Scan(&tables, &rights, &logged)
	switch {
	case err != nil:
		return err
	case tables != 2:
		return plain(byCode("42P01"))
	case !rights:
		return plain(byCode("42501"))
	case !logged:
		return plain("the table claims must be logged: a crash would forget keys that were used")
	}
	return nil
}

// digest is what of a key gets into the database.
func digest(key string) []byte {
	sum := sha256.Sum256([]byte(key))
	return sum[:]
}
