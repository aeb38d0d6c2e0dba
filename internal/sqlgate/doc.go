// Package sqlgate decides whether a text from a caller is one statement that
// only asks.
//
//	s, err := sqlgate.Check("SELECT 1;", sqlgate.Options{})
//	// s.SQL is "SELECT 1"
//	_, err = sqlgate.Check("SELECT 1; COMMIT; DROP TABLE t", sqlgate.Options{})
//	// err: more than one statement …
//
// It protects the transaction that a tool runs the text in, from a caller who
// is a language model or writes through one: a second statement, transaction
// control, session commands, data-modifying statements and CTEs, SELECT INTO
// and row locks are refused before anything is sent. So is a text that cannot
// be read without doubt, or whose nesting would exhaust a parser.
//
// It does not look at what names mean. SELECT set_config(…), a function or view
// that writes, a secret table, a slow query: all pass. A gate that knows the
// catalog stands on Statement.Query for that, and behind it the role, the READ
// ONLY transaction and the limits of the session. The session must have
// client_encoding UTF8 and standard_conforming_strings on, and the text must be
// sent by the extended protocol. Comments inside the statement are sent too; an
// extension that reads hints from them would see them.
//
// Words like update and set stay free as names: the gate looks at where a word
// stands, not whether it occurs.
package sqlgate
