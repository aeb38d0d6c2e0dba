// Package pgtool gives a model a PostgreSQL database to read and, by roles of their
// own, listed tables to write to and listed schemas to define and to look after. To
// read:
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
// # Masking
//
// Options.Mask holds columns that a caller never sees in clear, by name or by
// pattern:
//
//	Mask: map[string]pgtool.Mask{
//		"*.ssn":                pgtool.Hidden,  // NULL
//		"*_token":              pgtool.Hashed,  // a keyed digest, the same for the same value
//		"shop.customers.phone": pgtool.Partial, // ****4711
//	},
//
// A statement reads the masked values wherever it names such a column, in a
// condition, a join or an order just as in its answer, by the whole row, a star or
// another name: nothing can be found out by comparing. It holds for pg_query,
// pg_explain, [DB.ReadOnly] and [NamedQuery]. With a column all are masked that hold
// the same values: in partitions and tables above or below, foreign keys that point
// to it, columns generated from it, and columns that have rows of its table in
// them. Views that use it are refused, unless Options.Allow has them, with what they
// show: then a mask is for a column of the view by that one's name. Refused are also
// ONLY before a table with others below it, TABLESAMPLE, ctid and its like, and a
// WITH query that is called like the table. Indexes of other columns are used as
// before; a condition on a masked one reads the whole table.
//
// A column that a pattern is about is masked from its first moment on, as is a table:
// a statement about one that the catalog does not have yet is to be tried again. A
// foreign key, an inheritance or another view of the same name that is made
// meanwhile is noticed within seconds.
//
// The key of Hashed is with the server as settings of the session, which no
// statement holds and no caller can ask for. Digests tell which values are equal, and
// how often each occurs; who can write a value into the table can look for its digest.
// Masks do not know of copies that triggers, functions, applications or documents have
// made. Names, definitions and sizes stay readable: defaults, checks, bounds of
// partitions, conditions of indexes, last values of sequences, and how many values
// the planner expects.
//
// # Tenants
//
// One server can work for many, who must not see each other's rows. Options.Tenant
// says whose data a call may use, and the database enforces it:
//
//	Tenant: func(ctx context.Context, p mcpsec.Principal) (pgtool.Tenant, error) {
//		id, err := customerOf(p.ID)
//		return pgtool.Tenant{Settings: map[string]string{"app.tenant": id}}, err
//	}
//
//	CREATE POLICY tenant ON shop.orders USING (customer = current_setting('app.tenant')::bigint)
//
// The settings, and a Role if there is one, hold for one transaction, are sent as
// parameters and are looked at again after the statement. No statement that the gate
// lets through can change them. Outside of a call, after an error, and with an empty
// value nothing is sent. What a person has said yes to for one tenant is nothing for
// another. Open looks at all roles that the one that logs in can become: each must be
// as fit as itself, and none may be inherited.
//
// # Servers
//
// A [Set] puts several databases behind one set of tools, whose argument database is
// one of the operator's names. Options.Scopes say who may use which. Options.Replicas
// take the statements of callers off the primary. Several hosts in a URL are tried in
// order; what a call was told when its server went away is true, and the next call
// goes to the next server. Options.Password is for tokens that expire.
//
// Behind a pooler such as PgBouncer, in transaction or session mode, every
// transaction makes all its settings for itself, and what it leaves in the session is
// undone before others get it. Start values that the pooler does not take are not
// needed. The pooler must log in to the server as the role itself: two roles of
// clients must not become one of the server's. Its pool should have as many sessions
// as Options.MaxConns. insecure.AnySQL, [Hashed], imagined indexes, a [Migrator], an
// [Admin] and pool_mode = statement are refused there.
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
// With WriteOptions.Execute there is pg_execute, which takes one INSERT, UPDATE,
// DELETE or MERGE of the caller's text. It may name only what Tables lists, the
// columns that it reads included, must have a WHERE, and calls the functions that
// pg_query may. A person sees it, without its comments, and its counts.
//
// # Files
//
// [ExportTool] writes the rows of a statement to a directory, and [ImportTool] reads
// a table's rows from one. Clients get a link, for which there has to be a resource:
//
//	root, err := os.OpenRoot("exports") // for this alone
//	if err != nil {
//		return err
//	}
//	srv.Add(pgtool.ExportTool(db, pgtool.FileOptions{Root: root, URI: "exports:///"}))
//	srv.AddResource(mcpsec.NewFiles(root, mcpsec.ResourceSpec{
//		Name: "exports", Description: "Exports.", URI: "exports:///{+path}", MaxResult: 1 << 20,
//	}, nil))
//
// Names of exports cannot be guessed. A client reads as much as MaxResult of the
// resource allows; what is larger is for the operator, who also removes old files.
//
// # Defining
//
// What creates, alters and drops objects has a role, a pool and a type of its own,
// too, and the operator lists the kinds of change:
//
//	m, err := pgtool.OpenMigrator(ctx, pgtool.DDLOptions{
//		Options: pgtool.Options{URL: url, Schemas: []string{"shop"}},
//		Kinds:   []string{"table", "column", "constraint", "index", "comment"},
//	})
//	if err != nil {
//		return err // names what the role is beyond the owner of the schemas
//	}
//	defer m.Close()
//	srv.Add(pgtool.DDLTools(m)...)
//
// Each statement and sub-command is recognised by its first words; what is not is
// refused, and so is what is not of the kinds listed, names another schema or role,
// or uses a name in an expression that pg_query would refuse. All statements of a
// call are one transaction. A plan is that transaction, rolled back, and the
// difference of the catalogs before and after it: what CASCADE takes is in it, in
// whatever schema. A person is shown statements and plan; if the run that would be
// committed comes to another plan, nothing is changed. What CONCURRENTLY does cannot
// be tried: afterwards the index is looked for, and the answer says what is there.
//
// [AdminTools], for a role of that kind, vacuum and analyze tables, reindex them, cancel
// statements and reset statistics.
//
// # What it does not protect
//
// The role decides which rows and columns can be read. A view may read tables in
// schemas that Options.Schemas does not list: that is what views are for. What a
// table's owner has put into its row security policies and indexes runs, whatever
// it is, and what Options.Allow lists does. Of the catalogs that PostgreSQL shows
// to everybody, names of tables and columns, definitions of views and statistics
// stay readable.
//
// Objects made since the catalog was last read are not judged: a change is
// noticed within some seconds, or in ten times as long as it takes to read the
// catalog, and one that the server's statistics do not count within five minutes.
// With [Options.ServerCheck], what has been made since is refused, in statements that
// were not seen before. Functions that are SECURITY DEFINER are never allowed
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
// by conditions that are put into its text, and ends it at 32 MB, or at 4 MB if it also
// casts or takes apart values, as '...'::jsonb does; what grows by its form alone is
// refused. These can still take hundreds of megabytes: an expression that names a
// gathered value many times; one that takes apart a value of many megabytes which a
// column or a parameter has; a jsonb_pretty of deep nesting; a nested regular
// expression; the hash table of an EXISTS below OR or NOT; a hash join of many equal
// keys; aggregates of extensions and of Options.Allow; and what stands in a view. Limit
// the memory of the server's processes as well.
//
// The disk that a statement fills is bounded by temp_file_limit of the role, which
// [SetupSQL] sets and nobody but a superuser can change. Without it, as with
// Options.MaxCost, the planner's estimates decide. A statement can be written so that
// they are far too low, as with a function in FROM whose rows nobody can know: set
// temp_file_limit. Some of PostgreSQL's own functions, such as xpath, do not look for
// a cancel and run on after the call has ended. Only the role's CONNECTION LIMIT
// bounds how many.
//
// A pooler that shows the server's own process, as none that is known does, and takes
// the settings of a session, is not noticed. Between a pooler and its server TLS is
// the pooler's business.
//
// Statistics, plans, sizes and counts of rows in the catalog are of whole tables, of
// all tenants: offer tenants no [InspectTools]. Whoever writes a policy decides what a
// tenant is; tables without one show all rows. A function in Options.Allow can change
// the tenant and set it back, or carry rows from one call to the next.
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
// Exports lie on the operator's disk as they are, secrets included, until somebody
// removes them. If the process dies while it writes one, a file whose name begins
// with a dot is left. A WHERE of pg_execute may be true of every row: MaxAffected
// and the person stand behind it.
//
// A function is not read: the kind function allows programs that run with the rights
// of whoever calls them or, as triggers, writes to the table. Nothing in the text that
// makes one can call it, so no plan runs it. A plan takes locks and does the work of
// rewriting for as long as it runs; dropping with CASCADE takes objects of other owners.
// That views, policies and grants say what was meant is for the person to see. Event
// triggers that a superuser has made run. Numbers of rows in a plan are estimates, and
// are compared by orders of magnitude. ALTER ROLE and changes that a statement leaves
// without a trace in the catalogs are not in a plan; the statement is.
package pgtool
