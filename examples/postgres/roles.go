package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// reader is how the database is read.
func (c Config) reader() pgtool.Options {
	o := c.limited(c.DatabaseURL, c.Schemas)
	o.Mask, o.MaskKey, o.Tenant = c.Mask.Columns.byColumn, c.Mask.Key, c.HTTP.tenant()
	o.Replicas, o.MaxLag = c.Replica.list(), c.Replica.MaxLag
	o.MaxCost, o.ServerCheck = c.Limit.Cost, c.ServerCheck
	return o
}

// writer is how it is written to.
func (c Config) writer() pgtool.WriteOptions {
	o := c.limited(c.Write.URL, nil) // the schemas are those of the tables
	o.Mask, o.Tenant = c.Mask.Columns.byColumn, c.HTTP.tenant()
	return pgtool.WriteOptions{Options: o, Tables: c.Write.Tables.list, MaxAffected: c.Write.MaxAffected, Execute: c.Write.Execute}
}

// migrator is how what is in it is defined.
func (c Config) migrator() pgtool.DDLOptions {
	return pgtool.DDLOptions{Options: c.limited(c.Migrate.URL, c.Migrate.Schemas), Kinds: c.Migrate.Kinds, Roles: c.Migrate.Roles}
}

// admin is how it is looked after.
func (c Config) admin() pgtool.Options {
	o := c.limited(c.Admin.URL, c.Admin.Schemas)
	o.Timeout = c.Admin.Timeout
	return o
}

// limited is what all roles have in common.
func (c Config) limited(url redact.Secret, schemas []string) pgtool.Options {
	return pgtool.Options{
		URL:      url,
		Schemas:  schemas,
		MaxRows:  c.Limit.Rows,
		MaxBytes: c.Limit.Bytes,
		Timeout:  c.Limit.Timeout,
		MaxConns: c.Limit.Connections,
	}
}

func (r replicas) list() (urls []mcpsec.Secret) {
	for _, url := range strings.Fields(r.URLs.Reveal()) {
		urls = append(urls, redact.NewSecret(url))
	}
	return urls
}

// tenant says whose data a call may use: what the database has for the caller's ID.
func (w web) tenant() func(context.Context, mcpsec.Principal) (pgtool.Tenant, error) {
	if w.TenantSetting == "" {
		return nil
	}
	return func(_ context.Context, p mcpsec.Principal) (pgtool.Tenant, error) {
		return pgtool.Tenant{Settings: map[string]string{w.TenantSetting: p.ID}}, nil
	}
}

// exportsURI is where clients read what is in the directory of exports.
const exportsURI = "exports:///"

// readTools are those of the sets that are named.
func (c Config) readTools(db *pgtool.DB, d dirs) (all []*mcpsec.Tool) {
	for _, set := range c.Tools {
		switch set {
		case "read":
			all = append(all, pgtool.ReadTools(db)...)
		case "inspect":
			all = append(all, pgtool.InspectTools(db)...)
		case "named":
			all = append(all, namedQueries(db)...)
		case "export":
			all = append(all, pgtool.ExportTool(db, pgtool.FileOptions{Root: d.exports, URI: exportsURI}))
		}
	}
	return all
}

func (c Config) writeTools(w *pgtool.Writer, d dirs) []*mcpsec.Tool {
	all := pgtool.WriteTools(w)
	if d.imports != nil {
		all = append(all, pgtool.ImportTool(w, pgtool.FileOptions{Root: d.imports}))
	}
	return all
}

// dirs are the directories that are set. Nothing outside of them can be named.
type dirs struct{ exports, imports *os.Root }

func (c Config) dirs() (d dirs, err error) {
	var err1, err2 error
	d.exports, err1 = openDir("EXPORT_DIR", c.ExportDir)
	d.imports, err2 = openDir("WRITE_IMPORT_DIR", c.Write.ImportDir)
	if err := errors.Join(err1, err2); err != nil {
		return d, err
	}
	if d.exports != nil && d.imports != nil && same(d.exports, d.imports) {
		err = errors.New(prefix + "EXPORT_DIR and " + prefix + "WRITE_IMPORT_DIR must be two directories: clients read the first")
	}
	return d, err
}

func same(a, b *os.Root) bool {
	x, err1 := a.Stat(".")
	y, err2 := b.Stat(".")
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

func openDir(setting, path string) (*os.Root, error) {
	if path == "" {
		return nil, nil
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("%s%s: %w", prefix, setting, errors.Unwrap(err)) // without the path
	}
	return root, nil
}

// resources are the files that have been exported, if there is a directory for them.
func (d dirs) resources() []*mcpsec.Resource {
	if d.exports == nil {
		return nil
	}
	return []*mcpsec.Resource{mcpsec.NewFiles(d.exports, mcpsec.ResourceSpec{
		Name: "exports", Description: "What pg_export has written.", URI: exportsURI + "{+path}", MaxResult: 1 << 20,
	}, nil)}
}
