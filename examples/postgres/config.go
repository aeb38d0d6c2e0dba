package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// prefix begins the names of all settings.
const prefix = "PGTOOL_"

// Config is all that can be set. A secret NAME is also read from the file that
// NAME_FILE names.
type Config struct {
	DatabaseURL redact.Secret `env:"DATABASE_URL" validate:"required"`
	Schemas     []string      `env:"SCHEMAS"`
	Tools       []string      `env:"TOOLS" default:"read" validate:"min=1,dive,oneof=read inspect reset named"`

	Write writing  `env:"WRITE_"`
	Limit limits   `env:"LIMIT_"`
	HTTP  web      `env:"HTTP_"`
	Audit auditing `env:"AUDIT_"`
	State state    `env:"STATE_"`

	// PersonalData says what becomes of e-mail addresses, phone numbers and IBANs.
	PersonalData string `env:"PERSONAL_DATA" default:"show" validate:"oneof=show mask"`
}

// writing is on if there is a URL, of a role that may write to the tables.
type writing struct {
	URL         redact.Secret `env:"URL" validate:"required_with=Tables"`
	Tables      tables        `env:"TABLES" validate:"required_with=URL"`
	MaxAffected int           `env:"MAX_AFFECTED" default:"100" validate:"min=1,max=10000"`
}

type limits struct {
	Rows           int           `env:"ROWS" default:"200" validate:"min=1,max=10000"`
	Bytes          int           `env:"BYTES" default:"131072" validate:"min=1024,max=16777216"`
	Timeout        time.Duration `env:"TIMEOUT" default:"10s" validate:"min=1ms,max=10m"`
	Connections    int           `env:"CONNECTIONS" default:"8" validate:"min=1,max=1000"`
	CallsPerSecond float64       `env:"CALLS_PER_SECOND" default:"100" validate:"min=0.01,max=1000000"`
}

type auditing struct {
	File string        `env:"FILE"`
	Key  redact.Secret `env:"KEY,random"`
}

// state is what replicas share: a database for pgstate, and the key that seals what
// a client keeps until a person has answered, with the one before it.
type state struct {
	URL     redact.Secret `env:"URL"`
	Key     redact.Secret `env:"SEAL_KEY,random" validate:"required_with=URL"`
	LastKey redact.Secret `env:"SEAL_KEY_BEFORE,random"`
}

// reader is how the database is read.
func (c Config) reader() pgtool.Options {
	return pgtool.Options{
		URL:      c.DatabaseURL,
		Schemas:  c.Schemas,
		MaxRows:  c.Limit.Rows,
		MaxBytes: c.Limit.Bytes,
		Timeout:  c.Limit.Timeout,
		MaxConns: c.Limit.Connections,
	}
}

func (w writing) on() bool { return !w.URL.IsZero() }

// writer is how it is written to.
func (c Config) writer() pgtool.WriteOptions {
	o := c.reader()
	o.URL, o.Schemas = c.Write.URL, nil // which are those of the tables
	return pgtool.WriteOptions{Options: o, Tables: c.Write.Tables.list, MaxAffected: c.Write.MaxAffected}
}

// tools are those of the sets that are named.
func (c Config) tools(db *pgtool.DB) (all []*mcpsec.Tool) {
	for _, set := range c.Tools {
		switch set {
		case "read":
			all = append(all, pgtool.ReadTools(db)...)
		case "inspect":
			all = append(all, pgtool.InspectTools(db)...)
		case "reset":
			all = append(all, pgtool.ResetStatisticsTool(db))
		case "named":
			all = append(all, namedQueries(db)...)
		}
	}
	return all
}

// mode is the worst effect that the tools may have.
func (c Config) mode() mcpsec.Effect {
	for _, set := range c.Tools {
		if set == "reset" {
			return mcpsec.Destroy
		}
	}
	if c.Write.on() {
		return mcpsec.Destroy // as far as a person says yes to it
	}
	return mcpsec.Read
}

// server is how all tools are served.
func (c Config) server(ctx context.Context, audit *mcpsec.AuditLog) (o mcpsec.Options, done func(), err error) {
	secrets := []mcpsec.Secret{c.DatabaseURL, c.Write.URL, c.State.URL}
	o = mcpsec.Options{
		Audit:    audit,
		Mode:     c.mode(),
		Redactor: redact.New(redact.Options{Secrets: secrets, PII: c.PersonalData == "mask"}),
		Limits: mcpsec.Limits{
			CallsPerSecond: c.Limit.CallsPerSecond,
			Timeout:        max(30*time.Second, c.Limit.Timeout+10*time.Second),
			MaxResult:      max(256<<10, 2*c.Limit.Bytes),
		},
	}
	for _, key := range []mcpsec.Secret{c.State.Key, c.State.LastKey} {
		if !key.IsZero() {
			o.SealKeys = append(o.SealKeys, key)
		}
	}
	if c.State.URL.IsZero() {
		return o, func() {}, nil
	}
	pool, err := pgxpool.New(ctx, c.State.URL.Reveal())
	if err != nil {
		return o, nil, fmt.Errorf("%sSTATE_URL is no URL of a PostgreSQL database", prefix) // pgx's error quotes it
	}
	store, err := pgstate.New(ctx, pool, pgstate.Options{})
	if err != nil {
		pool.Close()
		return o, nil, err
	}
	o.State = store
	return o, func() { store.Close(); pool.Close() }, nil
}

// tables are a list in JSON, such as [{"Schema":"sales","Name":"invoices","Read":["id"]}],
// with the members of pgtool.Table.
type tables struct{ list []pgtool.Table }

// UnmarshalText reads the list. Names are exact, and none may be there twice.
func (t *tables) UnmarshalText(text []byte) error {
	if err := json.Unmarshal(text, &t.list, json.RejectUnknownMembers(true)); err != nil {
		return err
	}
	if len(t.list) == 0 {
		return errors.New("the list is empty")
	}
	return nil
}

// Kind says what the setting has to be.
func (tables) Kind() string {
	return `JSON list of tables such as [{"Schema":"shop","Name":"orders","Read":["id"],"Insert":[],"Update":["status"],"Key":[],"Delete":false}]`
}

// path defaults to a file of this process alone: every window of a client starts a
// server of its own, and a log has one writer.
func (a auditing) path() string {
	if a.File != "" {
		return a.File
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, fmt.Sprintf("mcp-postgres-%s-%d.jsonl", time.Now().UTC().Format("20060102T150405"), os.Getpid()))
}
