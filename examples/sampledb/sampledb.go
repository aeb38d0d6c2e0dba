// Package sampledb is a database to try things on: a chain of record shops, made
// up, with two schemas, 200,000 rows and something of most that PostgreSQL has:
//
//	conn, err := pgx.Connect(ctx, url) // an empty database, as a superuser
//	...
//	err = sampledb.Load(ctx, conn)
//
// The rows are the same each time, on each version: they are computed from their
// numbers, by the server.
package sampledb

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/jackc/pgx/v5"
)

//go:embed tables.sql
var tables string

//go:embed rows.sql
var rows string

//go:embed rest.sql
var rest string

// Schemas are the schemas that Load makes.
var Schemas = []string{"music", "sales"}

// Load fills the database of a connection, which must not have these schemas yet.
// It is all or nothing, and takes some seconds.
func Load(ctx context.Context, conn *pgx.Conn) error {
	// Without arguments, a text of several statements is one transaction.
	if _, err := conn.Exec(ctx, tables+rows+rest); err != nil {
		return fmt.Errorf("loading the sample database: %w", err)
	}
	return nil
}
