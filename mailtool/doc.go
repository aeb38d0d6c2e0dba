// Package mailtool gives a model mail to send over SMTP, that a person confirms.
//
//	mc, err := mailtool.New(mailtool.Options{
//		Host:       "smtp.example.com",
//		Username:   "orders",
//		Password:   password,
//		From:       "orders@example.com",
//		Recipients: mailtool.Recipients{Allow: []string{"example.com", "ann@customer.example"}},
//	})
//	if err != nil {
//		return err
//	}
//	srv.Add(mailtool.ReadTools(mc)...)
//	srv.Add(mailtool.SendTools(mc)...) // served with Options.Mode: mcpsec.Destroy
//
// [ReadTools] previews messages, tells who may be written to and tries the server.
// [SendTools] sends. [Client.Send] is the same for Go code, without the person.
// [TemplateTools] keep [Templates], of the operator's or of callers', and show what they
// make. [CheckTools] and [DomainCheck] tell why mail may not arrive. [Unsubscribe] makes
// links for [Message].Unsubscribe, and receives who follows them. With Options.Queue,
// [QueueTools] send later and to many, for which [Client.RunQueue] runs, and [LogTools]
// tell what became of mail.
//
// # What it protects, and from whom
//
// It protects those who get mail in the operator's name, and all that a model has read,
// from a caller who chooses recipients and texts: a model that was talked into
// something, or whoever talks through it. It also protects from our own dependencies:
// in 2025 one line more in a package for mail sent a copy of every message to a
// stranger.
//
// Who may be written to is a list of the operator's, without which there is no client,
// and how often is capped by message, hour, day and mailbox, on all replicas that share
// Options.State together. The sender is an option and never an argument.
//
// An address has one spelling and one reading: no names, comments, quotes, lists,
// routes and literals; domains are compared as A-labels. Header fields are those of a
// fixed set, in a fixed order. Every value is checked, and what is not ASCII is encoded.
// A message is of ASCII lines that end with CRLF, so that no text in it ends it or
// begins another (CVE-2023-51764 and its like).
//
// A person is asked with recipients, subject, text, links, attachments, what is risky
// about them, and a SHA-256 of envelope and message. What is sent is that message: the
// last step before the network, beneath the library that speaks the protocol, compares
// the recipients that were named to the server with the declared ones, with the list,
// and every byte with the message of that digest. Otherwise DATA is not sent, and
// nothing is.
//
// A message is sent once, however often and wherever an equal call is made within 24
// hours. It is handed over again only after an answer, or a failure, with which it was
// certainly not taken. When the server has it and no answer comes, that is said,
// [ErrUnknown], and it is never sent again.
//
// The connection has TLS of 1.2 or more with a certificate of Options.Host, before which
// no password is sent, to this machine neither. Every step ends with its context. The
// machine's name is in no greeting and no Message-ID.
//
// HTML may have text, tables, lists and links: no scripts, forms, pictures from elsewhere
// or anything else that acts or tells somebody when a mail is opened. Nothing in it is
// hidden, moved or shrunk: its text, which a person reads in the question, is what the
// recipient sees, dark on light. An attachment is
// what its ending says, of the operator's list, and no program in any disguise. Nothing
// is fetched from a URL.
//
// The log has Message-ID, digest, and a hash of the recipients, under the id of the call
// in the audit record. It has no address, subject, text or credential, and no text of
// the server's.
//
// Bounces, complaints and unsubscriptions that a provider tells of ([NewFeedback]) go to
// a list of who gets no mail any more, of package mailtool/suppress, which is asked before
// each message ([Suppressed]) and looked after with [SuppressionTools].
//
// A template calls nothing, uses only variables that it declares, and ends. Its values are
// escaped for their place or refused. What it makes is a message like any other: it is
// confirmed as it is sent, and not as a template, but in a bulk. Text of name servers is
// data: bounded, visible, in one line.
//
// # Mail that is sent later, and to many
//
//	store, err := pgstate.New(ctx, pool, pgstate.Options{}) // shared by all replicas
//	...
//	options.State = store
//	options.Queue = mailtool.Queue{Documents: store, Keys: []mcpsec.Secret{key}}
//	...
//	srv.Add(mailtool.QueueTools(mc, templates)...)
//	srv.Add(mailtool.LogTools(mc)...)
//	go mc.RunQueue(ctx)
//
// What a person confirms is kept as the bytes that will be sent, sealed, until it was
// sent: neither a template nor the caller changes it any more. Recipients, suppressions
// and caps are asked again when it is sent, and the gate is the same. Caps that are used
// up hold the queue up and fail nothing.
//
// Each message has a document of its own, which says that it is being sent before DATA
// is. Each change of it is one of its version: of two workers, or of a worker and one who
// cancels, one is first. So each recipient gets a message at most once, whatever step a
// process ends at, and once unless it ends, or the answer is lost, between DATA and the
// next write: then the message is unknown, and never sent again.
//
// The log of outcomes has time, outcome, recipients, Message-ID and the server's code. It
// has no subject, text or value, and callers see their own.
//
// # For those who add tools
//
// Client.build makes a message of what was checked; Client.deliver sends it, by caps and
// suppressions, and notes what became of it; Client.once does so for all equal calls, and
// Client.enqueue keeps it for a worker. There is no other way to the
// gate, and the gate lets nothing else through.
//
// # What it does not protect
//
// Who may be written to can be written anything that a person says yes to, or that
// Recipients.Internal lets pass. Where a link of an allowed text leads is shown by its
// host, not followed. PDF and office documents are not searched for what exploits their
// readers, tables not for formulas, nor an archive for what differs between its two lists
// of files.
//
// Of a mailbox, names with + are known as the same: bob+news is bob. What else a provider
// takes for the same (b.ob, bob-news) counts as another, in caps and suppressions.
//
// A dependency is caught that says or sends something else, once more or to more, where
// it speaks for us. It runs in this process, and can open a connection of its own.
//
// What the server does with a message after it has taken it is its own: it can add
// recipients, or lose it. Bounces go to Options.From.
//
// Who changes a template chooses what later messages say. Mail programs make links of
// what looks like a host in text, also without https://, which TemplateOptions.Links does
// not see. Whoever has a mail can unsubscribe its recipient.
//
// Of a bulk a person is shown the first messages, and of the others recipients' domains,
// links, risks and a digest. Whoever may write to the store of a queue can put an old
// document back, and so have a message sent twice, or delete it; Queue.Keys are what
// forges one. What the store forgets is not sent.
//
// Local parts are in ASCII only (no SMTPUTF8), and written in lower case.
//
// A process that ends while it sends leaves an equal call without an answer for a day:
// nobody knows whether the message was sent, so it is not sent again. With the state in
// this process's memory, a restart forgets that, and what was used of the caps.
package mailtool
