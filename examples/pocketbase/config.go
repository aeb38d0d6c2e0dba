package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

// prefix begins the names of all settings.
const prefix = "PBTOOL_"

// Config is all that can be set. A secret NAME is also read from the file that
// NAME_FILE names.
type Config struct {
	URL         string      `env:"URL" validate:"required"` // what -url says
	User        login       `env:"USER_"`                   // whose rights all requests for records have; a guest's without, or theirs who sign in with the set auth
	Superuser   login       `env:"SUPERUSER_"`              // is for the sets of tools that need one
	Collections collections `env:"COLLECTIONS"`             // all that are not PocketBase's own, to be read, without
	Tools       []string    `env:"TOOLS" default:"read" validate:"min=1,unique,dive,oneof=read write files auth schema schema-write admin resources prompts"`
	SignIn      []string    `env:"SIGN_IN" default:"users"` // auth collections for the set auth
	Public      []string    `env:"PUBLIC"`                  // collections that the set schema-write may open to everyone
	Audit       auditing    `env:"AUDIT_"`
}

// login is an account: a name and a password, or a token.
type login struct {
	Identity string        `env:"IDENTITY" validate:"required_with=Password"`
	Password redact.Secret `env:"PASSWORD" validate:"required_with=Identity"`
	Token    redact.Secret `env:"TOKEN" validate:"excluded_with=Identity"`
}

type auditing struct {
	File string        `env:"FILE"`
	Key  redact.Secret `env:"KEY,random"`
}

// add gives the server what the settings name.
func (c Config) add(srv *mcpsec.Server, pb *pbtool.Client) {
	for _, set := range c.Tools {
		switch set {
		case "read":
			srv.Add(pbtool.RecordReadTools(pb)...)
		case "write":
			srv.Add(pbtool.RecordWriteTools(pb)...)
		case "files":
			srv.Add(pbtool.FileTools(pb)...)
		case "auth":
			srv.Add(pbtool.AuthTools(pb)...)
		case "schema":
			srv.Add(pbtool.SchemaReadTools(pb)...)
		case "schema-write":
			srv.Add(pbtool.SchemaWriteTools(pb)...)
		case "admin":
			srv.Add(pbtool.AdminTools(pb, pbtool.AdminOptions{})...) // which are for a program of one's own
		case "resources":
			srv.AddResource(pbtool.Resources(pb)...)
		case "prompts":
			srv.AddPrompt(pbtool.Prompts(pb)...)
		}
	}
}

// mode is the worst effect that the tools may have.
func (c Config) mode() mcpsec.Effect {
	worst := mcpsec.Read
	for _, set := range c.Tools {
		switch {
		case set == "auth":
			worst = max(worst, mcpsec.Write)
		case set == "write", set == "schema-write", set == "admin", set == "files" && c.writes():
			worst = mcpsec.Destroy // as far as a person says yes to it
		}
	}
	return worst
}

// writes says whether there is a collection to write to.
func (c Config) writes() bool {
	return slices.ContainsFunc(c.Collections.list, func(k pbtool.Collection) bool { return len(k.Write) > 0 || k.Delete })
}

// check says what sets of tools lack.
func (c Config) check() error {
	var faults []error
	for _, set := range c.Tools {
		switch set {
		case "write":
			if !c.writes() {
				faults = append(faults, fmt.Errorf("%[1]sTOOLS has %s: give a collection of %[1]sCOLLECTIONS Write or Delete", prefix, set))
			}
		case "schema", "schema-write", "admin":
			if c.Superuser.Identity == "" && c.Superuser.Token.IsZero() {
				faults = append(faults, fmt.Errorf("%[1]sTOOLS has %s: set %[1]sSUPERUSER_IDENTITY and %[1]sSUPERUSER_PASSWORD", prefix, set))
			}
		}
	}
	return errors.Join(faults...)
}

func (l login) account() pbtool.Login {
	return pbtool.Login{Identity: l.Identity, Password: l.Password, Token: l.Token}
}

// client is how PocketBase is asked.
func (c Config) client() pbtool.Options {
	return pbtool.Options{URL: c.URL, User: c.User.account(), Superuser: c.Superuser.account(), Collections: c.Collections.list, SignIn: c.SignIn, Public: c.Public}
}

// server is how all tools are served.
func (c Config) server(audit *mcpsec.AuditLog) mcpsec.Options {
	secrets := []mcpsec.Secret{c.User.Password, c.User.Token, c.Superuser.Password, c.Superuser.Token}
	return mcpsec.Options{Audit: audit, Mode: c.mode(), Redactor: redact.New(redact.Options{Secrets: secrets})}
}

// collections are a list in JSON, with the members of pbtool.Collection.
type collections struct{ list []pbtool.Collection }

// UnmarshalText reads the list. Names are exact, and none may be there twice.
func (c *collections) UnmarshalText(text []byte) error {
	if err := json.Unmarshal(text, &c.list, json.RejectUnknownMembers(true)); err != nil {
		return err
	}
	if len(c.list) == 0 {
		return errors.New("the list is empty")
	}
	return nil
}

// Kind says what the setting has to be.
func (collections) Kind() string {
	return `JSON list of collections such as [{"Name":"posts","Fields":["id","title"],"Write":["title"],"Delete":false}]`
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
	return filepath.Join(dir, fmt.Sprintf("mcp-pocketbase-%s-%d.jsonl", time.Now().UTC().Format("20060102T150405"), os.Getpid())), nil
}
