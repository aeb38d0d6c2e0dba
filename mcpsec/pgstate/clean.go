package pgstate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// cleanSQL deletes a batch of rows that no longer count, and that nobody uses at
// this moment. What was changed since the statement began is looked at again.
const cleanSQL = `
DELETE FROM {schema}.{table} WHERE key = ANY (ARRAY(
  SELECT key FROM {schema}.{table} WHERE leaves <= (SELECT {clock}) LIMIT $1::bigint FOR UPDATE SKIP LOCKED))`

// batch is how many rows one statement deletes: a few milliseconds' worth, for which
// a caller whose key has just come to its end may have to wait.
const batch = 2000

// Clean deletes the rows that no longer count, and returns how many there were. A
// Store does so by itself; Clean is for programs that want it at a time of their own
// choice. It may run beside everything else, in several replicas at once.
func (s *Store) Clean(ctx context.Context) (int64, error) {
	var deleted int64
	for _, sql := range s.cleanSQL {
		for {
			n, err := s.cleanBatch(ctx, sql)
			if deleted += n; err != nil {
				return deleted, fmt.Errorf("cleaning up: %w", err)
			}
			if n < batch {
				break
			}
		}
	}
	return deleted, nil
}

func (s *Store) cleanBatch(ctx context.Context, sql string) (int64, error) {
	return do(ctx, s, func(ctx context.Context) (int64, error) {
		// A statement that runs once a minute needs no place in the cache.
		tag, err := s.pool.Exec(ctx, sql, pgx.QueryExecModeExec, batch)
		return tag.RowsAffected(), err
	})
}

// startCleaner cleans up until Close, not at one moment with other replicas.
func (s *Store) startCleaner(every time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.cleaner.Go(func() {
		for {
			pause := time.NewTimer(every/2 + rand.N(every))
			select {
			case <-ctx.Done():
				pause.Stop()
				return
			case <-pause.C:
			}
			if _, err := s.Clean(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("shared state was not cleaned up", "error", err)
			}
		}
	})
}

// Close ends the cleaning in the background and waits for it. The pool is the
// caller's to close, afterwards. Closing again does nothing.
func (s *Store) Close() {
	s.stop()
	s.cleaner.Wait()
}
