package pgtool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/sqlcatalog"
	"github.com/mcpsec/mcpsec-go/internal/sqledit"
	"github.com/mcpsec/mcpsec-go/internal/sqlgate"
	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

const (
	stampEvery = time.Second     // between looks whether the catalog has changed
	loadEvery  = 5 * time.Second // between loads, where the catalog changes all the time
	loadShare  = 10              // a load takes at most one part in so many of the time
	loadLimit  = time.Minute     // for which it is put off on this account
	staleLimit = 5 * time.Second // for which other calls go on by what was known when one is looking
	loadAfter  = 5 * time.Minute // a load in any case: no statistics, no notice
	maxObjects = 500_000         // of the catalog
	maxSQLText = 4 << 20         // bytes of statements whose verdict is kept
)

// A gate decides which statements of a caller are sent.
type gate struct {
	turn   chan struct{} // one call looks at the catalog at a time
	judge  atomic.Pointer[judge]
	looked atomic.Int64 // when, in Unix nanoseconds
	stale  atomic.Bool  // a guard has seen that the catalog is another one

	stamp  string // of the catalog that was loaded; whoever has turn
	loaded time.Time
	took   time.Duration // to load it
}

// A judge has one snapshot of the catalog, and the verdicts by it.
type judge struct {
	snapshot *sqlcatalog.Snapshot

	mu    sync.RWMutex
	known map[request]sentence
	size  int
}

// A request is a statement, and whether EXPLAIN may run it, or the operator has
// written it. The server is asked about it for each role, whose schemas decide on
// what names mean.
type request struct {
	sql          string
	analyze, own bool
	role         string
}

// A sentence is what was decided on a text.
type sentence struct {
	sql    string // what may be sent
	edits  sqledit.Edits
	spoils bool
	runs   string // as in query, and so are the next two
	spills bool
	sorts  bool
	noHash bool // it is to be planned without the hash tables of INTERSECT and EXCEPT, which have no limit
	guard  [][]byte
	passed bool // the server was asked, where it has to be
	err    error
}

// check decides on the statement of q, and completes q.
func (db *DB) check(ctx context.Context, q *query) error {
	var v sentence
	if waive.Has(db.o.Waive, waive.AnySQL) {
		v = sentenceFor(request{sql: q.sql, analyze: q.analyze}, nil)
	} else {
		j, err := db.current(ctx)
		if err != nil {
			return err
		}
		r := request{sql: q.sql, analyze: q.analyze}
		if db.o.ServerCheck && q.tenant != nil {
			r.role = q.tenant.role
		}
		v = j.on(r)
		if v.err == nil && !v.passed && db.o.ServerCheck {
			v.err = db.serverCheck(ctx, j, q)
			j.pass(r, v)
		}
	}
	return db.take(q, v)
}

// take makes q what was decided on it.
func (db *DB) take(q *query, v sentence) error {
	if v.err != nil {
		return gateError(v.err)
	}
	q.given, q.edits = q.sql, v.edits
	q.sql, q.spoils = v.sql, q.spoils || v.spoils
	q.runs, q.spills, q.sorts = v.runs, v.spills, v.sorts
	if v.noHash && q.before == "" {
		q.before = sortsOnly
	}
	if v.guard != nil {
		q.guard = append(v.guard[:3:3], db.maskGuard)
	}
	return nil
}

// sortsOnly goes before a statement that is to be planned without hash tables, for
// its transaction.
const sortsOnly = "SELECT pg_catalog.set_config('enable_hashagg', 'off', true)"

func sentenceFor(r request, s *sqlcatalog.Snapshot) sentence {
	st, err := sqlgate.Check(r.sql, sqlgate.Options{AllowExplainAnalyze: r.analyze})
	var edits sqledit.Edits
	switch {
	case err != nil || s == nil:
	case r.own:
		edits, err = s.Mask(st)
	default:
		edits, err = s.Check(st)
	}
	if err != nil {
		return sentence{err: err}
	}
	v := sentence{sql: edits.Apply(st.SQL), edits: edits, spoils: spoils(st.Query), guard: guardFor(st.Query, s)}
	if s != nil && !r.own && (st.Kind == sqlgate.Query || st.Kind == sqlgate.Explain && r.analyze) {
		v.runs = v.sql[st.Query[0].Pos:] // nothing is put in before
		v.spills, v.sorts = canSpill(st.Query)
		v.noHash = sqlcatalog.Sorts(st.Query)
	}
	return v
}

// on returns the verdict on a text, of which it remembers a number.
func (j *judge) on(r request) sentence {
	j.mu.RLock()
	v, ok := j.known[r]
	j.mu.RUnlock()
	if ok {
		return v
	}
	r.sql = strings.Clone(r.sql) // a text may be a piece of a larger one
	v = sentenceFor(r, j.snapshot)
	size := len(r.sql) + 200
	if v.edits != nil {
		size += 2 * len(v.sql)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.size += size; j.known == nil || j.size > maxSQLText {
		j.known, j.size = map[request]sentence{}, size
	}
	j.known[r] = v
	return v
}

// pass remembers that the server was asked about a text which is known, unless what
// it said may be another thing the next time.
func (j *judge) pass(r request, v sentence) {
	var refusal *sqlgate.Refusal
	if v.err != nil && !errors.As(v.err, &refusal) {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, ok := j.known[r]; ok {
		v.passed = v.err == nil
		r.sql = strings.Clone(r.sql)
		j.known[r] = v
	}
}

// current returns the judge by the catalog as it was a moment ago.
func (db *DB) current(ctx context.Context) (*judge, error) {
	g := &db.gate
	if j := g.judge.Load(); j != nil && !g.stale.Load() && time.Since(time.Unix(0, g.looked.Load())) < stampEvery {
		return j, nil
	}
	if err := g.enter(ctx); err == errOthersLook {
		return g.judge.Load(), nil
	} else if err != nil {
		return nil, err
	}
	defer func() { <-g.turn }()
	j := g.judge.Load()
	if j != nil && !g.stale.Load() && time.Since(time.Unix(0, g.looked.Load())) < stampEvery {
		return j, nil // another call has looked meanwhile
	}
	j, err := db.look(ctx, j)
	if reported := (*pgconn.PgError)(nil); errors.As(err, &reported) {
		return nil, &mcpsec.Error{Message: "the database's catalog cannot be read now; try again, then report it", Err: errors.New(logText(reported))}
	}
	if err != nil {
		return nil, modelError(err)
	}
	g.judge.Store(j)
	g.looked.Store(time.Now().UnixNano())
	return j, nil
}

var errOthersLook = errors.New("another call looks at the catalog")

// enter waits for the turn to look. It does not wait for another call that looks if
// what is known is not much older than it may be.
func (g *gate) enter(ctx context.Context) error {
	select {
	case g.turn <- struct{}{}:
		return nil
	default:
	}
	if g.judge.Load() != nil && time.Since(time.Unix(0, g.looked.Load())) < staleLimit {
		return errOthersLook
	}
	select {
	case g.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// look returns j, or a new judge if the catalog is not what it was.
func (db *DB) look(ctx context.Context, j *judge) (*judge, error) {
	r, err := db.query(ctx, &query{sql: sqlcatalog.StampSQL, own: true, anyone: true, maxRows: 1, maxBytes: 10_000})
	if err != nil {
		return nil, fmt.Errorf("looking whether the catalog has changed: %w", err)
	}
	stamp := ""
	r.each(func(v [][]byte) bool {
		stamp = string(v[0])
		return false
	})
	age := time.Since(db.gate.loaded)
	stale := db.gate.stale.Load() && age > stampEvery
	if j != nil && !stale && db.gate.fresh(stamp, age) {
		return j, nil
	}
	db.gate.stale.Store(false)
	start := time.Now()
	snapshot, err := db.load(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the catalog: %w", err)
	}
	db.gate.stamp, db.gate.loaded, db.gate.took = stamp, time.Now(), time.Since(start)
	return &judge{snapshot: snapshot}, nil
}

// fresh reports whether a catalog of an age need not be loaded again.
func (g *gate) fresh(stamp string, age time.Duration) bool {
	pause := min(max(loadEvery, loadShare*g.took), loadLimit)
	return age < pause || stamp == g.stamp && age < loadAfter
}

var errManyObjects = errors.New("the database has too many objects to keep the verdicts on them")

func (db *DB) load(ctx context.Context) (*sqlcatalog.Snapshot, error) {
	q := &query{sql: sqlcatalog.SQL, own: true, anyone: true, maxRows: maxObjects, maxBytes: 200 * maxObjects}
	if len(db.o.Mask) > 0 {
		q.sql = sqlcatalog.MaskSQL
		q.args, _ = db.o.maskPatterns()
	}
	r, err := db.query(ctx, q)
	if err != nil {
		return nil, err
	}
	if r.more {
		return nil, errManyObjects
	}
	return sqlcatalog.New(func(yield func(sqlcatalog.Row) bool) {
		r.each(func(v [][]byte) bool {
			return yield(sqlcatalog.Row{
				Kind: v[0][0], OID: parseOID(v[1]), Ref: parseOID(v[2]), Schema: string(v[3]), Name: string(v[4]), Info: string(v[5]),
			})
		})
	}, db.policy()), nil
}

func (db *DB) policy() sqlcatalog.Policy {
	return sqlcatalog.Policy{Schemas: db.o.Schemas, Allow: db.o.Allow, Masks: len(db.o.Mask) > 0}
}

// startGate reads the catalog for the first time.
func (db *DB) startGate(ctx context.Context) error {
	j, err := db.look(ctx, nil)
	if errors.Is(err, errManyObjects) {
		return err
	}
	if err != nil {
		return errors.New(startText(err))
	}
	if missing := j.snapshot.Missing(db.policy()); len(missing) > 0 {
		return fmt.Errorf("Options.Allow names what the database does not have: %s", strings.Join(missing, ", "))
	}
	if idle := db.o.idleMask(j.snapshot); idle != "" {
		return fmt.Errorf("Options.Mask names what the database does not have: %s", idle)
	}
	db.gate.judge.Store(j)
	db.gate.looked.Store(time.Now().UnixNano())
	if db.o.ServerCheck {
		return db.startServerCheck(ctx)
	}
	return nil
}
