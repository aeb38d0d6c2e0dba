package main

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/config"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// Every setting gets to the role that it is for, and to no other.
func TestSettingsReachRoles(t *testing.T) {
	t.Parallel()
	c, err := config.LoadFrom[Config](prefix, []string{
		"PGTOOL_DATABASE_URL=postgres://r@h/d", "PGTOOL_SCHEMAS=a,b", "PGTOOL_SERVER_CHECK=true", "PGTOOL_MASK_COLUMNS=*.x=hidden, y=hashed,s.t.z=partial", "PGTOOL_MASK_KEY=" + key,
		"PGTOOL_REPLICA_URLS=postgres://r@h2/d\npostgres://r@h3/d", "PGTOOL_REPLICA_MAX_LAG=3s", "PGTOOL_HTTP_ADDR=:0", "PGTOOL_HTTP_KEYS=x=y", "PGTOOL_HTTP_TENANT_SETTING=app.x",
		"PGTOOL_LIMIT_ROWS=11", "PGTOOL_LIMIT_BYTES=2048", "PGTOOL_LIMIT_TIMEOUT=12s", "PGTOOL_LIMIT_COST=13", "PGTOOL_LIMIT_CONNECTIONS=14",
		"PGTOOL_WRITE_URL=postgres://w@h/d", `PGTOOL_WRITE_TABLES=[{"Schema":"s","Name":"t"}]`, "PGTOOL_WRITE_MAX_AFFECTED=15", "PGTOOL_WRITE_EXECUTE=true",
		"PGTOOL_MIGRATE_URL=postgres://m@h/d", "PGTOOL_MIGRATE_SCHEMAS=c", "PGTOOL_MIGRATE_KINDS=table,row security", "PGTOOL_MIGRATE_ROLES=r",
		"PGTOOL_ADMIN_URL=postgres://a@h/d", "PGTOOL_ADMIN_SCHEMAS=e", "PGTOOL_ADMIN_TIMEOUT=16s",
	})
	if err != nil {
		t.Fatal(err)
	}
	r, w, m, a := c.reader(), c.writer(), c.migrator(), c.admin()
	masks := map[string]pgtool.Mask{"*.x": pgtool.Hidden, "y": pgtool.Hashed, "s.t.z": pgtool.Partial}
	for what, ok := range map[string]bool{
		"URLs":     r.URL.Reveal() == "postgres://r@h/d" && w.URL.Reveal() == "postgres://w@h/d" && m.URL.Reveal() == "postgres://m@h/d" && a.URL.Reveal() == "postgres://a@h/d",
		"schemas":  slices.Equal(r.Schemas, []string{"a", "b"}) && w.Schemas == nil && slices.Equal(m.Schemas, []string{"c"}) && slices.Equal(a.Schemas, []string{"e"}),
		"masks":    maps.Equal(r.Mask, masks) && maps.Equal(w.Mask, masks) && r.MaskKey.Reveal() == key,
		"replicas": len(r.Replicas) == 2 && r.Replicas[1].Reveal() == "postgres://r@h3/d" && r.MaxLag == 3*time.Second && w.Replicas == nil,
		"tenants":  r.Tenant != nil && w.Tenant != nil && m.Tenant == nil && a.Tenant == nil,
		"limits":   r.MaxRows == 11 && r.MaxBytes == 2048 && r.Timeout == 12*time.Second && r.MaxCost == 13 && r.MaxConns == 14,
		"others'":  w.MaxRows == 11 && m.Timeout == 12*time.Second && a.Timeout == 16*time.Second && a.MaxConns == 14,
		"check":    r.ServerCheck,
		"writing":  len(w.Tables) == 1 && w.MaxAffected == 15 && w.Execute,
		"defining": slices.Equal(m.Kinds, []string{"table", "row security"}) && slices.Equal(m.Roles, []string{"r"}),
	} {
		if !ok {
			t.Errorf("%s: got %+v, %+v, %+v, %+v", what, r, w, m, a)
		}
	}
}

// Only a role that changes something lets tools do so.
func TestMode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		settings []string
		want     mcpsec.Effect
	}{
		{nil, mcpsec.Read},
		{[]string{"PGTOOL_TOOLS=read,inspect,named,export"}, mcpsec.Read},
		{[]string{"PGTOOL_WRITE_URL=postgres://w@h/d", `PGTOOL_WRITE_TABLES=[{"Schema":"s","Name":"t"}]`}, mcpsec.Destroy},
		{[]string{"PGTOOL_MIGRATE_URL=postgres://m@h/d", "PGTOOL_MIGRATE_SCHEMAS=c", "PGTOOL_MIGRATE_KINDS=table"}, mcpsec.Destroy},
		{[]string{"PGTOOL_ADMIN_URL=postgres://a@h/d", "PGTOOL_ADMIN_SCHEMAS=e"}, mcpsec.Destroy},
	} {
		got, err := config.LoadFrom[Config](prefix, append(c.settings, "PGTOOL_DATABASE_URL=postgres://r@h/d"))
		if err != nil || got.mode() != c.want {
			t.Errorf("%v: got %v, %v, want %v", c.settings, got.mode(), err, c.want)
		}
	}
}
