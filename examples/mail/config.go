package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// prefix begins the names of all settings.
const prefix = "MAILTOOL_"

// Config is all that can be set. A secret NAME is also read from the file that
// NAME_FILE names.
type Config struct {
	Host     string        `env:"HOST" validate:"required"` // as its certificate has it
	Port     int           `env:"PORT" default:"587" validate:"min=1,max=65535"`
	Username string        `env:"USERNAME" validate:"required_with=Password"`
	Password redact.Secret `env:"PASSWORD" validate:"required_with=Username"`
	CAFile   string        `env:"CA_FILE"` // PEM; the system's authorities, without

	From     string   `env:"FROM" validate:"required"` // all mail is from this address
	FromName string   `env:"FROM_NAME"`
	ReplyTo  []string `env:"REPLY_TO"`

	// Who may be written to: domains and addresses. Bcc may, too, if it is on.
	Allow    []string `env:"ALLOW" validate:"required"`
	Deny     []string `env:"DENY"`
	Internal []string `env:"INTERNAL"` // nobody is asked about a letter to these alone
	Bcc      bool     `env:"BCC"`

	Attachments []string `env:"ATTACHMENTS"` // endings such as .pdf
	FilesDir    string   `env:"FILES_DIR"`   // of files that may be attached by name

	DKIM  signing  `env:"DKIM_"`
	Limit limits   `env:"LIMIT_"`
	Tools []string `env:"TOOLS" default:"read,send,suppression" validate:"min=1,unique,dive,oneof=read send suppression check templates queue log"`
	Audit auditing `env:"AUDIT_"`

	TemplatesDir string `env:"TEMPLATES_DIR"` // of what the tools of templates write

	// StateURL is of a PostgreSQL database that remembers what was sent, what of the
	// limits was used and who wants no mail. Without, this process does.
	StateURL redact.Secret `env:"STATE_URL" validate:"required_with=QueueKey"`
	QueueKey redact.Secret `env:"QUEUE_KEY,random"` // seals there what waits and the log: 32 bytes or more
}

// has reports whether a set of tools is served.
func (c Config) has(set string) bool { return slices.Contains(c.Tools, set) }

// check says what the sets of tools need. A queue in this process's memory would lose
// mail at its end.
func (c Config) check() error {
	switch {
	case c.has("templates") && c.TemplatesDir == "":
		return fmt.Errorf("%[1]sTOOLS has templates: set %[1]sTEMPLATES_DIR to a directory for them", prefix)
	case (c.has("queue") || c.has("log")) && c.QueueKey.IsZero():
		return fmt.Errorf("%[1]sTOOLS has queue or log: set %[1]sSTATE_URL to a database that outlasts this process, and %[1]sQUEUE_KEY to what openssl rand -hex 32 makes", prefix)
	}
	return nil
}

// signing is for those whose mail server does not sign.
type signing struct {
	Domain   string        `env:"DOMAIN" validate:"required_with=Key"`
	Selector string        `env:"SELECTOR" validate:"required_with=Key"`
	Key      redact.Secret `env:"KEY" validate:"required_with=Domain Selector"` // PEM
}

type limits struct {
	PerMessage   int `env:"PER_MESSAGE" default:"10" validate:"min=1,max=50"` // recipients
	PerHour      int `env:"PER_HOUR" default:"100" validate:"min=1"`          // recipients
	PerDay       int `env:"PER_DAY" default:"500" validate:"min=1"`           // recipients
	PerRecipient int `env:"PER_RECIPIENT" default:"20" validate:"min=1"`      // messages in a day
}

type auditing struct {
	File string        `env:"FILE"`
	Key  redact.Secret `env:"KEY,random"`
}

// add gives the server what the settings name. Further sets go here.
func (c Config) add(srv *mcpsec.Server, mc *mailtool.Client, store memory, templates *mailtool.Templates) {
	for _, set := range c.Tools {
		switch set {
		case "read":
			srv.Add(mailtool.ReadTools(mc)...)
		case "send":
			srv.Add(mailtool.SendTools(mc)...)
		case "suppression":
			srv.Add(mailtool.SuppressionTools(suppress.New(store))...)
		case "check": // of the domain of From, and of the key that signs here
			srv.Add(mailtool.CheckTools(mc, mailtool.DomainCheck{})...)
		case "templates":
			srv.Add(mailtool.TemplateTools(templates)...)
		case "queue":
			srv.Add(mailtool.QueueTools(mc, templates)...)
		case "log":
			srv.Add(mailtool.LogTools(mc)...)
		}
	}
}

// mode is the worst effect that the tools may have.
func (c Config) mode() mcpsec.Effect {
	if c.has("send") || c.has("suppression") || c.has("templates") || c.has("queue") {
		return mcpsec.Destroy // as far as a person says yes to it
	}
	return mcpsec.Read
}

// client is how mail is sent.
func (c Config) client(store memory) (mailtool.Options, error) {
	o := mailtool.Options{
		Host: c.Host, Port: c.Port, Username: c.Username, Password: c.Password, From: c.From, FromName: c.FromName, ReplyTo: c.ReplyTo,
		Recipients: mailtool.Recipients{
			Allow: c.Allow, Deny: c.Deny, Internal: c.Internal,
			MaxPerMessage: c.Limit.PerMessage, PerHour: c.Limit.PerHour, PerDay: c.Limit.PerDay, PerRecipient: c.Limit.PerRecipient,
		},
		Bcc: c.Bcc, Attachments: c.Attachments, State: store, Suppressed: mailtool.Suppressed(suppress.New(store)),
	}
	if !c.DKIM.Key.IsZero() {
		o.DKIM = []mailtool.DKIM{{Domain: c.DKIM.Domain, Selector: c.DKIM.Selector, Key: c.DKIM.Key}}
	}
	if !c.QueueKey.IsZero() {
		o.Queue = mailtool.Queue{Documents: store, Keys: []mcpsec.Secret{c.QueueKey}}
	}
	var err1, err2 error
	o.RootCAs, err1 = authorities(c.CAFile)
	o.Files, err2 = files(c.FilesDir)
	return o, errors.Join(err1, err2)
}

// server is how all tools are served.
func (c Config) server(audit *mcpsec.AuditLog, store memory) mcpsec.Options {
	secrets := []mcpsec.Secret{c.Password, c.DKIM.Key, c.StateURL, c.QueueKey}
	return mcpsec.Options{Audit: audit, Mode: c.mode(), State: store, Redactor: redact.New(redact.Options{Secrets: secrets})}
}

// A memory keeps what is done once, what may be had only so much of, and lists.
type memory interface {
	state.Store
	state.Documents
}

// store is this process's memory, or a database that all windows of a client share.
func (c Config) store(ctx context.Context) (s memory, closeAll func(), err error) {
	if c.StateURL.IsZero() {
		return new(state.Memory), func() {}, nil
	}
	pool, err := pgxpool.New(ctx, c.StateURL.Reveal())
	if err != nil {
		return nil, nil, fmt.Errorf("%sSTATE_URL is no URL of a PostgreSQL database", prefix) // pgx's error quotes it
	}
	db, err := pgstate.New(ctx, pool, pgstate.Options{})
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	return db, func() { db.Close(); pool.Close() }, nil
}

// authorities are whom a file in PEM says to trust; nil is the system's.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%sCA_FILE: %w", prefix, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%sCA_FILE has no certificate in PEM", prefix)
	}
	return pool, nil
}

// files are those of a directory, and stay open as long as the program runs.
func files(dir string) (*os.Root, error) {
	if dir == "" {
		return nil, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("%sFILES_DIR: %w", prefix, err)
	}
	return root, nil
}

// templates are those of a directory, which stays open as long as the program runs.
func (c Config) templates() (*mailtool.Templates, error) {
	if c.TemplatesDir == "" {
		return nil, nil
	}
	t, err := mailtool.OpenTemplates(mailtool.TemplateOptions{Dir: c.TemplatesDir})
	if err != nil {
		return nil, fmt.Errorf("%sTEMPLATES_DIR: %w", prefix, err)
	}
	return t, nil
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
	return filepath.Join(dir, fmt.Sprintf("mcp-mail-%s-%d.jsonl", time.Now().UTC().Format("20060102T150405"), os.Getpid())), nil
}
