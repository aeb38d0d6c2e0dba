package mcpsectest_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/smtp"
	"os"
	"runtime"
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

// Fatalf ends the goroutine: run a test that may call it by run.
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

// run runs a test to its end, or to where it fails for good.
func (r *recorder) run(test func(testing.TB)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(r)
	}()
	<-done
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
		"clean, any charset":  {"To: =?x-unknown?Q?=E4nn?= <ann@example.com>\r\n\r\n", []string{"ann@example.com"}, ""},
		"clean, an empty Cc":  {"To: ann@example.com\r\nCc: \r\n\r\n", []string{"ann@example.com"}, ""},
		"clean, a group":      {"To: Team: ann@example.com, bob@example.com;\r\n\r\n", []string{"ann@example.com", "bob@example.com"}, ""},
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

// A server under test cannot use up the machine.
func TestMailsAreBounded(t *testing.T) {
	t.Parallel()
	r, srv := start(t, mcpsectest.SMTPOptions{Allow: []string{"ann@example.com"}})
	mcpsectest.SetRoom(srv, len(toAnn)+10)
	c := loggedIn(t, srv)
	if err := send(c, toAnn, "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	if err := send(c, toAnn, "ann@example.com"); err == nil || !strings.HasPrefix(err.Error(), "452 ") || len(srv.Mails()) != 1 {
		t.Errorf("got %v and %d mails", err, len(srv.Mails()))
	}
	guilty(t, r, "more messages came than a test keeps")
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
