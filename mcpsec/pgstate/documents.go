package pgstate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/bounds"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// $1 key
const getSQL = `SELECT d.version, d.value FROM {schema}.documents AS d WHERE d.key = $1::bytea AND d.leaves > (SELECT {clock})`

// putSQL takes the place of a document that has left. It returns no row when the
// document has another version.
//
// $1 key, $2 version, $3 value, $4 time to keep, $5 the end of time
const putSQL = `
WITH c AS MATERIALIZED (SELECT {clock} AS now),
changed AS (
  UPDATE {schema}.documents AS d SET version = DEFAULT, value = $3::bytea, leaves = CASE WHEN $4::bigint = 0 THEN $5::bigint ELSE c.now + $4::bigint END
  FROM c WHERE $2::bigint <> 0 AND d.key = $1::bytea AND d.version = $2::bigint AND d.leaves > c.now
  RETURNING d.version
),
added AS (
  INSERT INTO {schema}.documents AS d (key, value, leaves)
  SELECT $1::bytea, $3::bytea, CASE WHEN $4::bigint = 0 THEN $5::bigint ELSE c.now + $4::bigint END FROM c WHERE $2::bigint = 0
  ON CONFLICT (key) DO UPDATE SET version = DEFAULT, value = excluded.value, leaves = excluded.leaves WHERE d.leaves <= (SELECT c.now FROM c)
  RETURNING d.version
)
SELECT version FROM changed UNION ALL SELECT version FROM added`

// $1 key, $2 version
const deleteSQL = `DELETE FROM {schema}.documents AS d WHERE d.key = $1::bytea AND d.version = $2::bigint AND d.leaves > (SELECT {clock})`

// listSQL reads an interval of the index, and stops at so many bytes.
//
// $1 prefix, $2 after, $3 limit, $4 bytes, $5 what is above all that begin with the
// prefix, NULL if there is nothing
const listSQL = `
SELECT pg_catalog.convert_from(l.key, 'UTF8'), l.version, l.value FROM (
  SELECT p.key, p.version, p.value, pg_catalog.sum(pg_catalog.octet_length(p.value)) OVER (ORDER BY p.key) AS total, pg_catalog.row_number() OVER (ORDER BY p.key) AS place
  FROM (
    SELECT d.key, d.version, d.value FROM {schema}.documents AS d
    WHERE d.key >= $1::bytea AND d.key > $2::bytea AND ($5::bytea IS NULL OR d.key < $5::bytea) AND d.leaves > (SELECT {clock})
    ORDER BY d.key LIMIT $3::bigint
  ) AS p
) AS l WHERE l.total <= $4::bigint OR l.place = 1 ORDER BY l.key`

// Get implements [state.Documents].
func (s *Store) Get(ctx context.Context, key string) (state.Document, error) {
	if err := bounds.Key(key); err != nil {
		return state.Document{}, fmt.Errorf("reading a document: %w", err)
	}
	d, err := do(ctx, s, func(ctx context.Context) (state.Document, error) {
		d := state.Document{Key: key}
		err := s.pool.QueryRow(ctx, s.getSQL, []byte(key)).Scan(&d.Version, &d.Value)
		if errors.Is(err, pgx.ErrNoRows) {
			err = nil
		}
		return d, err
	})
	if err != nil {
		return state.Document{}, fmt.Errorf("reading a document: %w", err)
	}
	return d, nil
}

// Put implements [state.Documents].
func (s *Store) Put(ctx context.Context, d state.Document, keep time.Duration) (state.Document, error) {
	if err := bounds.Put(d.Key, d.Value, keep); err != nil {
		return state.Document{}, fmt.Errorf("writing a document: %w", err)
	}
	if d.Version > math.MaxInt64 {
		return state.Document{}, fmt.Errorf("writing a document: %w", state.ErrLost)
	}
	d.Value = append([]byte{}, d.Value...) // nil is NULL
	version, err := do(ctx, s, func(ctx context.Context) (version uint64, err error) {
		err = s.pool.QueryRow(ctx, s.putSQL, []byte(d.Key), int64(d.Version), d.Value, up(keep), int64(math.MaxInt64)).Scan(&version)
		if errors.Is(err, pgx.ErrNoRows) {
			return 0, nil
		}
		return version, err
	})
	if err == nil && version == 0 {
		err = state.ErrLost
	}
	if err != nil {
		return state.Document{}, fmt.Errorf("writing a document: %w", err)
	}
	d.Version = version
	return d, nil
}

// Delete implements [state.Documents].
func (s *Store) Delete(ctx context.Context, d state.Document) error {
	if err := bounds.Key(d.Key); err != nil {
		return fmt.Errorf("deleting a document: %w", err)
	}
	n, err := do(ctx, s, func(ctx context.Context) (int64, error) {
		tag, err := s.pool.Exec(ctx, s.deleteSQL, []byte(d.Key), int64(min(d.Version, math.MaxInt64)))
		return tag.RowsAffected(), err
	})
	if err == nil && n != 1 {
		err = state.ErrLost
	}
	if err != nil {
		return fmt.Errorf("deleting a document: %w", err)
	}
	return nil
}

// List implements [state.Documents].
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]state.Document, error) {
	if err := bounds.List(prefix, after, limit); err != nil {
		return nil, fmt.Errorf("listing documents: %w", err)
	}
	list, err := do(ctx, s, func(ctx context.Context) ([]state.Document, error) {
		rows, err := s.pool.Query(ctx, s.listSQL, []byte(prefix), []byte(after), limit, bounds.MaxValues, above(prefix))
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d state.Document, err error) {
			err = row.Scan(&d.Key, &d.Version, &d.Value)
			return d, err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("listing documents: %w", err)
	}
	return list, nil
}

// above is the least that is greater than all that begin with prefix.
func above(prefix string) []byte {
	if prefix == "" {
		return nil
	}
	b := []byte(prefix)
	b[len(b)-1]++ // UTF-8 has no byte 0xff
	return b
}
