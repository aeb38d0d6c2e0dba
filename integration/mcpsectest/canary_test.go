package mcpsectest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A recorder is a test that may fail.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	errors   []string
	cleanups []func()
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) end() string {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
	r.cleanups = nil
	return strings.Join(r.errors, "\n")
}

func roots(t *testing.T, srv *mcpsectest.SMTPServer) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(srv.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool
}

// mailtool passes its own canary, with each way to begin TLS and through what goes
// wrong on the way.
func TestMailtoolPasses(t *testing.T) {
	t.Parallel()
	for _, implicit := range []bool{false, true} {
		srv := mcpsectest.SMTP(t, mcpsectest.SMTPOptions{
			Allow: []string{"ann@example.com", "bob@example.com", "cid@example.com", "dan@xn--bcher-kva.example"}, Bcc: []string{"cid@example.com"}, TLS: implicit,
		})
		port, err := strconv.Atoi(srv.Port)
		if err != nil {
			t.Fatal(err)
		}
		c, err := mailtool.New(mailtool.Options{
			Host: srv.Host, Port: port, ImplicitTLS: implicit, RootCAs: roots(t, srv), Username: srv.User, Password: redact.NewSecret(srv.Password),
			From: "shop@example.com", Recipients: mailtool.Recipients{Allow: []string{"example.com", "bücher.example"}}, Bcc: true,
			Log: slog.New(slog.DiscardHandler), Timeout: 5 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		m := mailtool.Message{To: []string{"ann@example.com"}, Cc: []string{"Bob@example.com", "dan@bücher.example"}, Bcc: []string{"cid@example.com"}, Subject: "Grüße", Text: ".\n.hidden\nGood day.\n"}
		if _, err := c.Send(t.Context(), m); err != nil {
			t.Error(err)
		}
		srv.Fail(mcpsectest.Reset)
		m.Subject = "Second"
		if _, err := c.Send(t.Context(), m); !errors.Is(err, mailtool.ErrUnknown) {
			t.Errorf("got %v, want that it is not known", err)
		}
		if n := len(srv.Mails()); n != 2 {
			t.Errorf("%d mails, want 2: a message that may have been sent is not sent again", n)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// go-mail passes as it is, and fails with the one line that was added to a server.
func TestGoMail(t *testing.T) {
	t.Parallel()
	for _, infected := range []bool{false, true} {
		r := &recorder{TB: t}
		srv := mcpsectest.SMTP(r, mcpsectest.SMTPOptions{Allow: []string{"ann@example.com"}})
		port, err := strconv.Atoi(srv.Port)
		if err != nil {
			t.Fatal(err)
		}
		for _, auth := range []mail.SMTPAuthType{mail.SMTPAuthPlain, mail.SMTPAuthLogin} {
			c, err := mail.NewClient(srv.Host, mail.WithPort(port), mail.WithSMTPAuth(auth), mail.WithUsername(srv.User), mail.WithPassword(srv.Password))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.SetTLSConfig(&tls.Config{ServerName: srv.Host, RootCAs: roots(t, srv)}); err != nil {
				t.Fatal(err)
			}
			m := mail.NewMsg()
			if err := errors.Join(m.From("shop@example.com"), m.To("ann@example.com")); err != nil {
				t.Fatal(err)
			}
			if infected {
				if err := m.Bcc("phan@example.net"); err != nil {
					t.Fatal(err)
				}
			}
			m.Subject("Invoice")
			m.SetBodyString(mail.TypeTextPlain, "Hello")
			if err := c.DialAndSendWithContext(t.Context(), m); err != nil {
				t.Error(err)
			}
		}
		if n := len(srv.Mails()); n != 2 {
			t.Errorf("%d mails", n)
		}
		if problems := r.end(); (problems != "") != infected || infected && !strings.Contains(problems, "phan@example.net") {
			t.Errorf("infected %v: %s", infected, problems)
		}
	}
}
