// Package sqltree reads what PostgreSQL has understood a query to be.
//
//	uses, err := sqltree.Read(tree) // of debug_print_parse
//	for oid := range uses.Calls { … }
//
// With debug_print_parse a server reports, as it analyses a statement, the tree that
// it has made of it: no names any more, but the OIDs of the functions, operators,
// types and relations that the names mean, after search_path, overloading and casts.
// debug_print_rewritten reports it once more with views put in. [Read] collects the
// OIDs, so that whoever has a list of what is allowed can look each of them up.
//
// It protects a database from a caller who chooses the SQL: nothing that the
// statement uses may be missing from [Uses]. So whatever is not known is an error and
// never passed over: a kind of node that is not on the list, a number in an unknown
// place that could be the OID of something that users have made, a query that is not
// a plain SELECT, a text that can be read in two ways.
//
// # The text
//
// A node is {LABEL :field value …}, a list (…), a list of OIDs (o 1 2) and a set of
// numbers (b 1 2). A backslash in a token stands before a character that would end it.
// The server breaks lines after at most 78 bytes, at a space if there is one, and else
// within a token, where a break after a backslash would turn what is part of a name
// into structure. Texts with so long a run without spaces are refused.
//
// # What it does not protect
//
// What a function, an operator or the input of a type does in turn is not in the tree.
// Conditions of row level security in a rewritten tree are left out: they are the
// table owner's, and run whatever they are. Of sorting, grouping and GREATEST the tree
// names the operator or type, and not the functions of its operator class.
package sqltree
