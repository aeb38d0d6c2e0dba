// Package mcpsectest is for those who write MCP servers and want go test to prove what
// their handlers do, and what they refuse:
//
//	func TestCancelAsksFirst(t *testing.T) {
//		audit := &mcpsectest.Audit{}
//		client := mcpsectest.Connect(t, newServer(audit), mcpsectest.ClientOptions{
//			Principal: mcpsec.Principal{ID: "ada", Scopes: []string{"orders.cancel"}},
//			Confirm:   func(question string) bool { return false },
//		})
//		mcpsectest.Refused(t, client, "order_cancel", CancelIn{Order: "A-17"})
//		if got := audit.Story("order_cancel"); got != "asked mrtr; refused declined" {
//			t.Errorf("recorded %q", got)
//		}
//	}
//
// [Connect] attaches a real client in the test's own process, [Audit] keeps the records
// and fails when it is told to, and a [Sender] signs webhooks as Stripe, GitHub and
// others do: [Delivery.Check] sends an endpoint the genuine one and each forgery.
//
// The mail server, [SMTP], tests MCP servers from outside, in whatever language they are
// written. It fails a test when a message goes to anybody whom the test did not declare:
//
//	func TestMailGoesWhereItShould(t *testing.T) {
//		srv := mcpsectest.SMTP(t, mcpsectest.SMTPOptions{Allow: []string{"ann@example.com"}})
//		client := start(t, "node", "server.js", // any MCP server
//			"SMTP_HOST="+srv.Host, "SMTP_PORT="+srv.Port, "SMTP_USER="+srv.User,
//			"SMTP_PASS="+srv.Password, "NODE_EXTRA_CA_CERTS="+srv.CAFile)
//		call(t, client, "send_mail", map[string]any{"to": "ann@example.com"})
//		if n := len(srv.Mails()); n != 1 {
//			t.Errorf("%d mails arrived, want 1", n)
//		}
//	}
//
// # Attacks
//
// [Run] attacks any MCP server, yours or not: in this process ([Server]), as a program
// ([Command]) or over HTTP ([URL]).
//
//	func TestAttacks(t *testing.T) {
//		mcpsectest.Run(t, mcpsectest.Command("node", "server.js"), mcpsectest.Options{})
//	}
//
// It protects those whose data a server reaches from what its authors did not see:
// arguments that are not checked, messages that end it, errors and logs that tell
// secrets, confirmations that can be forged, calls without bounds. A subtest for each
// check fails with what was seen and what to do. Tools that do not say that they only
// read are not called, unless they are listed. It does not know whose data a tool may
// show to whom, and a run without findings says that these attacks did not work.
// docs/check.md has all of them, and the command mcpsec-check makes them without a test.
//
// # What it protects, and from whom
//
// It protects those who use a server from its authors and from what they depend on.
// In September 2025 a release of a mail server for MCP, trusted through fifteen
// releases before it, added one line: a Bcc to its author. A client cannot see that,
// and neither can a person who confirms what the client shows. The mail server that
// the message is handed to can.
//
// A test fails for each recipient of an envelope that is not declared, whether or not
// the message was sent in the end; for a Bcc header; for a recipient whom To and Cc do
// not name, and a name there that is no recipient; for a password or an envelope that
// goes over a connection without TLS; for lines that two servers would read
// differently (SMTP smuggling). Certificate, authority and password are made for each
// test, and nothing listens on any address but 127.0.0.1.
//
// What goes wrong on a network can be asked for: see [Fault].
//
// An endpoint of webhooks is protected from its author: one that does not verify, that
// verifies something else than the bytes that came, that ignores the time, or that does
// a thing again when it is told again, fails Check.
//
// # What it does not protect
//
// Connect shows what the pipeline lets through, on one machine and in one process: it is
// no test of a network, a proxy or a token verifier. Check proves what it sends, and not
// that two replicas share what they have seen; it has no forgeries of Amazon SNS.
//
// The mail server sees what is sent to it. A server that sends a copy over HTTP, to another mail
// server, or only outside of tests, is not caught: run it where it can reach nothing
// else, and with the release that you will run. What is in a message is yours to check,
// and so is whom answers and bounces go to, Reply-To and the envelope's sender: see
// [Mail].
package mcpsectest
