package pgstate

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/bounds"
)

// A mark is a claim that is done, whose result is the mark and, behind it, what it was
// before, eight bytes each: so the row itself tells who came second what the first has
// left. It is written although the mark is not lower, for that reason.
//
// $1 key, $2 mark, $3 time to keep
const raiseSQL = `
INSERT INTO {schema}.claims AS k (key, done, result, ends, leaves)
SELECT $1::bytea, true, pg_catalog.int8send($2::bigint) || pg_catalog.int8send(0::bigint), c.now + $3::bigint, c.now + $3::bigint
FROM (SELECT {clock} AS now) AS c
ON CONFLICT (key) DO UPDATE SET (result, ends, leaves) = (
  SELECT GREATEST(was.mark, pg_catalog.int8send($2::bigint)) || was.mark,
    CASE WHEN was.mark < pg_catalog.int8send($2::bigint) THEN excluded.ends ELSE k.ends END,
    CASE WHEN was.mark < pg_catalog.int8send($2::bigint) THEN excluded.leaves ELSE k.leaves END
  FROM (SELECT CASE WHEN k.ends > excluded.ends - $3::bigint THEN pg_catalog.substr(k.result, 1, 8) ELSE pg_catalog.int8send(0::bigint) END AS mark) AS was
)
RETURNING pg_catalog.substr(k.result, 9, 8)`

// $1 key
const markSQL = `SELECT pg_catalog.substr(k.result, 1, 8) FROM {schema}.claims AS k WHERE k.key = $1::bytea AND k.ends > (SELECT {clock})`

// Raise implements [state.Marker], by the database's clock.
func (s *Store) Raise(ctx context.Context, key string, n int64, keep time.Duration) (int64, error) {
	if err := bounds.Mark(key, n, keep); err != nil {
		return 0, fmt.Errorf("raising a mark: %w", err)
	}
	before, err := do(ctx, s, func(ctx context.Context) (int64, error) {
		if n == 0 {
			return s.mark(ctx, s.markSQL, digest(bounds.MarkKey(key)))
		}
		return s.mark(ctx, s.raiseSQL, digest(bounds.MarkKey(key)), n, up(keep))
	})
	if err != nil {
		return 0, fmt.Errorf("raising a mark: %w", err)
	}
	return before, nil
}

// mark reads the one mark that sql returns; without a row it is 0.
func (s *Store) mark(ctx context.Context, sql string, args ...any) (int64, error) {
	var raw []byte
	err := s.pool.QueryRow(ctx, sql, args...).Scan(&raw)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return 0, nil
	case err != nil:
		return 0, err
	case len(raw) != 8:
		return 0, plain("the table holds what it cannot")
	}
	return int64(binary.BigEndian.Uint64(raw)), nil
}
