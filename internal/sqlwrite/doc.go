// Package sqlwrite decides whether a statement that writes touches only tables and
// columns that are listed.
//
//	st, err := sqlgate.Check("UPDATE shop.orders SET total = 0 WHERE id = $1", sqlgate.Options{Write: true})
//	err = sqlwrite.Check(st, tables, snapshot.Resolve)
//
// It protects a database from a caller who chooses the SQL, where sqlgate has
// already seen that the text is one INSERT, UPDATE, DELETE or MERGE, and sqlcatalog
// that functions, types and operators in it are allowed.
//
// Tables are looked for where the grammar has them, and must be listed or be the
// name of a WITH query in scope: whether another one exists makes no difference.
// The columns that get values must be listed for that. Of a table with columns that
// may not be read, neither these may be named, nor the whole row in any of its
// forms. UPDATE and DELETE need a WHERE. What the grammar allows and these checks
// could misread is refused: ONLY, joins in parentheses with an alias, TABLE,
// NATURAL, new names for columns, OVERRIDING, assignments to parts of a column,
// and INSERT without a list of columns.
//
// # What it does not protect
//
// It does not look at values, and a WHERE may be true of all rows. What a table's
// triggers, policies and defaults do is their owner's. It is the first of two
// layers: the role must have no other privileges than what is listed.
package sqlwrite
