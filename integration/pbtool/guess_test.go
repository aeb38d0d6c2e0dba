//go:build !race

package pbtool

import (
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

// A question says which state it is about by a digest, by which whoever reads it could
// check guesses at a secret that was in it.
func TestPbUpdateSettingsTellsNoGuess(t *testing.T) {
	t.Parallel()
	s := start(t)
	var asked []string
	for _, secret := range []string{"summer", "winter"} {
		c, _ := s.admin(t, func(o *pbtool.AdminOptions) {
			o.Settings, o.Secrets = []string{"smtp.password"}, map[string]mcpsec.Secret{"smtp": redact.NewSecret(secret)}
		})
		c.approve = func(mcpsec.Question) bool { return false }
		c.deny("", "pb_update_settings", `{"secrets":{"smtp.password":"smtp"}}`)
		asked = append(asked, c.asked...)
	}
	if len(asked) != 2 || asked[0] != asked[1] {
		t.Errorf("the question depends on the secret: %q", asked)
	}
}

// Who moves the mail server takes its password along.
func TestPbUpdateSettingsMovesPasswords(t *testing.T) {
	t.Parallel()
	c, _ := start(t).admin(t, func(o *pbtool.AdminOptions) {
		o.Settings, o.Secrets = []string{"smtp.host", "smtp.password"}, map[string]mcpsec.Secret{"smtp": redact.NewSecret("summer")}
	})
	c.approve = func(mcpsec.Question) bool { return false }
	for args, want := range map[string]bool{`{"set":{"smtp.host":"mail.example.com"}}`: true, `{"set":{"smtp.host":"mail.example.com"},"secrets":{"smtp.password":"smtp"}}`: false} {
		c.asked = nil
		c.deny("", "pb_update_settings", args)
		if len(c.asked) != 1 || strings.Contains(c.asked[0], "is sent to that host") != want {
			t.Errorf("%s: asked %q", args, c.asked)
		}
	}
}
