package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// prefix begins the names of all settings.
const prefix = "PGTOOL_"

// Config is all that can be set. A secret NAME is also read from the file that
// NAME_FILE names.
type Config struct {
	DatabaseURL redact.Secret `env:"DATABASE_URL" validate:"required"`
	Schemas     []string      `env:"SCHEMAS"`
	Tools       []string      `env:"TOOLS" default:"read" validate:"min=1,dive,oneof=read inspect named export"`
	ExportDir   string        `env:"EXPORT_DIR"`   // without it an export is in the answer
	ServerCheck bool          `env:"SERVER_CHECK"` // of each new statement, by the server

	Mask    masking   `env:"MASK_"`
	Replica replicas  `env:"REPLICA_"`
	Limit   limits    `env:"LIMIT_"`
	Write   writing   `env:"WRITE_"`
	Migrate migrating `env:"MIGRATE_"`
	Admin   admin     `env:"ADMIN_"`
	HTTP    web       `env:"HTTP_"`
	Audit   auditing  `env:"AUDIT_"`
	State   state     `env:"STATE_"`

	// PersonalData says what becomes of e-mail addresses, phone numbers and IBANs.
	PersonalData string `env:"PERSONAL_DATA" default:"show" validate:"oneof=show mask"`
}

// masking hides columns from whoever reads.
type masking struct {
	Columns masks         `env:"COLUMNS" validate:"required_with=Key"`
	Key     redact.Secret `env:"KEY,random"` // of digests that are to stay the same
}

// replicas take the statements of callers off the database.
type replicas struct {
	URLs   redact.Secret `env:"URLS"` // one a line, or with spaces between them
	MaxLag time.Duration `env:"MAX_LAG" default:"10s" validate:"min=1s,max=1h"`
}

type limits struct {
	Rows           int           `env:"ROWS" default:"200" validate:"min=1,max=10000"`
	Bytes          int           `env:"BYTES" default:"131072" validate:"min=1024,max=4194304"`
	Timeout        time.Duration `env:"TIMEOUT" default:"10s" validate:"min=1ms,max=10m"`
	Cost           float64       `env:"COST" validate:"min=0"` // as the planner estimates it; 0 is no limit
	Connections    int           `env:"CONNECTIONS" default:"8" validate:"min=1,max=1000"`
	CallsPerSecond float64       `env:"CALLS_PER_SECOND" default:"100" validate:"min=0.01,max=1000000"`
}

// writing is on if there is a URL, of a role that may write to the tables.
type writing struct {
	URL         redact.Secret `env:"URL" validate:"required_with=Tables Execute ImportDir"`
	Tables      tables        `env:"TABLES" validate:"required_with=URL"`
	MaxAffected int           `env:"MAX_AFFECTED" default:"100" validate:"min=1,max=10000"`
	Execute     bool          `env:"EXECUTE"`    // statements of a caller's
	ImportDir   string        `env:"IMPORT_DIR"` // of files that may be imported
}

// migrating is on if there is a URL, of a role that owns the schemas.
type migrating struct {
	URL     redact.Secret `env:"URL" validate:"required_with=Schemas Kinds Roles"`
	Schemas []string      `env:"SCHEMAS" validate:"required_with=URL"`
	Kinds   []string      `env:"KINDS" validate:"required_with=URL"` // as of pgtool.DDLOptions
	Roles   []string      `env:"ROLES"`
}

// admin is on if there is a URL, of a role that owns or maintains the schemas.
type admin struct {
	URL     redact.Secret `env:"URL" validate:"required_with=Schemas"`
	Schemas []string      `env:"SCHEMAS" validate:"required_with=URL"`
	Timeout time.Duration `env:"TIMEOUT" default:"5m" validate:"min=1ms,max=10m"` // of a VACUUM
}

type auditing struct {
	File string        `env:"FILE"`
	Key  redact.Secret `env:"KEY,random"`
}

// state is what replicas of this server share: a database for pgstate, and the key
// that seals what a client keeps until a person has answered, with the one before it.
type state struct {
	URL     redact.Secret `env:"URL"`
	Key     redact.Secret `env:"SEAL_KEY,random" validate:"required_with=URL"`
	LastKey redact.Secret `env:"SEAL_KEY_BEFORE,random"`
}

// together finds what is wrong with settings that are right one by one.
func (c Config) together() error {
	var problems []error
	wrong := func(is bool, text string) {
		if is {
			problems = append(problems, errors.New(prefix+text))
		}
	}
	tenants := c.HTTP.TenantSetting != ""
	wrong(c.ExportDir != "" && !slices.Contains(c.Tools, "export"), "EXPORT_DIR is of no use without export in "+prefix+"TOOLS")
	wrong(tenants && slices.Contains(c.Tools, "inspect"), "TOOLS must not have inspect with "+prefix+"HTTP_TENANT_SETTING: statistics are of all tenants")
	wrong(tenants && !c.Migrate.URL.IsZero(), "MIGRATE_URL must not be set with "+prefix+"HTTP_TENANT_SETTING: what is defined is everybody's")
	wrong(tenants && !c.Admin.URL.IsZero(), "ADMIN_URL must not be set with "+prefix+"HTTP_TENANT_SETTING: what is looked after is everybody's")
	return errors.Join(problems...)
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
	return filepath.Join(dir, fmt.Sprintf("mcp-postgres-%s-%d.jsonl", time.Now().UTC().Format("20060102T150405"), os.Getpid())), nil
}
