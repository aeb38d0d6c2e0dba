package mailtool

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// once fails at a step the first time, and always every time.
func failing(step, how string, first bool) func(string, int) string {
	return func(s string, n int) string {
		if s == step && (n == 1 || !first) {
			return how
		}
		return ""
	}
}

// What fails for a while before the message was taken is tried again; what is refused
// for good is not; and what may have been taken is not sent again.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, f := range []struct {
		step, how string
		first     bool // and not again
		status    string
		contents  int
	}{
		{"connect", drop, true, "sent", 1},
		{"connect", "421 4.3.2 later", true, "sent", 1},
		{"connect", "554 5.7.1 no", false, "", 0},
		{"connect", drop, false, "", 0},
		{"EHLO", drop, true, "sent", 1},
		{"STARTTLS", drop, true, "sent", 1},
		{"STARTTLS", "454 4.7.0 later", true, "sent", 1},
		{"STARTTLS", "501 5.5.4 no", false, "", 0},
		{"EHLO+", drop, true, "sent", 1},
		{"AUTH", drop, true, "sent", 1},
		{"AUTH", "454 4.7.0 later", true, "sent", 1},
		{"AUTH", "535 5.7.8 no", false, "", 0},
		{"MAIL", drop, true, "sent", 1},
		{"MAIL", "450 4.7.1 later", true, "sent", 1},
		{"MAIL", "550 5.7.1 no", false, "", 0},
		{"RCPT", drop, true, "sent", 1},
		{"RCPT", "450 4.2.0 later", true, "sent", 1},
		{"RCPT", "421 4.2.0 later", true, "sent", 1},
		{"RCPT", "550 5.1.1 no", true, "", 0},
		{"DATA", drop, true, "sent", 1},
		{"DATA", "451 4.3.0 later", true, "sent", 1},
		{"DATA", "554 5.6.0 no", false, "", 0},
		{"content", drop, true, "unknown", 0}, // all of it was on its way
		{"end", "451 4.3.0 later", true, "sent", 2},
		{"end", "554 5.6.0 no", false, "", 1},
		{"end", drop, true, "unknown", 1},
		{"end", "nothing that is an answer", true, "unknown", 1},
		{"end", "354 go on", true, "unknown", 1},
	} {
		t.Run(f.step+" "+f.how, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, failing(f.step, f.how, f.first))
			c := newClient(t, options(w.port))
			r, err := c.Send(t.Context(), hello("bob@example.com", "eve@example.com"))
			if r.Status != f.status || (err == nil) != (f.status == "sent") || errors.Is(err, mailtool.ErrUnknown) != (f.status == "unknown") {
				t.Errorf("got %+v, %v, want %q", r, err, f.status)
			}
			if n := len(w.contents()); n != f.contents {
				t.Errorf("%d contents came, want %d", n, f.contents)
			}
			if err != nil && strings.Contains(err.Error(), "localhost") {
				t.Errorf("a text of the server's: %v", err)
			}
			if again := w.stepped(f.step) > 1; f.status != "sent" && f.how != drop && again {
				t.Errorf("tried again: %s", w.commands())
			}
		})
	}
}

// After a refusal the connection serves the next message, and nothing of the refused
// one is left.
func TestRefusedRecipient(t *testing.T) {
	t.Parallel()
	w := newWire(t, func(step string, n int) string {
		if step == "RCPT" && n == 2 {
			return "550 5.1.1 nobody here of that name"
		}
		return ""
	})
	c := newClient(t, options(w.port))
	_, err := c.Send(t.Context(), hello("bob@example.com", "eve@example.com"))
	if err == nil || !strings.Contains(err.Error(), "RCPT 2 of 2: 550 5.1.1") || strings.Contains(err.Error(), "nobody") {
		t.Errorf("got %v", err)
	}
	if _, err := c.Send(t.Context(), hello("ann@customer.example")); err != nil {
		t.Error(err)
	}
	if got := w.commands(); strings.Count(got, "EHLO example.com\n") != 2 || strings.Count(got, "DATA") != 1 || !strings.HasSuffix(got, "RSET\nRSET\nMAIL FROM:<orders@example.com> BODY=8BITMIME\nRCPT TO:<ann@customer.example>\nDATA") {
		t.Errorf("got %s", got)
	}
}

// A call that is given up returns at whatever step it is, and no connection is left.
func TestCancel(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"connect", "EHLO", "STARTTLS", "handshake", "EHLO+", "AUTH", "MAIL", "RCPT", "DATA", "content", "end", "second RSET"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			at, skip := strings.CutPrefix(step, "second ")
			w := newWire(t, func(s string, _ int) string {
				if s == at {
					cancel()
					return hang
				}
				return ""
			})
			o := options(w.port)
			o.Timeout = 10 * time.Minute
			c := newClient(t, o)
			if skip {
				if _, err := c.Send(t.Context(), hello("bob@example.com")); err != nil {
					t.Fatal(err)
				}
			}
			m := hello("bob@example.com")
			m.Text = strings.Repeat("a long text\n", 10_000)
			begin := time.Now()
			r, err := c.Send(ctx, m)
			t.Logf("returned after %v", time.Since(begin))
			if err == nil || errors.Is(err, mailtool.ErrUnknown) != (step == "end") || (r.Status == "unknown") != (step == "end") {
				t.Errorf("got %+v, %v", r, err)
			}
			w.wait() // for the client's end
		})
	}
}

// A server that is not the one that it should be gets neither password nor mail, also
// when it is on this machine.
func TestServerIsChecked(t *testing.T) {
	t.Parallel()
	other, pool := certificate("other.example")
	for name, change := range map[string]func(*mailtool.Options, *wire){
		"STARTTLS stripped":       func(_ *mailtool.Options, w *wire) { w.ext = []string{"AUTH PLAIN LOGIN"} },
		"another's certificate":   func(o *mailtool.Options, w *wire) { o.RootCAs, w.cert = pool, other },
		"nobody's certificate":    func(_ *mailtool.Options, w *wire) { w.cert, _ = certificate("localhost") },
		"plain text, and TLS":     func(o *mailtool.Options, _ *wire) { o.ImplicitTLS = true },
		"no way to log in":        func(_ *mailtool.Options, w *wire) { w.ext = []string{"STARTTLS", "AUTH CRAM-MD5 XOAUTH2"} },
		"no login":                func(_ *mailtool.Options, w *wire) { w.ext = []string{"STARTTLS"} },
		"old TLS":                 func(_ *mailtool.Options, w *wire) { w.maxTLS = tls.VersionTLS11 },
		"smaller than the letter": func(_ *mailtool.Options, w *wire) { w.ext = []string{"STARTTLS", "AUTH PLAIN", "SIZE 100"} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, nil)
			o := options(w.port)
			change(&o, w)
			c := newClient(t, o)
			if _, err := c.Send(t.Context(), hello("bob@example.com")); err == nil {
				t.Error("sent")
			}
			if got := w.commands(); strings.Contains(got, "MAIL") || strings.Contains(got, credential) && name != "smaller than the letter" {
				t.Errorf("got %s", got)
			}
		})
	}
}

// Without TLS no password is given, whatever is waived; without a password mail is.
func TestPlaintext(t *testing.T) {
	t.Parallel()
	w := newWire(t, nil)
	w.ext = []string{"AUTH PLAIN LOGIN"}
	o := options(w.port)
	o.Waive = append(o.Waive, insecure.PlaintextMail("a test"))
	if _, err := mailtool.New(o); err == nil {
		t.Error("a password in the clear")
	}
	o.Username, o.Password = "", redact.Secret{}
	c := newClient(t, o)
	if _, err := c.Send(t.Context(), hello("bob@example.com")); err != nil || len(w.contents()) != 1 {
		t.Errorf("got %v", err)
	}
}

// A server that talks without end does not fill the memory.
func TestTalkativeServer(t *testing.T) {
	t.Parallel()
	w := newWire(t, failing("EHLO", strings.Repeat("250-x\r\n", 1<<16)+"250 x", false))
	if _, err := newClient(t, options(w.port)).Send(t.Context(), hello("bob@example.com")); err == nil {
		t.Error("sent")
	}
}

// TLS at once works, too.
func TestImplicitTLS(t *testing.T) {
	t.Parallel()
	o := newOffice(t, func(s *smtp.Server) { s.Network = "tls" })
	opt := options(o.port)
	opt.ImplicitTLS = true
	if _, err := newClient(t, opt).Send(t.Context(), hello("bob@example.com")); err != nil || len(o.got()) != 1 {
		t.Errorf("got %v", err)
	}
}

// A connection that its server has ended meanwhile costs nobody a message, and one that
// has had answers to spare is not used again.
func TestReuse(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(string, int) string{
		"ended":  failing("RSET", drop, true),
		"later":  failing("RSET", "421 4.3.2 later", true),
		"unused": failing("end", "250 2.0.0 taken\r\n250 2.0.0 and another answer", true),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, at)
			c := newClient(t, options(w.port))
			for range 2 {
				if _, err := c.Send(t.Context(), hello("bob@example.com")); err != nil {
					t.Error(err)
				}
			}
			if n := len(w.contents()); n != 2 || w.stepped("connect") != 2 {
				t.Errorf("%d contents over %d connections", n, w.stepped("connect"))
			}
		})
	}
}

// A connection that nobody needs ends by itself, and so does each with Close.
func TestIdle(t *testing.T) {
	t.Parallel()
	w := newWire(t, nil)
	o := options(w.port)
	o.Idle = time.Millisecond
	if _, err := newClient(t, o).Send(t.Context(), hello("bob@example.com")); err != nil {
		t.Error(err)
	}
	w.wait()
	o.Idle = 5 * time.Minute
	c := newClient(t, o)
	if _, err := c.Send(t.Context(), hello("bob@example.com")); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	w.wait()
	if got := w.commands(); !strings.HasSuffix(got, "QUIT") {
		t.Errorf("got %s", got)
	}
}
