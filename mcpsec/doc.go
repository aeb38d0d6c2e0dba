// Package mcpsec builds MCP servers that stay safe in front of hostile prompts,
// hostile clients and hostile data:
//
//	audit, err := mcpsec.OpenAuditLog("orders-audit.jsonl", mcpsec.Secret{})
//	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, mcpsec.Options{
//		Audit: audit, // where every decision is recorded
//	})
//	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{
//		Name:        "order_lookup",
//		Description: "Fetch one order by its id.",
//		Effect:      mcpsec.Read,
//	}, func(ctx context.Context, in LookupIn) (Order, error) { ... }))
//	err = srv.Run(ctx) // standard input and output, or srv.ListenAndServe for HTTP
//
//	type LookupIn struct {
//		ID string `json:"id" validate:"required,uuid" jsonschema:"the order's id"`
//	}
//
// # What it protects, and from whom
//
// It protects the tools' systems and their data from whoever writes the
// requests: a model that was talked into something, a client that sends what no
// honest one would, and data that carries instructions or secrets along. Every
// call goes through one pipeline, in one order that cannot be changed:
//
//  1. The message is one well-formed JSON-RPC message of bounded size and depth,
//     or it is answered with an error that echoes nothing.
//  2. A place for the call is found, or it is refused: calls are counted, by
//     [Options].State for all replicas, and bounded, never queued.
//  3. The arguments are decoded once, strictly and exactly, and checked against
//     the validate tags that also made the schema.
//  4. The guards see the decoded value, the server's first, then the tool's. What
//     cannot be undone, or what a guard says so of, needs a person's yes.
//  5. The decision is recorded. What cannot be recorded is refused.
//  6. The handler runs with a deadline, and its panic ends the call only.
//  7. The result is encoded once, checked, freed of hidden characters and
//     secrets, and bounded in size.
//  8. The outcome is recorded.
//
// Only the text of an [*Error] reaches the model; every other error, and every
// panic, becomes "internal error (call ID)" and is logged, redacted, under that
// id.
//
// # What a person confirms
//
// A tool of effect [Destroy] does not run before a person has said yes to what it
// would do, which [Preview] computes; a guard can [Ask] for any other. The client
// shows the question: by an input-required result (MCP 2026-07-28), or by
// elicitation in sessions of older versions. What the client keeps for the server
// until then is sealed, bound to the caller, the tool, the arguments and the
// question, expires after [Limits].Confirm and is good once. Where the client
// cannot ask, [Options].Approver does, or the call is refused.
//
// # Asking from within a handler
//
// A handler asks the client's person to fill in a form with [Elicit], its model with
// [Sample], and for its directories with [Roots]. Where there is no answer yet it
// returns their error, the client is asked, and the handler runs again from its
// start:
//
//	a, err := mcpsec.Elicit[Address](ctx, "address", "Where should it go?")
//	if err != nil {
//		return Receipt{}, err // asks, or says why not
//	}
//
// # Prompts and resources
//
// [NewPrompt], [NewResource] and [NewFiles] make what else a client can ask for;
// arguments, variables of URIs and the beginnings of values that it would have
// completed go the same way as the arguments of tools, and what comes back the
// same way as results. Refusals are errors of the protocol. A client that may not
// use something is told what it would be told if that did not exist, and so is
// one that asks for a file outside of the directory.
//
// # What it does not protect
//
// A client shows the question and brings the answer: one that lies about its
// person is believed, and a person can be asked until they tire, as often as
// calls are allowed. It cannot tell a good instruction from a bad one in
// visible text. It does not confine the handler: what a tool may do to its
// backend is the business of the backend's own limits and of the tool packages,
// and a handler that calls os.Exit, panics on a goroutine that it started, or
// exhausts the memory ends the process. It does not authenticate the peer of a
// stream: whoever holds the other end is [Options].Principal.
//
// # Over HTTP
//
// [Server.ListenAndServe] serves clients that show a bearer token, which a
// [TokenVerifier] knows; [HTTPOptions] says under which names, to which web pages
// and with which certificate. Before a message gets as far as step 1, the way it
// came, the Host, the Origin and the token are checked, in this order; each
// request is its own token's, and there are no sessions but those that
// [HTTPOptions].Sessions gives older clients. A tool whose
// [ToolSpec].Scopes the caller lacks does not exist for the caller.
//
// # Several replicas
//
// Replicas with one [Options].State, a store of package pgstate, share the rates of
// principals; package guard has further allowances on the same store. Requests are
// stateless, so any replica answers any of them.
//
// Protections are switched off in package insecure and nowhere else.
package mcpsec
