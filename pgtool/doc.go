// Package pgtool gives a model a PostgreSQL database to read, and listed tables of
// it to write to:
//
//	url, err := redact.SecretFromEnv("DATABASE_URL") // or SecretFromFile
//	if err != nil {
//		return err
//	}
//	db, err := pgtool.Open(ctx, pgtool.Options{URL: url, Schemas: []string{"shop"}})
//	if err != nil {
//		return err // names every fault of the role, and the SQL that makes a fit one
//	}
//	defer db.Close()
//	srv.Add(pgtool.ReadTools(db)...)
//
// # What it protects, and from whom
//
// It protects the database from a caller who chooses the SQL: a model that was
// talked into something, or whoever talks through it. A text from the caller is
// one statement that only asks, or it is refused before anything is sent. It
// runs by the extended protocol, in a READ ONLY transaction of its own that
// always ends in ROLLBACK, under limits of time, memory, rows and bytes that
// only the operator sets, with a pinned search_path. Afterwards the session is
// reset; a connection that is in any other state than a new one is thrown away.
// What comes back is exact, bounded while it is read, and of an error only a
// fixed text: the server's own words quote the data, and go to the log.
//
// Every name in the statement is looked up in the catalog first. Functions that
// do harm in a transaction that only reads (files, the network, locks, settings,
// sequences, other sessions, SQL given as text, waiting) are refused, and so are
// catalogs that show secrets, functions that users have written, foreign tables,
// and views, operators, casts and domains that lead to any of them. The refusal
// names the function or table, so that a model can correct itself. With
// [Options.Schemas] set, no other schema can be named, and the answer does not
// tell what is in it. [Options.Allow] lists what is allowed all the same.
//
// It protects the operator from their own slips: a role that can write, create,
// own or become more is refused by [Open], and so is a connection string that
// switches TLS verification or the protocol.
//
// [InspectTools] look at how the database is doing, and change nothing either.
// They name what the role may read in Options.Schemas, show no statement of
// another session, and say what they could not see. The SQL that they advise is
// for a person. [Resources] and [Prompts] go with both sets.
//
// # Named queries
//
// [NamedQuery] makes a typed tool of one statement of the operator's, whose values
// are parameters. A model that has only such tools chooses no SQL at all:
//
//	type In struct{ Customer int64 `json:"customer"` }
//	type Out struct{ ID int64 `json:"id"`; Status string `json:"status"` }
//	srv.Add(pgtool.NamedQuery[In, Out](db, mcpsec.ToolSpec{
//		Name: "orders", Description: "Orders of a customer.",
//	}, pgtool.NewSQL("SELECT id, status FROM shop.orders WHERE customer_id = :customer")))
//
// # Writing
//
// What writes has a role, a pool and a type of its own:
//
//	w, err := pgtool.OpenWriter(ctx, pgtool.WriteOptions{
//		Options: pgtool.Options{URL: url},
//		Tables: []pgtool.Table{{
//			Schema: "shop", Name: "orders", Read: []string{"id", "status", "version"},
//			Update: []string{"status", "version"}, Delete: true,
//		}},
//	})
//	if err != nil {
//		return err // names what the role can do beyond the list, or lacks of it
//	}
//	defer w.Close()
//	srv.Add(pgtool.WriteTools(w)...) // Options.Mode of the server must allow them
//
// A call names a table, columns and values, and never SQL: names are looked up in
// the list, values are parameters, operators are those of pg_catalog. Its
// transaction is committed only when the rows that it touched were counted, in all
// tables, and are no more than MaxAffected and just as many as were expected. What
// cannot be undone is run and rolled back first, and a person is shown the counts;
// if they are others when it counts, nothing is changed. An answer tells what
// became of the data: done, or nothing was changed. If the connection is lost in
// COMMIT the server is asked on another one; only if that is in vain, or the server
// has been restarted since, it says that nobody knows.
//
// # What it does not protect
//
// Triggers, defaults and foreign keys of the tables do what their owner has written.
// The counts name the tables that they touch, listed or not, and do not see what
// they do outside the database. Counts are of rows and not of their contents: those
// may have changed between the question and the run. Sequences go on, and locks are
// held for a moment, also in a run that is rolled back. A numeric is rounded to its
// column's scale, as everywhere in PostgreSQL; returning shows what was stored. A
// null for a json column is NULL and not the json null. A SQL is a constant for
// every caller who does not go out of their way: generic code can make a variable of
// the type that NewSQL takes.
//
// The role decides which rows and columns can be read. A view may read tables in
// schemas that Options.Schemas does not list: that is what views are for. What a
// table's owner has put into its row security policies and indexes runs, whatever
// it is, and what Options.Allow lists does. Of the catalogs that PostgreSQL shows
// to everybody, names of tables and columns, definitions of views and statistics
// stay readable.
//
// Objects made since the catalog was last read are not judged: a change is
// noticed within some seconds, and one that the server's statistics do not count
// within five minutes. Functions that are SECURITY DEFINER are never allowed
// unless Options.Allow lists them.
//
// All callers share one role. They could see each other's statements, with the
// literals in them, in pg_stat_activity, and end them, if a view or function in
// Options.Allow led there; [SetupSQL] revokes pg_cancel_backend and
// pg_terminate_backend.
//
// One statement can use a core of the server for Options.Timeout. PostgreSQL has no
// limit for the memory of a session. What aggregates such as array_agg, ARRAY(SELECT
// …), recursion and the hash tables of IN take is counted while the statement runs,
// by conditions that are put into its text, and ends it at 32 MB; what grows by its
// form alone is refused. These can still take hundreds of megabytes: an expression
// that names a value of some megabytes many times, be it gathered, a column's or a
// parameter's; replace, translate or a regular expression over such a value; a
// jsonb_pretty of deep nesting; the hash table of an EXISTS below OR or NOT; a hash
// join of many equal keys; aggregates of extensions and of Options.Allow; and what
// stands in a view. Limit the memory of the server's processes as well.
//
// The disk that a statement fills is bounded by temp_file_limit of the role, which
// [SetupSQL] sets and nobody but a superuser can change. Without it, as with
// Options.MaxCost, the planner's estimates decide. A statement can be written so
// that they are far too low, as with a function in FROM whose rows nobody can know:
// set temp_file_limit. Some of PostgreSQL's own functions, such as xpath, do not look for a
// cancel and run on after the call has ended. Only the role's CONNECTION LIMIT
// bounds how many. Poolers in transaction mode are not supported: there a session
// belongs to nobody, and cannot be reset.
package pgtool
