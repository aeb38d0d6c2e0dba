package pgtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/waive"
)

// ownerFaults are what a role that owns the schemas of $1 must not be able to do
// elsewhere. They are a part of faultsSQL, in place of the ranks that ownerOnly
// leaves out.
const ownerFaults = `
	UNION ALL SELECT 20, who || ' owns more than the objects of the schemas that are listed: ', pg_describe_object(d.classid, d.objid, d.objsubid)
		FROM own JOIN pg_shdepend d ON d.refclassid = 'pg_authid'::regclass AND d.refobjid = own.oid AND d.deptype = 'o'
			AND d.classid NOT IN ('pg_user_mapping'::regclass, 'pg_default_acl'::regclass)
			AND d.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
		WHERE NOT EXISTS (SELECT 1 FROM listed l WHERE d.classid = 'pg_namespace'::regclass AND d.objid = l.oid
			OR (pg_identify_object(d.classid, d.objid, d.objsubid)).schema = quote_ident(l.nspname))
	UNION ALL SELECT 21, who || ' has CREATE on a schema that is not listed: ', quote_ident(n.nspname)
		FROM own, pg_namespace n WHERE n.nspname !~ '^pg_(toast|temp)' AND has_schema_privilege(own.oid, n.oid, 'CREATE')
			AND NOT EXISTS (SELECT 1 FROM listed l WHERE l.oid = n.oid)
	UNION ALL SELECT 10, who || ' can write to ', quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM own, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE ` + userTable + ` AND ` + canWrite + ` AND NOT EXISTS (SELECT 1 FROM listed l WHERE l.oid = n.oid)
	UNION ALL SELECT 11, who || ' can change sequence ', quote_ident(n.nspname) || '.' || quote_ident(c.relname)
		FROM own, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'S' AND has_sequence_privilege(own.oid, c.oid, 'UPDATE, USAGE') AND NOT EXISTS (SELECT 1 FROM listed l WHERE l.oid = n.oid)
	UNION ALL SELECT 22, 'there is no schema ', quote_ident(x) FROM json_array_elements_text($1::json) x WHERE NOT EXISTS (SELECT 1 FROM listed l WHERE l.nspname = x)`

// lacksOwner is that a schema is not the role's, which a Migrator needs.
const lacksOwner = `
	UNION ALL SELECT 23, 'the role does not own schema ', quote_ident(l.nspname) FROM me, listed l WHERE NOT pg_has_role(me.oid, l.nspowner, 'USAGE')`

const ownedSQL = `, listed AS (SELECT n.oid, n.nspname, n.nspowner FROM json_array_elements_text($1::json) x JOIN pg_namespace n ON n.nspname = x)`

// ownerOnly leaves out what ownerFaults has in its place, and what comes with roles
// that the role may be a member of.
const ownerOnly = `WHERE rank NOT IN (7, 9, 12{more}) AND NOT (rank = 6 AND object = ANY ('{{members}}'))
	AND NOT (rank IN (14, 15) AND EXISTS (SELECT 1 FROM pg_roles x WHERE x.rolname = ANY ('{{members}}') AND CASE rank
		WHEN 14 THEN has_function_privilege(x.oid, object, 'EXECUTE') ELSE has_table_privilege(x.oid, 'pg_catalog.' || quote_ident(object), 'SELECT') END))`

// startOwner checks the role of a Migrator or an Admin. members are the predefined
// roles that it may be a member of.
func (db *DB) startOwner(ctx context.Context, setup SetupOptions, faults, more string, members ...string) error {
	only := strings.NewReplacer("{more}", more, "{{members}}", "{"+strings.Join(members, ",")+"}").Replace(ownerOnly)
	schemas, err := json.Marshal(db.o.Schemas)
	if err != nil {
		return fmt.Errorf("writing names: %w", err)
	}
	found, err := db.faultsOf(ctx, faults, ownedSQL, only, schemas)
	if err != nil {
		return errors.New(startText(err))
	}
	if waive.Has(db.o.Waive, waive.OverprivilegedRole) {
		return nil
	}
	if len(found) > 0 {
		if !plainName(setup.Database) {
			setup.Database = "the database"
		}
		return &roleError{found, "only own the schemas that are listed", SetupSQL(setup)}
	}
	db.vetted.Store(true)
	return nil
}
