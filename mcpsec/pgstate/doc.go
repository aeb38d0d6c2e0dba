// Package pgstate keeps in PostgreSQL what replicas of a server share: rates, work
// budgets and caps on money ([state.Limiter]), and keys that are used once
// ([state.Once]).
//
//	pool, err := pgxpool.New(ctx, url)
//	if err != nil {
//		return err
//	}
//	store, err := pgstate.New(ctx, pool, pgstate.Options{})
//	if err != nil {
//		return err // it says what to do, such as to run Migrate
//	}
//	defer store.Close()
//	srv, err := mcpsec.NewServer(impl, mcpsec.Options{Audit: audit, State: store})
//
// # What it protects, and from whom
//
// It protects limits and single effects from a caller who asks several replicas at
// once, one after the other, or after a restart. Of an allowance no more is had than
// its limit and of a key there is one holder at a time, whatever replicas ask, and
// whatever their clocks say: the time is the database's, and one that goes back
// fills nothing.
//
// Each call is one statement in one round trip; two if others claim the same key at
// that moment. What the database does not confirm is an error, which means that
// nothing is known: whoever asked must do nothing. Errors hold no key, no address
// and none of the server's words but its code. Keys are stored as SHA-256 digests,
// so that a key's text and length are not told by the database, its log or its
// backups, but to those who can guess it.
//
// # Setting it up
//
// An operator runs [Migrate], or what [SetupSQL] returns, as a role that may create
// a schema. The server connects as another role, which may read and change the rows
// of three tables and nothing else. [New] checks that it finds all as it should be.
// It needs PostgreSQL 14 or later, and a primary.
//
// Claims are in a table that survives a crash. Allowances are in an unlogged one,
// which is several times faster and which PostgreSQL empties after a crash: that
// forgives each key at most one limit. A cap on money that must survive a crash of
// the database needs a logged table: ALTER TABLE mcpsec.allowances SET LOGGED.
//
// Rows that no longer count are deleted by each Store in the background every
// minute, in batches that skip what is in use.
//
// # What it does not protect
//
// Whoever may write the tables decides what is allowed, and so does whoever can change
// what is sent: the connection is the pool's, to be made with sslmode=verify-full where
// it crosses a network. A failover to a standby that
// has not received the last commits forgets them, and all allowances. How many keys
// there are is bounded by nothing but how fast callers can make them up. What is left
// open by [state.Once] is left open here: a process that dies between the effect and
// Complete.
package pgstate
