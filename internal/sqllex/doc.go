// Package sqllex splits SQL text into tokens exactly where PostgreSQL does.
//
//	tokens, err := sqllex.Scan(`SELECT 'it''s' AS a$b$`)
//	// select  it's  as  a$b$
//
// It protects a guard from reading another statement than the server runs: a
// caller who makes the two disagree about where a string, a comment or an
// identifier ends hides the rest of the text from the guard. The rules are
// those of PostgreSQL's src/backend/parser/scan.l, versions 13 to 18. Where
// the versions differ, or the text has no reading at all, Scan returns an
// error: a text that cannot be read must not be sent.
//
// Scan assumes a session with client_encoding UTF8 and
// standard_conforming_strings on; whoever opens the session has to pin both.
// In a database whose encoding is not UTF8 the server may fold the case of
// letters beyond ASCII, which Scan does not.
//
// It does not know the grammar. Which tokens may follow each other, and what
// they name, is for packages built on it.
package sqllex
