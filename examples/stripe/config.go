package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// prefix begins the names of all settings.
const prefix = "STRIPETOOL_"

// Config is all that can be set. A secret NAME is also read from the file that
// NAME_FILE names.
type Config struct {
	Key         redact.Secret `env:"KEY" validate:"required"` // restricted: rk_test_…
	Account     string        `env:"ACCOUNT"`                 // a connected one; the key's own without
	Resources   []string      `env:"RESOURCES" default:"charges,refunds" validate:"unique"`
	Permissions permissions   `env:"PERMISSIONS"`                          // what can be changed; nothing without
	Caps        caps          `env:"CAPS"`                                 // of what moves money; needed for what does
	StateURL    redact.Secret `env:"STATE_URL"`                            // of a database for pgstate, which all who serve the account share
	URL         string        `env:"URL" default:"https://api.stripe.com"` // stripe-mock's, to try things
	Audit       auditing      `env:"AUDIT_"`
}

type auditing struct {
	File string        `env:"FILE"`
	Key  redact.Secret `env:"KEY,random"`
}

// mode is the worst effect that the tools may have.
func (c Config) mode() mcpsec.Effect {
	if len(c.Permissions.pairs) == 0 {
		return mcpsec.Read
	}
	return mcpsec.Destroy // as far as a person says yes to it
}

// permissions are pairs of a resource and an action.
type permissions struct{ pairs map[string][]string }

// UnmarshalText reads resource.action, with commas between several.
func (p *permissions) UnmarshalText(text []byte) error {
	p.pairs = map[string][]string{}
	for pair := range strings.SplitSeq(string(text), ",") {
		resource, action, ok := strings.Cut(strings.TrimSpace(pair), ".")
		if !ok {
			return errors.New("a pair has no dot")
		}
		p.pairs[resource] = append(p.pairs[resource], action)
	}
	return nil
}

// Kind says what the setting has to be.
func (permissions) Kind() string { return "list such as refunds.create,customers.update" }

// caps say what a call and what a day may move, by currency.
type caps struct{ list []stripetool.Cap }

// UnmarshalText reads amounts of a call and of a day, with commas between currencies.
func (c *caps) UnmarshalText(text []byte) error {
	c.list = nil
	for pair := range strings.SplitSeq(string(text), ",") {
		call, day, _ := strings.Cut(strings.TrimSpace(pair), "/")
		perCall, err1 := stripetool.ParseMoney(call)
		perDay, err2 := stripetool.ParseMoney(day)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		c.list = append(c.list, stripetool.Cap{PerCall: perCall, PerDay: perDay})
	}
	return nil
}

// Kind says what the setting has to be.
func (caps) Kind() string {
	return "list of what a call / a day may move, such as EUR 50.00/EUR 200.00,JPY 5000/JPY 20000"
}

// path defaults to a file of this process alone: every window of a client starts a
// server of its own, and a log has one writer.
func (a auditing) path() (string, error) {
	if a.File != "" {
		return a.File, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil { // an account may be new
		return "", err
	}
	return filepath.Join(dir, fmt.Sprintf("mcp-stripe-%s-%d.jsonl", time.Now().UTC().Format("20060102T150405"), os.Getpid())), nil
}
