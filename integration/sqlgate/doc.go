// Package sqlgate holds tests that compare internal/sqllex and internal/sqlgate
// with a real PostgreSQL server. They protect against the one fault that makes
// a guard on SQL text worthless: reading another text than the server does.
package sqlgate
