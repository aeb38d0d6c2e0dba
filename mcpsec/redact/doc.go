// Package redact keeps secrets out of logs, errors and tool results.
//
//	r := redact.New(redact.Options{Secrets: []redact.Secret{apiKey}})
//	log := slog.New(redact.NewHandler(slog.NewJSONHandler(os.Stderr, nil), r))
//	log.Error("opening pool", "err", err) // a DSN in err loses its password
//	result = r.JSON(result)               // what a tool is about to answer
//
// It protects the operator and the users of a program from everyone who reads
// what the program writes: a language model and its provider, a client, a log
// store and the people with access to it.
//
// # What is found
//
//   - Registered values ([Redactor.Register]), exact and in their URL, base64,
//     JSON, Go and hex forms, also in the middle of longer base64.
//   - Values of type [Secret], which never print, and in logs the fields of
//     structs tagged `redact:"true"`.
//   - Values under a secret name (password, client_secret, X-Api-Key, ...): log
//     attributes, JSON members, query parameters, headers and cookies, k=v,
//     environment, YAML, INI, XML, forms, property lists, command lines, SQL,
//     what Go, Rust, Python, PHP and others print of a struct or map, also when
//     quoted in JSON several times, percent-encoded or in a terminal's colours.
//     Names of passwords in some twenty languages.
//   - Secrets that show themselves: passwords in URLs and DSNs, Authorization
//     and AUTH credentials, JSON Web Tokens, private keys, password hashes,
//     tokens of more than two hundred services, payment card numbers, and
//     base64 of text that holds a secret. E-mail addresses, phone numbers and
//     IBANs on request ([Options]).
//
// Prose about passwords, identifiers, digests, images, SQL, source code and
// what is masked already is left alone, byte for byte.
//
// # What is not
//
// A pattern is a guess, registration is not: register what you know. Not found
// is a secret that stands alone, has no known form and was not registered; one
// that is encoded twice, compressed, encrypted or spelled out; one split over
// several values or calls; one in a table far from its heading, or in a
// sentence far from its name. Nothing here stops code that sends
// [Secret.Reveal] somewhere itself, and [Secret.Close] clears one copy of many.
//
// # Cost
//
// Text is gone over once, and again where what was masked may change what
// stands beside it. Time is linear in the length of the text, whatever it
// holds: what is written to a log is often chosen by an attacker. A text without
// a secret costs no allocation. docs/redaction.md has the figures.
package redact
