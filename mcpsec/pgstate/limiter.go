package pgstate

import (
	"context"
	"fmt"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/bounds"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// takeSQL counts by the row's own lock: whoever comes second sees what the first has
// left. A refused take writes too, its wait, which an unlogged table makes cheap.
//
// $1 key, $2 what must be there, $3 what to take, $4 limit, $5 per, $6 calendar
const takeSQL = `
INSERT INTO {schema}.allowances AS a (key, most, per, calendar, owed, at, leaves, wait)
SELECT $1::bytea, $4::bigint, $5::bigint, $6::boolean, GREATEST($3::bigint, 0::bigint)::numeric * $5::bigint::numeric, c.now,
  c.now + $5::bigint, 0::bigint
FROM (SELECT {clock} AS now) AS c
ON CONFLICT (key) DO UPDATE SET (most, per, calendar, owed, at, leaves, wait) = (
  SELECT $4::bigint, $5::bigint, $6::boolean, o.owed, t.now,
    CASE WHEN $6::boolean THEN t.ends ELSE t.now + LEAST(pg_catalog.div(o.owed + $4::bigint::numeric - 1::numeric, $4::bigint::numeric), {longest}::numeric)::bigint END,
    CASE WHEN NOT m.refused THEN 0::bigint
      WHEN $6::boolean THEN t.ends - excluded.at
      ELSE t.now - excluded.at + LEAST(pg_catalog.div(m.missing + $4::bigint::numeric - 1::numeric, $4::bigint::numeric), {longest}::numeric)::bigint END
  FROM (SELECT GREATEST(a.at, excluded.at) AS now, GREATEST(a.at, excluded.at) - GREATEST(a.at, excluded.at) % $5::bigint + $5::bigint AS ends) AS t
  CROSS JOIN LATERAL (SELECT CASE -- what is owed by now
      WHEN NOT a.calendar THEN GREATEST(a.owed - a.most::numeric * (t.now - a.at)::numeric, 0::numeric)
      WHEN a.at < t.now - t.now % a.per THEN 0::numeric
      ELSE a.owed END AS owed) AS s
  CROSS JOIN LATERAL (SELECT CASE -- in units of the new per
      WHEN a.per = $5::bigint THEN s.owed
      ELSE pg_catalog.div(s.owed + a.per::numeric - 1::numeric, a.per::numeric) * $5::bigint::numeric END AS owed) AS u
  CROSS JOIN LATERAL (SELECT u.owed + ($2::bigint::numeric - $4::bigint::numeric) * $5::bigint::numeric AS missing) AS n
  CROSS JOIN LATERAL (SELECT n.missing, $3::bigint >= 0::bigint AND n.missing > 0::numeric AS refused) AS m
  CROSS JOIN LATERAL (SELECT CASE WHEN m.refused THEN u.owed
      ELSE GREATEST(u.owed + $3::bigint::numeric * $5::bigint::numeric, 0::numeric) END AS owed) AS o
)
RETURNING a.wait`

// Take implements [state.Limiter], by the database's clock and to the microsecond.
func (s *Store) Take(ctx context.Context, key string, n int64, a state.Allowance) (time.Duration, error) {
	if err := bounds.Take(key, n, a.Limit, a.Per); err != nil {
		return bounds.Unknown, fmt.Errorf("taking of an allowance: %w", err)
	}
	need := n
	if n == 0 {
		need = 1
	}
	wait, err := do(ctx, s, func(ctx context.Context) (wait int64, err error) {
		err = s.pool.QueryRow(ctx, s.takeSQL, digest(key), need, n, a.Limit, a.Per.Microseconds(), a.Calendar).Scan(&wait)
		return wait, err
	})
	if err == nil && wait < 0 {
		err = plain("the table holds what it cannot")
	}
	if err != nil {
		return bounds.Unknown, fmt.Errorf("taking of an allowance: %w", err)
	}
	return time.Duration(wait) * time.Microsecond, nil
}
