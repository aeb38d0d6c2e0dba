package pgstate

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
)

// $1 address, $2 reason, $3 its weight, $4 time, $5 source, $6 detail
const suppressSQL = `
INSERT INTO {schema}.suppressions AS k (address, reason, weight, at, source, detail)
VALUES ($1::text, $2::text, $3::integer, $4::bigint, $5::text, $6::text)
ON CONFLICT (address) DO UPDATE SET reason = excluded.reason, weight = excluded.weight, at = excluded.at, source = excluded.source, detail = excluded.detail
  WHERE k.weight < excluded.weight`

const (
	unsuppressSQL = `DELETE FROM {schema}.suppressions AS k WHERE k.address = $1::text AND k.reason = $2::text`
	suppressedSQL = `SELECT k.address, k.reason, k.at, k.source, k.detail FROM {schema}.suppressions AS k WHERE k.address = $1::text`
	// The column's order is that of bytes.
	suppressionsSQL = `SELECT k.address, k.reason, k.at, k.source, k.detail FROM {schema}.suppressions AS k WHERE k.address > $1::text ORDER BY k.address LIMIT $2::bigint`
)

// Suppressions returns the list of addresses that get no mail, which all replicas
// share: see package mailtool/suppress. Addresses, unlike keys, stand in the database
// as they are. It lives as long as the Store.
func (s *Store) Suppressions() suppress.Store { return suppressions{s} }

type suppressions struct{ s *Store }

// Add implements [suppress.Store].
func (l suppressions) Add(ctx context.Context, e suppress.Entry) (bool, error) {
	err := e.Check()
	var n int64
	if err == nil {
		n, err = l.exec(ctx, l.s.suppressSQL, e.Address, string(e.Reason), e.Reason.Weight(), e.Time.UnixMicro(), e.Source, e.Detail)
	}
	if err != nil {
		return false, fmt.Errorf("suppressing an address: %w", err)
	}
	return n > 0, nil
}

// Remove implements [suppress.Store].
func (l suppressions) Remove(ctx context.Context, address string, r suppress.Reason) (bool, error) {
	err := suppress.CheckAddress(address)
	var n int64
	if err == nil {
		n, err = l.exec(ctx, l.s.unsuppressSQL, address, string(r))
	}
	if err != nil {
		return false, fmt.Errorf("removing a suppression: %w", err)
	}
	return n > 0, nil
}

// Check implements [suppress.Store].
func (l suppressions) Check(ctx context.Context, address string) (suppress.Entry, bool, error) {
	err := suppress.CheckAddress(address)
	var found []suppress.Entry
	if err == nil {
		found, err = l.query(ctx, l.s.suppressedSQL, address)
	}
	if err != nil {
		return suppress.Entry{}, false, fmt.Errorf("looking a suppression up: %w", err)
	}
	if len(found) == 0 {
		return suppress.Entry{}, false, nil
	}
	return found[0], true, nil
}

// List implements [suppress.Store].
func (l suppressions) List(ctx context.Context, after string, n int) ([]suppress.Entry, error) {
	err := suppress.CheckList(after, n)
	var found []suppress.Entry
	if err == nil {
		found, err = l.query(ctx, l.s.suppressionsSQL, after, int64(n))
	}
	if err != nil {
		return nil, fmt.Errorf("listing suppressions: %w", err)
	}
	return found, nil
}

func (l suppressions) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	return do(ctx, l.s, func(ctx context.Context) (int64, error) {
		tag, err := l.s.pool.Exec(ctx, sql, args...)
		return tag.RowsAffected(), err
	})
}

func (l suppressions) query(ctx context.Context, sql string, args ...any) ([]suppress.Entry, error) {
	return do(ctx, l.s, func(ctx context.Context) ([]suppress.Entry, error) {
		rows, err := l.s.pool.Query(ctx, sql, args...)
		if err != nil {
			return nil, err
		}
		return pgx.AppendRows([]suppress.Entry{}, rows, func(row pgx.CollectableRow) (e suppress.Entry, err error) {
			var at int64
			if err := row.Scan(&e.Address, &e.Reason, &at, &e.Source, &e.Detail); err != nil {
				return e, err
			}
			e.Time = time.UnixMicro(at).UTC()
			if e.Check() != nil {
				return e, plain("a suppression in the database is not as it should be")
			}
			return e, nil
		})
	})
}
