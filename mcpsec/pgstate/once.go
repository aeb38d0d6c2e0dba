package pgstate

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/bounds"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// claimSQL writes only if it takes the key: whoever repeats a request that is done
// costs a read. It returns no row when another took the key since it began.
//
// $1 key, $2 lease, $3 how long a claim can be settled after it
const claimSQL = `
WITH c AS MATERIALIZED (SELECT {clock} AS now),
seen AS MATERIALIZED (
  SELECT k.done, k.result, k.ends - c.now AS rest
  FROM {schema}.claims AS k CROSS JOIN c WHERE k.key = $1::bytea AND k.ends > c.now
),
mine AS (
  INSERT INTO {schema}.claims AS k (key, ends, leaves)
  SELECT $1::bytea, c.now + $2::bigint, c.now + $2::bigint + $3::bigint FROM c WHERE NOT EXISTS (SELECT FROM seen)
  ON CONFLICT (key) DO UPDATE SET fence = excluded.fence, done = false, result = NULL, ends = excluded.ends, leaves = excluded.leaves
    WHERE k.ends <= excluded.ends - $2::bigint
  RETURNING k.fence
)
SELECT mine.fence, false, NULL::bytea, 0::bigint FROM mine
UNION ALL SELECT 0::bigint, seen.done, seen.result, seen.rest FROM seen`

// $1 key, $2 fence, $3 result, $4 time to keep
const completeSQL = `
UPDATE {schema}.claims AS k SET done = true, result = $3::bytea,
  ends = CASE WHEN k.done THEN k.ends ELSE c.now + $4::bigint END, leaves = CASE WHEN k.done THEN k.leaves ELSE c.now + $4::bigint END
FROM (SELECT {clock} AS now) AS c
WHERE k.key = $1::bytea AND k.fence = $2::bigint AND (NOT k.done OR k.result = $3::bytea)`

// $1 key, $2 fence
const failSQL = `DELETE FROM {schema}.claims AS k WHERE k.key = $1::bytea AND k.fence = $2::bigint AND NOT k.done`

const (
	lateness = time.Hour // how long a claim can be settled after its lease
	attempts = 5         // at a key that is claimed and given back all the time
)

// Claim implements [state.Once].
func (s *Store) Claim(ctx context.Context, key string, lease time.Duration) (state.Claim, error) {
	if err := bounds.Claim(key, lease); err != nil {
		return state.Claim{}, fmt.Errorf("claiming a key: %w", err)
	}
	c, err := do(ctx, s, func(ctx context.Context) (state.Claim, error) {
		for range attempts {
			if c, ok, err := s.claim(ctx, key, lease); ok || err != nil {
				return c, err
			}
		}
		return state.Claim{}, plain("others claim it and give it back all the time")
	})
	if err != nil {
		return state.Claim{}, fmt.Errorf("claiming a key: %w", err)
	}
	return c, nil
}

// claim asks once. It returns false when another was quicker, and its row is not
// seen yet.
func (s *Store) claim(ctx context.Context, key string, lease time.Duration) (state.Claim, bool, error) {
	rows, err := s.pool.Query(ctx, s.claimSQL, digest(key), up(lease), lateness.Microseconds())
	if err != nil {
		return state.Claim{}, false, err
	}
	defer rows.Close()
	if !rows.Next() {
		return state.Claim{}, false, rows.Err()
	}
	var fence, rest int64
	var done bool
	var result []byte
	if err := rows.Scan(&fence, &done, &result, &rest); err != nil {
		return state.Claim{}, false, err
	}
	rows.Close()
	if err := rows.Err(); err != nil { // it is known only now that the statement is committed
		return state.Claim{}, false, err
	}
	switch {
	case fence > 0:
		return state.Claim{Key: key, Status: state.Taken, Fence: uint64(fence)}, true, nil
	case done:
		return state.Claim{Key: key, Status: state.Done, Result: result}, true, nil
	}
	return state.Claim{Key: key, Status: state.Busy, Left: time.Duration(rest) * time.Microsecond}, true, nil
}

// Complete implements [state.Once].
func (s *Store) Complete(ctx context.Context, c state.Claim, result []byte, keep time.Duration) error {
	if err := bounds.Result(result, keep); err != nil {
		return fmt.Errorf("completing a claim: %w", err)
	}
	if result == nil {
		result = []byte{} // nil is NULL, which equals nothing
	}
	if err := s.settle(ctx, c, s.completeSQL, result, up(keep)); err != nil {
		return fmt.Errorf("completing a claim: %w", err)
	}
	return nil
}

// Fail implements [state.Once].
func (s *Store) Fail(ctx context.Context, c state.Claim) error {
	if err := s.settle(ctx, c, s.failSQL); err != nil {
		return fmt.Errorf("failing a claim: %w", err)
	}
	return nil
}

// settle runs a statement that changes the one row that c is the claim of.
func (s *Store) settle(ctx context.Context, c state.Claim, sql string, args ...any) error {
	if c.Status != state.Taken || c.Fence == 0 || c.Fence > math.MaxInt64 {
		return state.ErrLost
	}
	rows, err := do(ctx, s, func(ctx context.Context) (int64, error) {
		tag, err := s.pool.Exec(ctx, sql, append([]any{digest(c.Key), int64(c.Fence)}, args...)...)
		return tag.RowsAffected(), err
	})
	if err == nil && rows != 1 {
		err = state.ErrLost
	}
	return err
}

// up is d in microseconds, at least one.
func up(d time.Duration) int64 { return int64((d + time.Microsecond - 1) / time.Microsecond) }
