package mailtool

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mailtool"
)

// Of templates and checks, no value, text, credential or word of the server's is in a
// log or an audit record, and no credential or word of the server's in a result.
func TestCanariesOfTemplatesAndChecks(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"550 5.0.0 %s", "%s", "xyz-%s"} {
		for _, step := range []string{"connect", "EHLO", "AUTH", "MAIL", "RCPT"} {
			t.Run(step+" "+how, func(t *testing.T) {
				t.Parallel()
				w := newWire(t, failing(step, fmt.Sprintf(how, said), false))
				o := options(w.port)
				o.Timeout = 100 * time.Millisecond
				c := newClient(t, o)
				tools := append(mailtool.TemplateTools(templates(t)), mailtool.CheckTools(c, mailtool.DomainCheck{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }}, Timeout: 100 * time.Millisecond})...)
				s := serve(t, o, tools...)
				note := args{"name": "note", "subject": "q7canary-subject {{.n}}", "text": "q7canary-text {{.n}}", "html": "<p>q7canary-html {{.n}}</p>", "variables": []args{{"name": "n", "type": "text"}}}
				for _, call := range []struct {
					tool string
					in   args
				}{
					{"mail_create_template", note}, {"mail_validate_template", note}, {"mail_render_template", args{"name": "note", "values": args{"n": "q7canary-value"}}}, {"mail_render_template", args{"name": "note", "values": args{"x": "q7canary-value"}}},
					{"mail_get_template", args{"name": "note"}}, {"mail_list_templates", args{}}, {"mail_check_address", args{"address": "q7canary-address@example.com"}}, {"mail_check_domain", args{}}, {"mail_diagnose", args{"address": "bob@example.com"}},
				} {
					text, _ := s.call(call.tool, call.in)
					for _, n := range []string{password, credential, "q7canary-server"} {
						if strings.Contains(text, n) {
							t.Errorf("%s tells %s: %s", call.tool, n, text)
						}
					}
				}
				for _, n := range []string{"q7canary-", password, credential, "bob@example.com"} {
					if log := s.log.String(); strings.Contains(log, n) {
						t.Errorf("the log has %s: %.1500s", n, log)
					}
				}
			})
		}
	}
}
