package mcpsectest_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
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

// end ends the test, and returns what it failed for.
func (r *recorder) end() []string {
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
	r.cleanups = nil
	return r.errors
}

func start(t *testing.T, o mcpsectest.SMTPOptions) (*recorder, *mcpsectest.SMTPServer) {
	t.Helper()
	r := &recorder{TB: t}
	srv := mcpsectest.SMTP(r, o)
	t.Cleanup(func() { r.end() })
	return r, srv
}

// clean says that a test passes, guilty that it fails once, for each of the words.
func clean(t *testing.T, r *recorder) {
	t.Helper()
	if errs := r.end(); len(errs) != 0 {
		t.Errorf("the test fails: %q", errs)
	}
}

func guilty(t *testing.T, r *recorder, words ...string) {
	t.Helper()
	errs := r.end()
	if len(errs) == 0 {
		t.Error("the test passes")
	}
	all := strings.Join(errs, "\n")
	for _, w := range words {
		if !strings.Contains(all, w) {
			t.Errorf("the test fails with %q, want %q", errs, w)
		}
	}
}

func trust(t testing.TB, srv *mcpsectest.SMTPServer) *tls.Config {
	t.Helper()
	text, err := os.ReadFile(srv.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{ServerName: srv.Host, RootCAs: roots}
}

// loggedIn is a client after STARTTLS and AUTH.
func loggedIn(t testing.TB, srv *mcpsectest.SMTPServer) *smtp.Client {
	t.Helper()
	c, err := smtp.Dial(srv.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.StartTLS(trust(t, srv)); err != nil {
		t.Fatal(err)
	}
	if err := c.Auth(smtp.PlainAuth("", srv.User, srv.Password, srv.Host)); err != nil {
		t.Fatal(err)
	}
	return c
}

func send(c *smtp.Client, data string, to ...string) error {
	if err := c.Mail("me@example.com"); err != nil {
		return err
	}
	for _, a := range to {
		if err := c.Rcpt(a); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, data); err != nil {
		return err
	}
	return w.Close()
}

const toAnn = "From: me@example.com\r\nTo: Ann <ann@example.com>\r\nSubject: s\r\n\r\n.dot\r\nbody\r\n"

func TestMailIsKept(t *testing.T) {
	t.Parallel()
	r, srv := start(t, mcpsectest.SMTPOptions{Allow: []string{"Ann@Example.com", "bob@example.com"}, Bcc: []string{"bob@example.com"}})
	c := loggedIn(t, srv)
	if err := send(c, toAnn, "ann@example.com", "BOB@example.com"); err != nil {
		t.Fatal(err)
	}
	mails := srv.Mails()
	if len(mails) != 1 || mails[0].From != "me@example.com" || !slices.Equal(mails[0].To, []string{"ann@example.com", "BOB@example.com"}) || string(mails[0].Data) != toAnn {
		t.Fatalf("got %+v", mails)
	}
	mails[0].Data[0], mails[0].To[0] = 'X', "x"
	if m := srv.Mails()[0]; m.Data[0] != 'F' || m.To[0] != "ann@example.com" {
		t.Error("the mails are not copies")
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	clean(t, r)
}

// Each is a message that its sender's user does not expect.
func TestMessagesAreJudged(t *testing.T) {
	t.Parallel()
	const other = "phan@example.net"
	for name, tt := range map[string]struct {
		data string
		to   []string
		want string // nothing: it is fine
	}{
		"clean":               {toAnn, []string{"ann@example.com"}, ""},
		"clean, two":          {"To: ann@example.com\r\nCc: Bob <bob@example.com>\r\n\r\n", []string{"bob@example.com", "ann@example.com"}, ""},
		"clean, folded":       {"To: ann@example.com,\r\n bob@example.com\r\n\r\n", []string{"bob@example.com", "ann@example.com"}, ""},
		"clean, other case":   {"To: ANN@EXAMPLE.COM\r\n\r\n", []string{"ann@example.com"}, ""},
		"the incident":        {toAnn, []string{"ann@example.com", other}, "who is not in Allow"},
		"told by the header":  {"To: ann@example.com, " + other + "\r\n\r\n", []string{"ann@example.com", other}, "who is not in Allow"},
		"look-alike":          {toAnn, []string{"ann@example.com", "ann@examp\u04cfe.com"}, "who is not in Allow"},
		"invisible rune":      {toAnn, []string{"ann@example.com", "ann\u200b@example.com"}, "who is not in Allow"},
		"subdomain":           {toAnn, []string{"ann@example.com", "ann@example.com.example.net"}, "who is not in Allow"},
		"plus":                {toAnn, []string{"ann@example.com", "ann+x@example.com"}, "who is not in Allow"},
		"hidden":              {toAnn, []string{"ann@example.com", "bob@example.com"}, "whom neither To nor Cc names"},
		"undisclosed":         {"To: undisclosed-recipients:;\r\n\r\n", []string{"ann@example.com"}, "whom neither To nor Cc names"},
		"nobody is named":     {"Subject: s\r\n\r\n", []string{"ann@example.com"}, "whom neither To nor Cc names"},
		"a name, no envelope": {"To: ann@example.com, bob@example.com\r\n\r\n", []string{"ann@example.com"}, `names "bob@example.com"`},
		"second To":           {"To: ann@example.com\r\nTo: " + other + "\r\n\r\n", []string{"ann@example.com"}, other},
		"Bcc header":          {"Bcc: ann@example.com\r\n" + toAnn, []string{"ann@example.com"}, "header Bcc"},
		"bcc header":          {"bCC:\r\n" + toAnn, []string{"ann@example.com"}, "header Bcc"},
		"Resent-Bcc header":   {"Resent-Bcc: ann@example.com\r\n" + toAnn, []string{"ann@example.com"}, "header Resent-Bcc"},
		"no header":           {"hello\r\n", []string{"ann@example.com"}, "header that cannot be read"},
		"no To":               {"To: <<ann\r\n\r\n", []string{"ann@example.com"}, "To or Cc that cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, srv := start(t, mcpsectest.SMTPOptions{Allow: []string{"ann@example.com", "bob@example.com"}})
			if err := send(loggedIn(t, srv), tt.data, tt.to...); err != nil {
				t.Fatal(err)
			}
			if len(srv.Mails()) != 1 {
				t.Errorf("%d mails", len(srv.Mails()))
			}
			if tt.want == "" {
				clean(t, r)
			} else {
				guilty(t, r, tt.want)
			}
		})
	}
}

// A recipient counts although nothing was sent to it in the end.
func TestAttemptCounts(t *testing.T) {
	t.Parallel()
	r, srv := start(t, mcpsectest.SMTPOptions{})
	c := loggedIn(t, srv)
	if err := c.Mail("me@example.com"); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("phan@example.net"); err != nil {
		t.Fatal(err)
	}
	if err := c.Reset(); err != nil {
		t.Fatal(err)
	}
	guilty(t, r, `"phan@example.net"`)
}

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

func TestFaults(t *testing.T) {
	t.Parallel()
	r, srv := start(t, mcpsectest.SMTPOptions{Allow: []string{"ann@example.com"}})
	srv.Fail(mcpsectest.Refuse)
	c := loggedIn(t, srv)
	if err := send(c, toAnn, "ann@example.com"); err == nil || !strings.HasPrefix(err.Error(), "451 ") {
		t.Errorf("got %v", err)
	}
	if err := c.Reset(); err != nil {
		t.Fatal(err)
	}
	if err := send(c, toAnn, "ann@example.com"); err != nil {
		t.Errorf("once is not enough: %v", err)
	}
	srv.Fail(mcpsectest.Reset)
	if err := send(c, toAnn, "ann@example.com"); err == nil || len(srv.Mails()) != 2 {
		t.Errorf("got %v and %d mails", err, len(srv.Mails()))
	}
	srv.Fail(mcpsectest.Hang)
	done := make(chan error, 1)
	c = loggedIn(t, srv)
	go func() { done <- send(c, toAnn, "ann@example.com") }()
	clean(t, r) // the end of the test is the end of it
	if err := <-done; err == nil {
		t.Error("the server has answered")
	}
}

// A guilty message is reported although its sender saw a fault.
func TestFaultsHideNothing(t *testing.T) {
	t.Parallel()
	r, srv := start(t, mcpsectest.SMTPOptions{Allow: []string{"ann@example.com"}})
	srv.Fail(mcpsectest.Refuse)
	if err := send(loggedIn(t, srv), toAnn, "phan@example.net"); err == nil {
		t.Error("no fault")
	}
	srv.Fail(mcpsectest.Reset)
	if err := send(loggedIn(t, srv), "Bcc: x@example.net\r\n"+toAnn, "ann@example.com"); err == nil {
		t.Error("no fault")
	}
	guilty(t, r, "phan@example.net", "header Bcc")
}

// Whom the server refused for now belongs to the envelope.
func TestRefusedAreJudged(t *testing.T) {
	t.Parallel()
	for to, hidden := range map[string]bool{"ann@example.com, bob@example.com": false, "bob@example.com": true} {
		r, srv := start(t, mcpsectest.SMTPOptions{Allow: []string{"ann@example.com", "bob@example.com"}})
		srv.Fail(mcpsectest.Refuse)
		c := loggedIn(t, srv)
		if err := c.Mail("me@example.com"); err != nil {
			t.Fatal(err)
		}
		if err := c.Rcpt("ann@example.com"); err == nil {
			t.Error("no fault")
		}
		if err := c.Rcpt("bob@example.com"); err != nil {
			t.Fatal(err)
		}
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(w, "To: "+to+"\r\n\r\n")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := srv.Mails()[0].To; !slices.Equal(got, []string{"bob@example.com"}) {
			t.Errorf("got %v", got)
		}
		if hidden {
			guilty(t, r, "whom neither To nor Cc names")
		} else {
			clean(t, r)
		}
	}
}

// A dot in the middle of a long line ends nothing, wherever a buffer ends.
func TestLongLines(t *testing.T) {
	t.Parallel()
	r, srv := start(t, mcpsectest.SMTPOptions{Allow: []string{"ann@example.com"}})
	c := loggedIn(t, srv)
	const buffer = 12288
	data := toAnn + strings.Repeat("x", buffer) + ".\r\n.. " + strings.Repeat("y", buffer-3) + "\r\nend\r\n"
	if err := send(c, data, "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	if got := string(srv.Mails()[0].Data); got != data {
		t.Errorf("got %d bytes, want %d", len(got), len(data))
	}
	clean(t, r)
}

func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	r, srv := start(t, mcpsectest.SMTPOptions{})
	c := loggedIn(t, srv)
	if err := c.Mail("me@example.com"); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if err := c.Rcpt(fmt.Sprintf("a%d@example.com", i%30)); err != nil {
			t.Fatal(err)
		}
	}
	errs := r.end()
	if len(errs) != 21 || !strings.Contains(errs[20], "and 10 more") {
		t.Errorf("got %d: %q", len(errs), errs)
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
