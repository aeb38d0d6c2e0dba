// Package pbtool gives a model a PocketBase server: records to read, listed
// collections of it to write to.
//
//	pb, err := pbtool.Open(ctx, pbtool.Options{
//		URL:       "https://pb.example.com",
//		Superuser: pbtool.Login{Identity: "mcp@example.com", Password: password}, // gets tokens for users
//		As:        pbtool.OwnUser("https://pb.example.com"),                      // a caller is the user that signed in
//	})
//	if err != nil {
//		return err
//	}
//	srv.Add(pbtool.RecordReadTools(pb)...)
//
// # What it protects, and from whom
//
// It protects the server from a caller who chooses names, filters and values: a
// model that was talked into something, or whoever talks through it.
//
// Whose rights a request has is the operator's choice and never the caller's: those
// of the user that Options.As names for a principal, by a token that lives some
// minutes, those of one account for all, or a guest's. So PocketBase's API rules
// decide which records there are. No tool for records makes a request as a
// superuser, for whom a filter tells everything, password hashes included; sets
// whose constructors say so use Options.Superuser, on routes that are fixed. There
// is no tool that sends a request of the caller's, and the route /api/sql is never
// used.
//
// Names have the form of PocketBase's own before they get into a URL. Filters come
// as fields, operators and values ([Where]) or are a constant template of the
// program's with values ([Bind]); a value is one literal, which PocketBase reads
// back as exactly that value, or it is refused. What Options.Collections does not
// list is refused; without a list, PocketBase's own collections are. Fields that
// are called password or tokenKey are never read, written or compared with.
//
// What comes back is bounded, and holds the fields that may be read, also of
// expanded records. Of an error a model reads fixed words, names of fields and
// codes of rules, and no message of the server's, which may quote values.
//
// A file is had only of a record that the caller may view ([FileTools]). Who
// subscribes to a collection ([Resources]) is told that something has changed which
// its user may list. Callers sign in to accounts only where the operator has added
// [AuthTools]: the token stays here, and the sign-in is that principal's alone.
//
// Requests that read are repeated when that helps; those that write are sent once,
// and when no answer has come the model is told that nobody knows what became of
// them.
//
// Collections are changed by pb_apply_schema as pb_plan_schema has shown it and a
// person has said yes, in one transaction, if nothing has changed since. A rule is
// taken that shuts out everybody who has not signed in; others need Options.Public. No
// rule may lead to passwords, token keys, PocketBase's own collections and those that
// are not listed; no field gets a name by which rules elsewhere mean another; and no SQL
// is a caller's: queries of views are left alone. pb_audit_rules says who may do what,
// and what is dangerous.
//
// With Options.History each change of a record that a tool makes leaves an entry in a
// collection, in the same transaction: there is neither without the other, and nobody
// but the tools makes entries ([History]).
//
// Tools that run a server do what [AdminOptions] list. Passwords are named and not
// given; backups stay in the operator's directory; of the log only what is harmless is
// shown.
//
// # For those who add tools
//
// A request is made by Client.do, with the rights that Client.caller returns; sets
// for superusers take Client.superuser. A name from outside goes through
// Client.collection, a pattern of name.go, and into request.path as a segment of
// its own. What may be read of a record, trim decides. Errors of do are fit for a
// model as they are. Client.spec begins each tool's description. A set that is put
// into sets of integration/pbtool is called with hostile texts in each argument, and
// searched for secrets of the server's.
//
// # What it does not protect
//
// PocketBase's API rules are the operator's: a rule that is "" is for everyone, and
// what a view collection selects is shown under whatever name it has. A path
// through relations is followed as the server's version does it.
//
// PocketBase takes a token that was revoked for none: until ours is renewed, in
// Options.Impersonate at the latest, such a user's requests are a guest's.
//
// A principal that has signed in has done so in all its sessions, and an account's
// attempts can be used up by another principal, for ten minutes. What a subscriber's
// rights are is asked every four minutes, of a sign-in's token every five: until then
// changes that PocketBase does not enforce by itself are not seen.
//
// A file that is not protected is PocketBase's to give to whoever knows its name.
//
// PocketBase has no conditional write. An update that expects a state of the record
// compares just before it writes, and a deletion by a filter deletes the records
// that were counted: between the two there is a moment. So there is between a last look at the schema and
// its change.
//
// Who may change a schema may, with a person's yes, do much to data: fields that are
// removed are gone. A rule that shuts out guests may still let in every account: the
// plan says what a rule was and will be, and pb_audit_rules what it means.
package pbtool
