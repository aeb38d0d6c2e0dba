// Package pgdocs runs the SQL and compiles the Go of docs/postgres.md. There is
// nothing in it but tests.
package pgdocs
