// Package sqlddl reads a text of statements that define things, and says of each
// what kind of change it is.
//
//	statements, err := sqlddl.Read("ALTER TABLE shop.orders ADD COLUMN note text")
//	statements[0].Needs // [column]
//
// It protects a database from a caller who chooses the SQL: from statements that do
// other things than they seem to, and from kinds of change that the operator has not
// allowed. A statement is recognised by its first words, and by those of each of its
// sub-commands; PostgreSQL's own grammar leaves no room for another kind of command
// in what follows them. What is not recognised is refused, and so are names that a
// reader could take for others.
//
// # What it does not protect
//
// It does not know what names mean: [Statement].Names is for sqlcatalog to check. The
// body of a function is not read at all.
package sqlddl
