package pgtool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	checkEvery = time.Second     // a look at each server
	checkLimit = 2 * time.Second // for its answer
	freshFor   = 5 * time.Second // after a look, what it saw counts
	maxMaxLag  = time.Hour
	maxServers = 16
)

// A server is one that has the data: the primary, which URL names, or a replica.
type server struct {
	pool    *pool
	look    *pool // of one connection, so that a look never waits for statements
	primary bool
	good    atomic.Int64 // when it was last fit to be asked, in Unix nanoseconds
}

func (s *server) fit() bool { return time.Since(time.Unix(0, s.good.Load())) < freshFor }

// replicas are the servers besides the primary, and what is known of them.
type replicas struct {
	servers []*server // the primary is first
	next    atomic.Uint32
	stop    context.CancelFunc
	looks   sync.WaitGroup

	mu       sync.Mutex
	identity string
	samples  []sample
}

// A sample is how far the primary's log had come at a time.
type sample struct {
	at  time.Time
	log float64
}

// lookSQL asks for what identifies the data and the database in it, how far the log
// has come here, whether this is a replica, and how old the last change is in it.
const lookSQL = `
SELECT (SELECT system_identifier FROM pg_control_system()) || ' ' || (SELECT oid FROM pg_database WHERE datname = current_database()),
	(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn)::text, pg_is_in_recovery(),
	extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::text`

// A sight is what lookSQL returns.
type sight struct {
	identity string
	log      float64
	replica  bool
	age      time.Duration
}

func (s *server) see(ctx context.Context) (sight, error) {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	r, err := s.look.query(ctx, &query{sql: lookSQL, own: true, anyone: true, maxRows: 1, maxBytes: 1 << 10}, checkLimit)
	if err != nil {
		return sight{}, err
	}
	x := sight{age: maxMaxLag * 2}
	r.each(func(v [][]byte) bool {
		x.identity, x.replica = string(v[0]), string(v[2]) == "t"
		if x.log, err = strconv.ParseFloat(string(v[1]), 64); err != nil {
			return false
		}
		if age, err := strconv.ParseFloat(string(v[3]), 64); err == nil && age < maxMaxLag.Seconds() {
			x.age = time.Duration(age * float64(time.Second))
		}
		return true
	})
	return x, err
}

// openReplicas connects to the servers of Options.Replicas. One that is down now is
// passed over; one that holds other data is an error.
func (db *DB) openReplicas(ctx context.Context) error {
	if len(db.o.Replicas) == 0 {
		return nil
	}
	rs := &replicas{}
	rs.servers = append(rs.servers, &server{pool: db.pool, look: newPool(db.pool.config, 1, db.checkConn), primary: true})
	db.replicas = rs
	for i, url := range db.o.Replicas {
		config, err := db.o.config(url)
		if err != nil {
			return fmt.Errorf("Options.Replicas[%d]: %w", i, err)
		}
		rs.servers = append(rs.servers, &server{pool: newPool(config, db.o.MaxConns, db.checkConn), look: newPool(config, 1, db.checkConn)})
	}
	for i, s := range rs.servers {
		if err := rs.check(ctx, s, db.o.MaxLag); errors.Is(err, errOtherData) {
			return fmt.Errorf("Options.Replicas[%d] %w", i-1, err)
		}
	}
	background, stop := context.WithCancel(context.Background())
	rs.stop = stop
	for _, s := range rs.servers {
		rs.looks.Go(func() { rs.watch(background, s, db.o.MaxLag) })
	}
	return nil
}

var errOtherData = errors.New("is no replica of the server that Options.URL names: it has other data")

func (rs *replicas) watch(ctx context.Context, s *server, maxLag time.Duration) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := rs.check(ctx, s, maxLag); err != nil && !s.primary && ctx.Err() == nil {
				s.good.Store(0)
				s.pool.abandon() // the calls that wait for it go to another
			}
		}
	}
}

// check looks at a server, and notes whether it may be asked.
func (rs *replicas) check(ctx context.Context, s *server, maxLag time.Duration) error {
	x, err := s.see(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if s.primary {
		rs.identity = x.identity
		rs.note(sample{now, x.log}, maxLag)
		s.good.Store(now.UnixNano())
		return nil
	}
	if x.identity != rs.identity {
		s.good.Store(0)
		return errOtherData
	}
	if x.replica && (x.log >= rs.wanted(now, maxLag) || x.age <= maxLag) {
		s.good.Store(now.UnixNano())
	} else {
		s.good.Store(0)
	}
	return nil
}

// note keeps the samples of the last maxLag, and the one before.
func (rs *replicas) note(s sample, maxLag time.Duration) {
	rs.samples = append(rs.samples, s)
	for len(rs.samples) > 1 && s.at.Sub(rs.samples[1].at) > maxLag {
		rs.samples = rs.samples[1:]
	}
}

// wanted is how far a replica must have come: as far as the primary was maxLag ago,
// or at the first look. While the primary is down that is all that is known of it.
func (rs *replicas) wanted(now time.Time, maxLag time.Duration) float64 {
	if len(rs.samples) == 0 {
		return 0
	}
	want := rs.samples[0].log
	for _, s := range rs.samples {
		if now.Sub(s.at) >= maxLag {
			want = s.log
		}
	}
	return want
}

// order lists the servers that a query may go to, the best first. Statements of
// callers go to replicas; what looks at the database itself, to the primary.
func (rs *replicas) order(q *query) []*server {
	primary := rs.servers[0]
	if q.primary {
		return rs.servers[:1]
	}
	var fit []*server
	for i := range rs.servers[1:] {
		n := (int(rs.next.Load()) + i) % (len(rs.servers) - 1)
		if s := rs.servers[1+n]; s.fit() {
			fit = append(fit, s)
		}
	}
	rs.next.Add(1)
	if q.own && primary.fit() {
		return append([]*server{primary}, fit...)
	}
	return append(fit, primary)
}

// ask runs a query that reads on the best server, and, if that one has not
// answered, once more on another.
func (db *DB) ask(ctx context.Context, q *query) (*result, error) {
	limit := db.o.Timeout + grace + time.Second
	if db.replicas == nil {
		return db.pool.query(ctx, q, limit)
	}
	servers := db.replicas.order(q)
	r, err := servers[0].pool.query(ctx, q, limit)
	if len(servers) == 1 || ctx.Err() != nil || !servers[0].failed(err) {
		return r, err
	}
	return servers[1].pool.query(ctx, q, limit)
}

// failed reports whether an error is one of the server and not of the statement.
func (s *server) failed(err error) bool {
	if err == nil {
		return false
	}
	if reported := reportedBy(err); reported != nil {
		// On a replica 40001 means that the log was in the way of the statement.
		return fatal(reported) || slices.Contains([]string{"57P01", "57P02", "57P03", "53300"}, reported.Code) || !s.primary && reported.Code == "40001"
	}
	var lost *lostError
	return err == errBusy || errors.As(err, &lost) && (hungUp(lost.cause) || !errors.Is(err, os.ErrDeadlineExceeded) && !tooLarge(err) || !s.primary && !s.fit())
}

func (rs *replicas) close() {
	if rs == nil {
		return
	}
	if rs.stop != nil {
		rs.stop()
	}
	rs.looks.Wait()
	for _, s := range rs.servers {
		s.look.close()
		if !s.primary {
			s.pool.close()
		}
	}
}
