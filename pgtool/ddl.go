package pgtool

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/sqlddl"
	"github.com/mcpsec/mcpsec-go/internal/waive"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// DDLOptions configures a [Migrator]. Options.URL, Options.Schemas and Kinds are
// required.
type DDLOptions struct {
	// Options are as for reading. The role must be another one than that of the
	// read tools: [SetupSQL] with Migrates makes it. Options.Schemas are the
	// schemas whose objects may be changed. Options.Allow lists functions that
	// users have written and that defaults, checks, policies and views may call.
	// Options.Timeout is how long all statements of a call may take together.
	Options
	// Kinds are the kinds of change that are allowed: table, column, constraint,
	// type, sequence, index, view, function, trigger, policy, row security, role,
	// grant, comment; and what is needed beside one of these: drop, cascade,
	// disable row security, security definer, grant to public. A function is a
	// program that runs with the rights of whoever calls it. Required.
	Kinds []string
	// Roles are the roles that statements may make, change, drop, and grant to.
	// Defaults to none.
	Roles []string
	// Passwords are what PASSWORD 'secret:name' stands for, by name. Passwords are
	// of printable ASCII. The server gets a SCRAM-SHA-256 verifier, which is all
	// that leaves the process. Defaults to none.
	Passwords map[string]mcpsec.Secret
	// IndexTimeout is how long an index may take that is made or dropped
	// CONCURRENTLY. Defaults to 10 minutes.
	IndexTimeout time.Duration
}

const maxIndexTimeout = 24 * time.Hour

func (o DDLOptions) withDefaults() (DDLOptions, error) {
	base, err := o.Options.withDefaults()
	if err != nil {
		return o, err
	}
	o.Options = base
	o.IndexTimeout = or(o.IndexTimeout, 10*time.Minute)
	o.Kinds, o.Roles = slices.Clone(o.Kinds), slices.Clone(o.Roles)
	if len(o.Schemas) == 0 || len(o.Kinds) == 0 {
		return o, fmt.Errorf("DDLOptions.Schemas and Kinds are required")
	}
	if o.IndexTimeout < time.Millisecond || o.IndexTimeout > maxIndexTimeout {
		return o, fmt.Errorf("DDLOptions.IndexTimeout must be 1ms to %s", maxIndexTimeout)
	}
	for _, k := range o.Kinds {
		if !slices.Contains(sqlddl.Kinds(), k) {
			return o, fmt.Errorf("DDLOptions.Kinds has %q, and may have %s", k, strings.Join(sqlddl.Kinds(), ", "))
		}
	}
	if o.Tenant != nil || len(o.Mask) > 0 {
		return o, errTenants
	}
	for _, r := range o.Roles {
		if !plainName(r) || strings.HasPrefix(r, "pg_") || r == "public" {
			return o, fmt.Errorf("DDLOptions.Roles must be names of roles that are not PostgreSQL's own")
		}
	}
	passwords := map[string]mcpsec.Secret{}
	for name, p := range o.Passwords {
		if !plainName(name) || !printable(p.Reveal()) {
			return o, fmt.Errorf("DDLOptions.Passwords must be of printable ASCII, 8 to 128 characters")
		}
		passwords[name] = p
	}
	o.Passwords = passwords
	return o, nil
}

// A Migrator is a PostgreSQL database in which some kinds of objects may be
// defined, changed and dropped. It is safe for concurrent use.
type Migrator struct {
	o  DDLOptions
	db *DB
	memory
}

// OpenMigrator connects to a database and checks that its role is no more than the
// owner of the objects in Options.Schemas. The error names every fault of the role,
// and the SQL that makes a fit one; it holds no piece of the URL. The caller must
// Close the Migrator.
func OpenMigrator(ctx context.Context, o DDLOptions) (*Migrator, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("pgtool: %w", err)
	}
	config, err := o.config(o.URL)
	if err != nil {
		return nil, fmt.Errorf("pgtool: %w", err)
	}
	m := &Migrator{o: o, db: &DB{o: o.Options, login: config.User, unshared: true, gate: gate{turn: make(chan struct{}, 1)}, makesRoles: o.has(sqlddl.Role)}}
	m.db.pool = newPool(config, o.MaxConns, m.db.checkConn)
	if err := m.start(ctx, config.Database); err != nil {
		m.Close()
		return nil, fmt.Errorf("pgtool: %w", err)
	}
	return m, nil
}

func (o DDLOptions) has(kind string) bool { return slices.Contains(o.Kinds, kind) }

func (m *Migrator) start(ctx context.Context, database string) error {
	setup := SetupOptions{Database: database, Schemas: m.o.Schemas, Migrates: true}
	more := ""
	if m.o.has(sqlddl.Role) {
		more = ", 4"
	}
	if err := m.db.startOwner(ctx, setup, ownerFaults+lacksOwner, more); err != nil {
		return err
	}
	if waive.Has(m.o.Waive, waive.AnySQL) {
		return nil
	}
	return m.db.startGate(ctx)
}

// Close ends all connections. It cancels statements that run, which then change
// nothing unless they are being committed, and waits for them. Further calls do
// nothing.
func (m *Migrator) Close() { m.db.Close() }
