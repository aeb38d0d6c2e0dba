//go:build !race

package pbtool

import (
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
