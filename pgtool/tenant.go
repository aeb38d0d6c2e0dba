package pgtool

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A Tenant is whose data a transaction may use, in the words of the database: row
// security policies read the Settings, and grants and policies are for the Role.
// At least one of the two is needed.
type Tenant struct {
	// Settings are parameters with a dot in their names, in lower case, which
	// policies read with current_setting('app.tenant'). At most 16, of 1 to 1,024
	// bytes each, without control characters; an empty value is refused.
	Settings map[string]string
	// Role is the role whose rights the transaction has: another one than that which
	// logs in, and which that one is a member of. Defaults to the one that logs in.
	Role string
}

const (
	maxSettings     = 16
	maxSettingValue = 1024 // bytes
)

var customName = lazy.Regexp(`^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)+$`)

// check refuses what is no tenant. Its texts hold no value.
func (t Tenant) check(login string) error {
	if len(t.Settings) == 0 && t.Role == "" {
		return errors.New("the Tenant has neither Settings nor a Role")
	}
	if len(t.Settings) > maxSettings {
		return fmt.Errorf("the Tenant has more than %d Settings", maxSettings)
	}
	for name, value := range t.Settings {
		if !customName().MatchString(name) || len(name) > maxName {
			return errors.New("a name in the Tenant's Settings is not as in app.tenant")
		}
		if value == "" || len(value) > maxSettingValue || !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
			return fmt.Errorf("the Tenant's setting %s is empty, longer than %d bytes, or no plain text", name, maxSettingValue)
		}
	}
	if t.Role == "" {
		return nil
	}
	if !plainName(t.Role) || t.Role == "none" || t.Role == login {
		return errors.New("the Tenant's Role cannot be the one that logs in, or is no name")
	}
	return nil
}

// A binding is a Tenant as it is sent: as parameters, which no text of a statement
// and no list of sessions shows.
type binding struct {
	args   [][]byte // names and values; the role, with which rights go, is last
	mark   string   // tells one tenant from another
	role   string
	values []string
}

func (t Tenant) bind() *binding {
	names := slices.Sorted(maps.Keys(t.Settings))
	b := &binding{role: t.Role}
	for _, n := range names {
		b.values = append(b.values, t.Settings[n])
	}
	if t.Role != "" {
		names, b.values = append(names, "role"), append(b.values, t.Role)
	}
	b.args = [][]byte{textArray(names), textArray(b.values)}
	h := sha256.New()
	for _, s := range slices.Concat(names, b.values) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	b.mark = hex.EncodeToString(h.Sum(nil)[:6])
	return b
}

// hide takes the tenant's values out of an error's texts, which go to the log: a
// policy that casts one quotes it.
func (b *binding) hide(e *pgconn.PgError) {
	if b == nil || e == nil {
		return
	}
	for _, text := range []*string{&e.Message, &e.Detail, &e.Hint, &e.Where, &e.InternalQuery} {
		for _, v := range b.values {
			*text = strings.ReplaceAll(*text, v, "(tenant)")
		}
	}
}

// The statements of a binding. The second one fails if the role has become, since
// Open looked, one that policies do not hold for; the third goes after the
// caller's statement.
const (
	bindSQL = `SELECT count(set_config(s.k, s.v, true)) FROM unnest($1::text[], $2::text[]) AS s(k, v)`
	fitSQL  = `SELECT 1 / count(*) FROM pg_roles
WHERE rolname = current_user AND NOT (rolsuper OR rolbypassrls OR rolreplication OR rolcreaterole OR rolcreatedb)`
	boundSQL = `SELECT bool_and(current_setting(s.k, true) IS NOT DISTINCT FROM s.v) FROM unnest($1::text[], $2::text[]) AS s(k, v)`
)

// errTenant is the refusal of a call that nothing was sent for.
func errTenant(cause error) error {
	return &mcpsec.Error{Message: "not allowed: it is not known whose data this call may use", Rule: "tenant", Err: cause}
}

// named is a text about what a change does, for one tenant and not for another: a
// yes to it is of no use to anybody else.
func (o *outcome) named(text string) string {
	if o.tenant == "" {
		return text
	}
	return text + " (tenant " + o.tenant + ")"
}

// errTenants is the refusal where all tenants have the same tables, and no rows are
// shown.
var errTenants = errors.New("Options.Tenant and Options.Mask have no meaning here: what is changed is everybody's")

// errStrayed ends a statement that has changed the tenant which it ran for.
var errStrayed = &mcpsec.Error{Message: "not allowed: the statement has changed whose data it may use", Rule: "tenant"}

// tenant returns what the transactions of a call are bound to: nil if all callers
// are one. Without a call there is no tenant, and no transaction.
func (db *DB) tenant(ctx context.Context) (*binding, error) {
	if db.o.Tenant == nil {
		return nil, nil
	}
	p := mcpsec.PrincipalFrom(ctx)
	if mcpsec.CallID(ctx) == "" {
		return nil, errTenant(errors.New("with Options.Tenant a statement needs the context of a call"))
	}
	t, err := db.o.Tenant(ctx, p)
	if err == nil {
		err = t.check(db.login)
	}
	if err != nil {
		return nil, errTenant(err)
	}
	return t.bind(), nil
}

// bind completes q by the tenant, once.
func (db *DB) bind(ctx context.Context, q *query) (err error) {
	if !q.anyone && q.tenant == nil {
		q.tenant, err = db.tenant(ctx)
	}
	return err
}

// A tenantError says that the database has refused a tenant. What it says itself
// would quote the role.
type tenantError struct{ reported *pgconn.PgError }

func (e *tenantError) Error() string { return "setting the tenant: SQLSTATE " + e.reported.Code }
func (e *tenantError) Unwrap() error { return e.reported }

func (c *conn) sendBinding(b *binding) {
	if b == nil {
		return
	}
	c.sendStatement(bindSQL, b.args)
	c.sendExecute(0)
	c.sendStatement(fitSQL, nil)
	c.sendExecute(0)
}

// bound reads the answers to sendBinding.
func (c *conn) bound(b *binding) error {
	if b == nil {
		return nil
	}
	err := c.done("SELECT 1")
	if err == nil {
		err = c.done("SELECT 1")
	}
	if reported := reportedBy(err); reported != nil {
		return &tenantError{reported}
	}
	return err
}

func (c *conn) sendStillBound(b *binding) {
	if b != nil {
		c.sendStatement(boundSQL, b.args)
		c.sendExecute(0)
	}
}

// stillBound reads the answer to sendStillBound.
func (c *conn) stillBound(b *binding) error {
	if b == nil {
		return nil
	}
	values, err := c.row("SELECT 1")
	if err == nil && (len(values) != 1 || string(values[0]) != "t") {
		return errStrayed
	}
	return err
}

// inheritedFaults returns the part of faultsSQL for the version of the server:
// before 16 every member could become the role.
func (db *DB) inheritedFaults(ctx context.Context) (string, error) {
	set := "MEMBER"
	r, err := db.query(ctx, &query{sql: setOptionSQL, own: true, anyone: true, maxRows: 1, maxBytes: 1 << 10})
	if err != nil {
		return "", err
	}
	if r.rows > 0 {
		set = "SET"
	}
	return strings.ReplaceAll(inheritedFaults, "{set}", set), nil
}

const setOptionSQL = `SELECT 1 FROM pg_attribute WHERE attrelid = 'pg_auth_members'::regclass AND attname = 'set_option'`

// inheritedFaults is the part of faultsSQL about roles that are tenants: what the
// role inherits it can do for all of them. {set} is the privilege to become one.
const inheritedFaults = `
	UNION ALL SELECT 18, 'the role inherits from roles that it can also become, as with Options.Tenant it must not ' ||
			'(ALTER ROLE ... NOINHERIT, or GRANT ... WITH SET FALSE): ', quote_ident(r.rolname)
		FROM r, me WHERE r.oid <> me.oid AND NOT me.rolsuper AND NOT r.predefined
			AND pg_has_role(me.oid, r.oid, 'USAGE') AND pg_has_role(me.oid, r.oid, '{set}')`
