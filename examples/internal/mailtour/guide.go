// Package mailtour shows what an MCP server over mailtool does, and what it does not let
// be done to it: with an SMTP server of its own, whose every letter it counts. It
// protects nothing by itself.
package mailtour

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/examples/internal/mailbox"
	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
)

// Prefix begins the names of the settings that a server gets in its environment: those
// of examples/mail.
const Prefix = "MAILTOOL_"

// Environ is the environment of a server with these settings, whatever is set in ours.
func Environ(settings []string) (env []string) {
	for _, s := range os.Environ() {
		if !strings.HasPrefix(s, Prefix) {
			env = append(env, s)
		}
	}
	return append(env, settings...)
}

// A Guide leads through the tour.
type Guide struct {
	P *tour.Printer
	// Server prepares a server that has these settings and no others of ours.
	Server func(ctx context.Context, settings []string) (*exec.Cmd, error)
	// Spoil are settings beside the tour's, with which a test takes a protection
	// away.
	Spoil []string

	dir string
	box *mailbox.Box
	key mailbox.Key
	s   *tour.Session
	id  string // of the letter that was sent
}

const (
	sender   = "orders@shop.example"
	domain   = "shop.example"
	selector = "s1"
	ann      = "ann@customer.example"
	desk     = "desk@shop.example"
	carl     = "carl@shop.example"
	eve      = "eve@evil.example"
)

// A chapter is a part of the tour.
type chapter struct {
	title string
	show  func(*Guide, context.Context) error
}

var chapters = []chapter{
	{"An SMTP server of our own, and a hardened MCP server before it, as a child process", (*Guide).introduce},
	{"A letter: shown, asked about, sent, and sent once", (*Guide).send},
	{"What arrived", (*Guide).arrived},
	{"Nothing is smuggled in", (*Guide).smuggling},
	{"Who wants no mail gets none", func(g *Guide, ctx context.Context) error { return g.each(ctx, suppressions) }},
	{"What fills a template in stays what it is", func(g *Guide, ctx context.Context) error { return g.each(ctx, templates) }},
	{"When the server is not what it should be", (*Guide).trouble},
	{"Everything was recorded, and no letter was", (*Guide).records},
}

// atMost is how long all may take: what hangs has failed.
const atMost = time.Minute

// Show ends with an error if a call failed that should not have, or a protection did.
func (g *Guide) Show(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	if err := g.open(ctx); err != nil {
		return errors.Join(err, g.close(ctx))
	}
	for i, c := range chapters {
		g.P.Heading(fmt.Sprintf("%d  %s", i+1, c.title))
		if err := c.show(g, ctx); err != nil {
			return errors.Join(err, g.close(ctx))
		}
	}
	return g.close(ctx)
}

// Brief shows a handful of the same, as a chapter of another tour.
func (g *Guide) Brief(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	steps := []func(context.Context) error{
		g.open, g.send, g.arrived,
		func(ctx context.Context) error { return g.each(ctx, brief) },
		g.trouble,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return errors.Join(err, g.close(ctx))
		}
	}
	return g.close(ctx)
}

// open starts both servers.
func (g *Guide) open(ctx context.Context) (err error) {
	if g.dir, err = os.MkdirTemp("", "mcp-mail-tour-"); err != nil {
		return err
	}
	if g.box, err = mailbox.Start(); err != nil {
		return err
	}
	if g.key, err = mailbox.NewKey(); err != nil {
		return err
	}
	settings, err := g.settings()
	if err != nil {
		return err
	}
	cmd, err := g.Server(ctx, append(settings, g.Spoil...)) // of two the last counts
	if err != nil {
		return err
	}
	g.s, err = tour.Connect(ctx, cmd, g.file("audit.jsonl"))
	return err
}

// settings are what an operator sets, with the secrets in files.
func (g *Guide) settings() ([]string, error) {
	for name, content := range map[string][]byte{"password": []byte(g.box.Password), "dkim.pem": g.key.PEM, "ca.pem": g.box.CA} {
		if err := os.WriteFile(g.file(name), content, 0o600); err != nil {
			return nil, err
		}
	}
	if err := os.Mkdir(g.file("templates"), 0o700); err != nil {
		return nil, err
	}
	return []string{
		Prefix + "HOST=" + mailbox.Host, Prefix + fmt.Sprintf("PORT=%d", g.box.Port), Prefix + "CA_FILE=" + g.file("ca.pem"),
		Prefix + "USERNAME=" + mailbox.User, Prefix + "PASSWORD_FILE=" + g.file("password"),
		Prefix + "FROM=" + sender, Prefix + "FROM_NAME=The record shop", Prefix + "ALLOW=" + domain + "," + ann,
		Prefix + "DKIM_DOMAIN=" + domain, Prefix + "DKIM_SELECTOR=" + selector, Prefix + "DKIM_KEY_FILE=" + g.file("dkim.pem"),
		Prefix + "TOOLS=read,send,suppression,templates", Prefix + "TEMPLATES_DIR=" + g.file("templates"), Prefix + "AUDIT_FILE=" + g.file("audit.jsonl"),
	}, nil
}

func (g *Guide) file(name string) string { return filepath.Join(g.dir, name) }

// close ends what open has started.
func (g *Guide) close(ctx context.Context) error {
	if g.s != nil {
		g.s.Stop(ctx)
	}
	var err error
	if g.box != nil {
		err = g.box.Close()
	}
	return errors.Join(err, os.RemoveAll(g.dir))
}

func (g *Guide) introduce(ctx context.Context) error {
	g.P.Say("It listens at %s:%d, wants STARTTLS and then a password. The model may write to all of %s and to\n%s, always as %s.", mailbox.Host, g.box.Port, domain, ann, sender)
	return g.s.Introduce(ctx, g.P)
}

// A step is a call, by which so many letters must arrive.
type step struct {
	tour.Step
	letters int
}

// each runs steps, and counts what arrives.
func (g *Guide) each(ctx context.Context, steps []step) error {
	g.P.Header()
	for _, st := range steps {
		if _, err := g.do(ctx, st); err != nil {
			return err
		}
	}
	return nil
}

func (g *Guide) do(ctx context.Context, st step) (string, error) {
	before := len(g.box.Letters())
	text, err := g.s.Do(ctx, g.P, st.Step)
	if err != nil {
		return text, err
	}
	if n := len(g.box.Letters()) - before; n != st.letters {
		return text, fmt.Errorf("%s: %d letters arrived, and %d should have", st.Asked, n, st.letters)
	}
	return text, nil
}

// last is the letter that came last.
func (g *Guide) last() mailbox.Letter {
	all := g.box.Letters()
	if len(all) == 0 {
		return mailbox.Letter{}
	}
	return all[len(all)-1]
}

// records looks at what the server has written down.
func (g *Guide) records(context.Context) error {
	if err := g.s.CheckAudit(g.P); err != nil {
		return err
	}
	all, err := g.s.Written()
	if err != nil {
		return err
	}
	if strings.Contains(all, mailbox.PasswordPrefix) || strings.Contains(all, "PRIVATE KEY") {
		return errors.New("the password or the key is in an answer, in the audit log or in the server's log")
	}
	audit, err := os.ReadFile(g.file("audit.jsonl"))
	if err != nil {
		return err
	}
	if !strings.Contains(string(audit)+g.s.Log(), g.id) {
		return errors.New("no log has the letter's Message-ID")
	}
	for _, never := range []string{ann, eve, subject, canary} {
		if strings.Contains(string(audit)+g.s.Log(), never) {
			return fmt.Errorf("a log has %q", never)
		}
	}
	g.P.Good("The logs name the letter, and have no address, subject and text. No password and no key is in any answer or log.")
	return nil
}
