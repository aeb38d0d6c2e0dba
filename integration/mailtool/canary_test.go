package mailtool

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
)

// said is what a server says that quotes all that it was told.
var said = "q7canary-server bob@example.com " + credential + " " + base64.StdEncoding.EncodeToString([]byte(password))

// Whatever the server says at whatever step, no credential, body, address or word of
// the server's is in a log, an audit record or an error of any tool; and of results only
// those have a body or an address whose purpose that is.
func TestCanaries(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"connect", "EHLO", "STARTTLS", "EHLO+", "AUTH", "MAIL", "RCPT", "DATA", "end"} {
		for _, how := range []string{"550 5.0.0 %s", "334 %s", "%s", "xyz-%s"} {
			t.Run(step+" "+how, func(t *testing.T) {
				t.Parallel()
				w := newWire(t, failing(step, fmt.Sprintf(how, said), false))
				o, list := options(w.port), suppress.New(nil)
				o.Suppressed, o.Timeout = mailtool.Suppressed(list), 100*time.Millisecond
				s := &session{t: t}
				s.Session = mcptest.Dial(t, s.server(o, s.person, mailtool.SuppressionTools(list)...), nil)
				s.canaries()
			})
		}
	}
}

func (s *session) canaries() {
	s.t.Helper()
	html := `<p>q7canary-html <a href="https://example.com/q7canary-link">x</a></p>`
	in := args{"to": []string{"bob@example.com"}, "subject": "q7canary-subject", "text": "q7canary-body", "html": html, "attachments": []args{{"name": "q7canary-name.txt", "content": []byte("q7canary-content")}}}
	never := []string{password, credential, base64.StdEncoding.EncodeToString([]byte(password)), "q7canary-server"}
	private := append([]string{"q7canary-", "bob@example.com", "cid@example.com", base64.StdEncoding.EncodeToString([]byte("q7canary-content"))[:12]}, never...)
	call := func(tool string, in args, not []string) {
		s.t.Helper()
		text, _ := s.call(tool, in)
		for _, n := range not {
			if strings.Contains(text, n) {
				s.t.Errorf("%s tells %s: %s", tool, n, text)
			}
		}
	}
	call("mail_send", in, private)
	in["subject"] = "" // and what is wrong is not quoted
	call("mail_send", in, private)
	in["subject"], in["to"] = "q7canary-subject", []string{"bob@example.com q7canary-address"}
	call("mail_send", in, private)
	in["to"] = []string{"bob@example.com"}
	call("mail_preview", in, never)
	call("mail_verify", args{}, private)
	call("mail_list_recipients", args{}, never)
	call("mail_add_suppression", args{"address": "cid@example.com", "note": "q7canary-note"}, never)
	call("mail_check_suppression", args{"address": "cid@example.com"}, never)
	call("mail_list_suppressions", args{}, never)
	call("mail_remove_suppression", args{"address": "cid@example.com", "reason": "manual"}, never)
	call("mail_check_suppression", args{"address": "q7canary-address"}, private)
	log := s.log.String()
	for _, n := range private {
		if strings.Contains(log, n) {
			s.t.Errorf("the log has %s: %.2000s", n, log)
		}
	}
	if !strings.Contains(log, "mail_remove_suppression") {
		s.t.Errorf("the log is none: %s", log)
	}
}
