// Package pgsql holds tests of pgtool against a real PostgreSQL server: what a
// model can do to a database through the tools, from the client's side of the
// protocol to the server's own tables.
package pgsql
