package mailtool

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

type args map[string]any

func letterTo(to ...string) args {
	return args{"to": to, "subject": "Your order", "text": "It is on its way: q7canary-body."}
}

// A person is asked with all that matters, the digest of which is in the receipt; a no
// sends nothing.
func TestMailSend(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	s := serve(t, options(o.port))
	in := letterTo("bob@example.com", "ann@customer.example")
	in["html"] = `<p>It is on its way: <a href="https://example.net/track">example.com</a></p>`
	in["attachments"] = []args{{"name": "Größe.csv", "content": []byte("a,b\n")}}
	text := s.ok("mail_send", in, `"status":"sent"`)
	var r mailtool.Receipt
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	asked := strings.Join(s.questions(), "\n")
	for _, part := range []string{"from orders@example.com", "to bob@example.com, ann@customer.example", `subject "Your order"`, "q7canary-body", "HTML shows", "links to example.net",
		`shows "example.com" and leads to example.net`, "goes outside, to customer.example", "Größe.csv", "[message " + r.Digest + "]"} {
		if !strings.Contains(asked, part) {
			t.Errorf("the question has no %q: %s", part, asked)
		}
	}
	if len(o.got()) != 1 || len(s.questions()) != 1 {
		t.Errorf("got %d letters, %d questions", len(o.got()), len(s.questions()))
	}
	log := s.log.String()
	if !strings.Contains(log, r.MessageID) || !strings.Contains(log, r.RecipientsHash) {
		t.Errorf("the log has no Message-ID and no recipients: %s", log)
	}
	for _, never := range []string{"q7canary-body", password, credential, "bob@example.com"} {
		if strings.Contains(log, never) {
			t.Errorf("the log has %s: %s", never, log)
		}
	}
	s.approve = func(mcpsec.Question) bool { return false }
	in["subject"] = "Another"
	if _, refused := s.call("mail_send", in); !refused || len(o.got()) != 1 {
		t.Errorf("sent in spite of a no")
	}
}

// An equal call returns the first one's receipt, on another replica too; another key
// makes it another message.
func TestMailSendOnce(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	opt := options(o.port)
	opt.State = new(state.Memory)
	one, two := serve(t, opt), serve(t, opt)
	in := letterTo("bob@example.com")
	first := one.ok("mail_send", in)
	if again := two.ok("mail_send", in); again != first || len(o.got()) != 1 {
		t.Errorf("got %s after %s, and %d letters", again, first, len(o.got()))
	}
	if q := two.questions(); len(q) != 1 || !strings.Contains(q[0], "sends nothing more") {
		t.Errorf("asked %q", q)
	}
	in["idempotency_key"] = "2"
	if other := two.ok("mail_send", in); other == first || len(o.got()) != 2 {
		t.Errorf("got %s, and %d letters", other, len(o.got()))
	}
}

// After an answer that was lost, nothing is sent again, and it is said where to look.
func TestMailSendUnknown(t *testing.T) {
	t.Parallel()
	w := newWire(t, failing("end", drop, true))
	s := serve(t, options(w.port))
	for range 2 {
		s.deny("unknown: the message was handed over and no answer came", "mail_send", letterTo("bob@example.com"))
	}
	if n := len(w.contents()); n != 1 || !strings.Contains(s.log.String(), "not known whether it was sent") {
		t.Errorf("got %d contents, log %s", n, s.log.String())
	}
}

// What was refused may be called again.
func TestMailSendAgainAfterRefusal(t *testing.T) {
	t.Parallel()
	w := newWire(t, failing("RCPT", "550 5.1.1 no", true))
	s := serve(t, options(w.port))
	s.deny("RCPT 1 of 1: 550 5.1.1", "mail_send", letterTo("bob@example.com"))
	s.ok("mail_send", letterTo("bob@example.com"), `"status":"sent"`)
}

// A message that changed after the question is asked about anew.
func TestConfirmationIsOfTheMessage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	opt := options(o.port)
	dir := t.TempDir()
	file := filepath.Join(dir, "offer.txt")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	write("10 EUR")
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	opt.Files = root
	s := serve(t, opt)
	s.approve = func(q mcpsec.Question) bool {
		write("99 EUR") // behind the person's back
		return len(s.asked) < 3
	}
	in := letterTo("bob@example.com")
	in["attachments"] = []args{{"name": "offer.txt"}}
	s.ok("mail_send", in)
	q := s.questions()
	if len(q) != 2 || q[0] == q[1] || !strings.Contains(string(o.got()[0].data), "OTkgRVVS") {
		t.Errorf("asked %q, sent %s", q, o.got())
	}
}

// To those inside nobody is asked; to one outside somebody is.
func TestInternal(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	opt := options(o.port)
	opt.Recipients.Internal = []string{"example.com"}
	s := serve(t, opt)
	s.ok("mail_send", letterTo("bob@example.com"))
	if len(s.questions()) != 0 {
		t.Errorf("asked %q", s.questions())
	}
	s.ok("mail_send", letterTo("bob@example.com", "ann@customer.example"))
	if len(s.questions()) != 1 || len(o.got()) != 2 {
		t.Errorf("asked %q, %d letters", s.questions(), len(o.got()))
	}
}

func TestMailPreview(t *testing.T) {
	t.Parallel()
	s := serve(t, options(1)) // no server is asked
	in := letterTo("ann@customer.example")
	in["html"] = `<p>Bank <a href="https://evil.example/">www.bank.example</a> <a href="https://examp1e.com/">here</a></p>`
	s.ok("mail_preview", in, `"external":true`, `"goes outside, to customer.example"`, `leads to evil.example`, `"examp1e.com looks like example.com"`, `"its HTML does not say the same as its text"`, `"digest":"`)
	for _, html := range []string{"<script>x</script>", "<img src=https://x.example>", "<form>", "<!-- x -->", "<p onclick=x>", "<a href=javascript:x>", "<p style='background:url(x)'>", "<a href='http://x.example'>",
		"<iframe src=x>", "<svg>", "<style>x</style>", "<link rel=x>", "<meta http-equiv=refresh>", "<base href=x>", "<a href='https://a@x.example'>", "<textarea>", "<title>x</title>", "<math>", "<p style='a\\75rl(x)'>", "<p>&#x202e;moc", "<p title='&#8203;'>"} {
		in["html"] = html
		s.deny("", "mail_preview", in)
	}
	if len(s.questions()) != 0 {
		t.Error("a preview asks")
	}
}

func TestMailListRecipients(t *testing.T) {
	t.Parallel()
	s := serve(t, options(1))
	s.ok("mail_list_recipients", args{}, `"allow":["example.com","*.partner.example","ann@customer.example","xn--bcher-kva.example"]`, `"deny":["boss@example.com"]`, `"anyone":false`, `"from":"orders@example.com"`)
}

func TestMailVerify(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	serve(t, options(o.port)).ok("mail_verify", args{}, `"tls":"TLS 1.3"`, `"authenticated":true`, `"SIZE"`, `"max_bytes":20971520`)
	if len(o.got()) != 0 {
		t.Error("a letter was sent")
	}
	w := newWire(t, failing("AUTH", "535 5.7.8 no such password: q7canary-password", false))
	s := serve(t, options(w.port))
	s.deny("AUTH: 535 5.7.8", "mail_verify", args{})
	if strings.Contains(s.log.String(), password) {
		t.Error("the log has the password")
	}
}

// To try the server takes the place of a connection that is kept, and leaves none.
func TestMailVerifyTakesAPlace(t *testing.T) {
	t.Parallel()
	w := newWire(t, nil)
	o := options(w.port)
	o.MaxConns, o.Idle = 1, 10*time.Minute
	s := serve(t, o)
	s.ok("mail_send", letterTo("bob@example.com"))
	s.ok("mail_verify", args{})
	w.wait()
	if got := w.commands(); strings.Count(got, "QUIT") != 2 {
		t.Errorf("got %s", got)
	}
}

// What may be sent is bounded by message, hour, day and mailbox, on all replicas, and
// what was not sent is not counted.
func TestCaps(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	opt := options(o.port)
	opt.State = new(state.Memory)
	opt.Recipients.MaxPerMessage, opt.Recipients.PerHour, opt.Recipients.PerDay, opt.Recipients.PerRecipient = 2, 4, 5, 2
	one, two := newClient(t, opt), newClient(t, opt)
	allow := func(c *mailtool.Client, to ...string) {
		t.Helper()
		if _, err := c.Send(t.Context(), hello(to...)); err != nil {
			t.Error(err)
		}
	}
	deny := func(c *mailtool.Client, why string, to ...string) {
		t.Helper()
		if _, err := c.Send(t.Context(), hello(to...)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("got %v, want %q", err, why)
		}
	}
	deny(one, "at most 2 recipients", "a@example.com", "b@example.com", "c@example.com")
	down := opt
	down.Port = newWire(t, failing("RCPT", "550 5.1.1 no", false)).port
	for range 5 {
		deny(newClient(t, down), "550", "a@example.com", "b@example.com")
	}
	allow(one, "a@example.com", "b@example.com")
	allow(two, "a+x@example.com")
	deny(one, "2 messages of a day", "a+y@example.com")
	allow(two, "c@example.com")
	deny(two, "4 recipients of an hour", "d@example.com")
	if len(o.got()) != 3 {
		t.Errorf("%d letters", len(o.got()))
	}
}

// Who does not want mail gets none, under any subaddress, and an error of the list is a
// no.
func TestSuppressed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	opt := options(o.port)
	opt.Suppressed = func(_ context.Context, address string) (bool, error) {
		if strings.HasPrefix(address, "err") {
			return false, errors.New("the list cannot be read")
		}
		return address == "no@example.com", nil
	}
	c := newClient(t, opt)
	for address, sent := range map[string]bool{"no@example.com": false, "no+1@example.com": false, "NO@EXAMPLE.COM": false, "err@example.com": false, "yes@example.com": true} {
		if _, err := c.Send(t.Context(), hello(address)); (err == nil) != sent {
			t.Errorf("%s: got %v", address, err)
		}
	}
	s := serve(t, opt)
	s.deny("must not be written to", "mail_send", letterTo("yes@example.com", "no@example.com"))
	if len(s.questions()) != 0 {
		t.Error("a person is asked for what is refused")
	}
}

// Without a list nothing is sent, but by a waiver, and then to all but who is excluded.
func TestAnyRecipient(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	opt := options(o.port)
	opt.Recipients.Allow = nil
	if _, err := mailtool.New(opt); err == nil {
		t.Fatal("no list, and a client")
	}
	opt.Waive = append(opt.Waive, insecure.AnyRecipient("a test"))
	c := newClient(t, opt)
	if _, err := c.Send(t.Context(), hello("anyone@anywhere.example")); err != nil {
		t.Error(err)
	}
	if _, err := c.Send(t.Context(), hello("boss@example.com")); err == nil {
		t.Error("sent to who is excluded")
	}
	s := serve(t, opt)
	s.ok("mail_list_recipients", args{}, `"anyone":true`)
}
