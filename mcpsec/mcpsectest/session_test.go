package mcpsectest_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
)

// A dialogue sends lines, and returns the answer to the last.
func dialogue(t *testing.T, conn net.Conn, lines ...string) string {
	t.Helper()
	answer := ""
	buf := make([]byte, 4096)
	for _, line := range append([]string{""}, lines...) {
		if _, err := io.WriteString(conn, line); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if answer = string(buf[:n]); err != nil {
			return answer
		}
	}
	return answer
}

func plain(t *testing.T, srv *mcpsectest.SMTPServer) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func login(srv *mcpsectest.SMTPServer) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + srv.User + "\x00" + srv.Password))
}

// What goes over a connection without TLS is seen by all on the way.
func TestNothingGoesInClear(t *testing.T) {
	t.Parallel()
	for _, o := range []mcpsectest.SMTPOptions{{}, {NoSTARTTLS: true}} {
		r, srv := start(t, o)
		if got := dialogue(t, plain(t, srv), "EHLO me\r\n"); strings.Contains(got, "AUTH") || strings.Contains(got, "STARTTLS") == o.NoSTARTTLS {
			t.Errorf("offered: %q", got)
		}
		if got := dialogue(t, plain(t, srv), "EHLO me\r\n", "AUTH PLAIN "+login(srv)+"\r\n"); !strings.HasPrefix(got, "538 ") {
			t.Errorf("got %q", got)
		}
		if got := dialogue(t, plain(t, srv), "EHLO me\r\n", "MAIL FROM:<me@example.com>\r\n"); !strings.HasPrefix(got, "530 ") {
			t.Errorf("got %q", got)
		}
		guilty(t, r, `AUTH "PLAIN" over a connection without TLS`, "begun over a connection without TLS")
	}
	r, srv := start(t, mcpsectest.SMTPOptions{})
	dialogue(t, plain(t, srv), "EHLO me\r\n", "AUTH LOGIN\r\n")
	guilty(t, r, "AUTH \"LOGIN\"")
}

// A client that asks for nothing in clear, and finds no TLS, has done nothing wrong.
func TestGivingUpIsFine(t *testing.T) {
	t.Parallel()
	r, srv := start(t, mcpsectest.SMTPOptions{NoSTARTTLS: true})
	if got := dialogue(t, plain(t, srv), "EHLO me\r\n", "STARTTLS\r\n", "QUIT\r\n"); !strings.HasPrefix(got, "221 ") {
		t.Errorf("got %q", got)
	}
	clean(t, r)
}

// Two servers must not read two different things.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	r, srv := start(t, mcpsectest.SMTPOptions{})
	dialogue(t, plain(t, srv), "EHLO me\r\n", "STARTTLS\r\nEHLO me\r\n")
	guilty(t, r, "behind STARTTLS")

	for _, line := range []string{"NOOP\n", "NOOP\rNOOP\r\n", "NO\x00OP\r\n"} {
		r, srv := start(t, mcpsectest.SMTPOptions{})
		dialogue(t, plain(t, srv), line)
		guilty(t, r, "bare CR or LF")
	}
	const hidden = "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nx"
	for _, end := range []string{"\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r.\r\n"} {
		r, srv := start(t, mcpsectest.SMTPOptions{Allow: []string{"ann@example.com"}, TLS: true})
		conn, err := tls.Dial("tcp", srv.Addr(), trust(t, srv))
		if err != nil {
			t.Fatal(err)
		}
		got := dialogue(t, conn, "EHLO me\r\n", "AUTH PLAIN "+login(srv)+"\r\n", "MAIL FROM:<me@example.com>\r\n", "RCPT TO:<ann@example.com>\r\n", "DATA\r\n",
			"To: ann@example.com\r\n\r\nx"+end+hidden+"\r\n.\r\n")
		if !strings.HasPrefix(got, "500 ") || len(srv.Mails()) != 0 {
			t.Errorf("%q: got %q and %d mails", end, got, len(srv.Mails()))
		}
		conn.Close()
		guilty(t, r, "a bare CR or LF")
	}
}

func TestLogins(t *testing.T) {
	t.Parallel()
	r, srv := start(t, mcpsectest.SMTPOptions{TLS: true})
	b64 := base64.StdEncoding.EncodeToString
	user, password := b64([]byte(srv.User)), b64([]byte(srv.Password))
	for _, tt := range []struct {
		want  string
		lines []string
	}{
		{"235", []string{"AUTH PLAIN " + login(srv)}},
		{"235", []string{"auth plain", login(srv)}},
		{"235", []string{"AUTH LOGIN", user, password}},
		{"235", []string{"AUTH LOGIN " + user, password}},
		{"503", []string{"AUTH PLAIN " + login(srv), "AUTH PLAIN " + login(srv)}},
		{"535", []string{"AUTH PLAIN " + b64([]byte("\x00"+srv.User+"\x00"))}},
		{"535", []string{"AUTH PLAIN " + b64([]byte("x\x00"+srv.User+"\x00"+srv.Password))}},
		{"535", []string{"AUTH PLAIN ="}},
		{"535", []string{"AUTH LOGIN", user, "*"}},
		{"535", []string{"AUTH LOGIN", password, password}},
		{"504", []string{"AUTH CRAM-MD5"}},
		{"530", []string{"MAIL FROM:<me@example.com>"}},
		{"503", []string{"RCPT TO:<me@example.com>"}},
		{"503", []string{"DATA"}},
		{"502", []string{"STARTTLS"}},
		{"500", []string{"BDAT 1"}},
		{"500", []string{""}},
		{"250", []string{"HELO me"}},
		{"252", []string{"VRFY ann"}},
		{"503", []string{"AUTH PLAIN " + login(srv), "MAIL FROM:<>", "DATA"}},
		{"503", []string{"AUTH PLAIN " + login(srv), "MAIL FROM:<>", "MAIL FROM:<>"}},
		{"501", []string{"AUTH PLAIN " + login(srv), "MAIL me@example.com"}},
		{"501", []string{"AUTH PLAIN " + login(srv), "MAIL FROM:<a@b@c>"}},
		{"500", []string{strings.Repeat("x", 20_000)}},
	} {
		conn, err := tls.Dial("tcp", srv.Addr(), trust(t, srv))
		if err != nil {
			t.Fatal(err)
		}
		lines := []string{"EHLO me\r\n"}
		for _, l := range tt.lines {
			lines = append(lines, l+"\r\n")
		}
		if got := dialogue(t, conn, lines...); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%.60q: got %q, want %s", tt.lines, got, tt.want)
		}
		conn.Close()
	}
	clean(t, r)
}

// Whom a server cannot read, another may.
func TestRecipientsAreRead(t *testing.T) {
	t.Parallel()
	for _, to := range []string{
		"", "<>", "ann@example.com", "<ann@example.com", "<@evil.example:ann@example.com>", `<"ann bob"@example.com>`, "<ann@example.com>x",
		"<ann>", "<ann@example.com@evil.example>", "<ann@example.com,bob@evil.example>", "<ann@[127.0.0.1]>", "<" + strings.Repeat("a", 400) + "@example.com>",
	} {
		r, srv := start(t, mcpsectest.SMTPOptions{TLS: true, Allow: []string{"ann@example.com"}})
		conn, err := tls.Dial("tcp", srv.Addr(), trust(t, srv))
		if err != nil {
			t.Fatal(err)
		}
		got := dialogue(t, conn, "EHLO me\r\n", "AUTH PLAIN "+login(srv)+"\r\n", "MAIL FROM:<me@example.com>\r\n", "RCPT TO:"+to+"\r\n")
		if !strings.HasPrefix(got, "501 ") {
			t.Errorf("%.40q: got %q", to, got)
		}
		conn.Close()
		guilty(t, r, "a recipient cannot be read")
	}
}

// The certificate is worth nothing without the test's own authority.
func TestCertificateIsChecked(t *testing.T) {
	t.Parallel()
	r, srv := start(t, mcpsectest.SMTPOptions{TLS: true})
	if conn, err := tls.Dial("tcp", srv.Addr(), &tls.Config{ServerName: srv.Host, RootCAs: x509.NewCertPool()}); err == nil {
		conn.Close()
		t.Error("trusted without its authority")
	}
	config := trust(t, srv)
	config.ServerName = "localhost"
	conn, err := tls.Dial("tcp", srv.Addr(), config)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	clean(t, r)
}

func FuzzDialogue(f *testing.F) {
	f.Add("EHLO me\r\nAUTH PLAIN x\r\n")
	f.Add("STARTTLS\r\n\x16\x03")
	f.Add("RCPT TO:<a@b>\r\nDATA\r\n.\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := &recorder{TB: t}
		srv := mcpsectest.SMTP(r, mcpsectest.SMTPOptions{TLS: true})
		defer r.end()
		conn, err := tls.Dial("tcp", srv.Addr(), trust(t, srv))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "EHLO me\r\nAUTH PLAIN "+login(srv)+"\r\nMAIL FROM:<>\r\n"+text)
		_ = conn.CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
		for _, m := range srv.Mails() {
			if len(m.To) == 0 || strings.Contains(strings.ReplaceAll(string(m.Data), "\r\n", ""), "\n") {
				t.Errorf("took %+v", m)
			}
		}
	})
}
