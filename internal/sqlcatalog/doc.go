// Package sqlcatalog decides whether the names in a query mean only what a
// caller may use.
//
//	s, err := sqlcatalog.New(rows, sqlcatalog.Policy{Schemas: []string{"shop"}})
//	edits, err := s.Check(statement) // function pg_read_file is not allowed …
//
// It protects a database from a caller who chooses the SQL, where sqlgate has
// already seen that the text is one query: from functions that do harm in a
// transaction that only reads, from tables that are not for the caller, and
// from views, operators, casts and domains that lead to such functions.
//
// A [Snapshot] holds the verdict on everything that the database has. A query is
// split into tokens exactly as the server splits it, and every token that can
// name a function, a relation, a type or an operator is looked up, as whatever
// of these it can be in its place, under the search_path that the session has.
// So a query is never taken apart by a grammar of ours: where it is not clear
// what a name is, it must be allowed as all that it can be. A name that the
// database does not have means nothing, and is left to the server.
//
// Columns can be masked: then what may be sent is the statement with the edits, by
// which it reads NULL, a digest or the end of a value in their place.
//
// # What it does not protect
//
// Columns and rows are what the role may read, but for columns of catalogs that
// show other people's texts. Time and disk have limits elsewhere. Of memory, what
// aggregates, arrays, recursion and hash tables of IN hold is counted by the edits,
// and what nested queries and the shortest calls could grow to is bounded by their
// form: a large value that an expression names many times is not. A snapshot is of one
// moment, and objects made later are not in it; whoever loads it has to notice.
// Functions that the owner of a table has put in a policy, an index or a column
// default are the owner's.
package sqlcatalog
