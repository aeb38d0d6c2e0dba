// Package console shows what an audit log knows, while it is written: calls and refusals
// over time, by tool and by caller, latency, questions to people and their answers, and
// minutes that are far from the usual.
//
//	c, err := console.New(console.Options{Log: "orders-audit.jsonl", Token: token})
//	// …
//	web := &http.Server{Addr: "127.0.0.1:8081", Handler: c, ReadHeaderTimeout: 5 * time.Second}
//	err = web.ListenAndServe() // a listener of its own
//
// # What it protects, and from whom
//
// Whoever can reach the page needs the token, which is guessed at most ten times a minute
// from one address. A page of somebody else's cannot use a browser that has logged in: the
// cookie is for this site only, and names that are not the console's are refused (DNS
// rebinding). Nothing can be changed through it. Texts in the log that an attacker has
// chosen, such as names of tools that do not exist, are shown as text: no script that is
// not the console's own runs (Content-Security-Policy), and nothing is loaded from
// elsewhere.
//
// It never shows arguments, results, questions, reasons or notes: it reads a fixed list of
// members of each record, and no others are kept. Memory is bounded, whatever the log
// holds: the last 262,144 calls and refusals, 1,000 names each of tools, callers and rules.
//
// # What it does not
//
// It shows the log as it is, and that a record is missing in the middle; whether one was
// edited, [mcpsec.VerifyAuditLog] tells. It knows no users but whoever has the token. It
// speaks plain HTTP: over a network it belongs behind TLS. Names of callers and tools are
// shown to whoever has logged in.
package console
