package pbtool

import (
	"os"
	"slices"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// offline returns a client of a server that is never asked.
func offline(t *testing.T, cs ...Collection) *Client {
	t.Helper()
	c, err := newClient(Options{URL: "https://pb.example.com", Collections: cs, Superuser: Login{Identity: "root@example.com", Password: redact.NewSecret("x")}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestToolsGolden pins what a model is shown of each set, and what that takes of
// its context.
func TestToolsGolden(t *testing.T) {
	t.Parallel()
	c := offline(t, Collection{Name: "posts", Write: []string{"title"}, Delete: true}, Collection{Name: "comments", Write: []string{"text"}})
	mcptest.GoldenTools(t, "read.json", RecordReadTools(c), 5<<10)
	mcptest.GoldenTools(t, "write.json", RecordWriteTools(c), 4500)
	mcptest.GoldenTools(t, "schema.json", SchemaReadTools(c), 1600)
	mcptest.GoldenTools(t, "schemawrite.json", SchemaWriteTools(c), 2500)
	mcptest.GoldenTools(t, "admin.json", AdminTools(c, everythingAllowed(t)), 6000)
	mcptest.GoldenTools(t, "files.json", FileTools(c), 2600)
	mcptest.GoldenTools(t, "auth.json", AuthTools(withOAuth(t)), 3600)
	c.o.Exports = new(os.Root)
	all := slices.Concat(RecordReadTools(c), RecordWriteTools(c), SchemaReadTools(c), SchemaWriteTools(c), AdminTools(c, everythingAllowed(t)), FileTools(c), AuthTools(withOAuth(t)))
	list, n := mcptest.Serve(t, all...).Tools()
	t.Logf("tools/list of all %d tools has %d bytes", len(list), n)
	if len(list) != len(all) || n >= 24<<10 {
		t.Errorf("tools/list of %d of %d tools takes %d bytes, want all in less than 24 KiB", len(list), len(all), n)
	}
}

// withOAuth is a client whose callers sign in.
func withOAuth(t *testing.T) *Client {
	t.Helper()
	c, err := newClient(Options{URL: "https://pb.example.com", RedirectURL: "https://app.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func everythingAllowed(t *testing.T) AdminOptions {
	t.Helper()
	dir, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	return AdminOptions{Superusers: []string{"new@example.com"}, Mail: []string{"ops@example.com"}, Settings: []string{"batch.enabled", "smtp.password"}, Dir: dir, Secrets: map[string]mcpsec.Secret{"smtp": redact.NewSecret("x")}}
}

// Effects are what a call can do at worst; what overwrites is asked about unless
// old values are kept.
func TestEffects(t *testing.T) {
	t.Parallel()
	c := offline(t, Collection{Name: "posts", Write: []string{"title"}, Delete: true})
	want := map[string]mcpsec.Effect{
		"pb_health": mcpsec.Read, "pb_list_records": mcpsec.Read, "pb_get_record": mcpsec.Read, "pb_aggregate_records": mcpsec.Read, "pb_export_records": mcpsec.Read,
		"pb_list_collections": mcpsec.Read, "pb_describe_collection": mcpsec.Read, "pb_create_record": mcpsec.Write, "pb_validate_record": mcpsec.Write, "pb_import_records": mcpsec.Write,
		"pb_get_file": mcpsec.Read, "pb_file_url": mcpsec.Read, "pb_upload_file": mcpsec.Write, "pb_delete_file": mcpsec.Destroy,
		"pb_auth_methods": mcpsec.Read, "pb_auth_request": mcpsec.Write, "pb_auth_confirm": mcpsec.Write, "pb_auth_oauth2": mcpsec.Write, "pb_auth_password": mcpsec.Write, "pb_auth_otp": mcpsec.Write, "pb_auth_session": mcpsec.Write,
		"pb_update_record": mcpsec.Destroy, "pb_delete_record": mcpsec.Destroy, "pb_delete_records": mcpsec.Destroy, "pb_batch": mcpsec.Destroy,
		"pb_audit_rules": mcpsec.Read, "pb_plan_schema": mcpsec.Read, "pb_apply_schema": mcpsec.Destroy,
		"pb_list_superusers": mcpsec.Read, "pb_create_superuser": mcpsec.Destroy, "pb_logs": mcpsec.Read, "pb_log_stats": mcpsec.Read, "pb_settings": mcpsec.Read, "pb_update_settings": mcpsec.Destroy, "pb_list_crons": mcpsec.Read, "pb_run_cron": mcpsec.Destroy,
		"pb_test_email": mcpsec.Write, "pb_test_s3": mcpsec.Write, "pb_backup_list": mcpsec.Read, "pb_backup_create": mcpsec.Write, "pb_backup_delete": mcpsec.Destroy, "pb_backup_restore": mcpsec.Destroy, "pb_backup_download": mcpsec.Write, "pb_backup_upload": mcpsec.Write,
	}
	all := slices.Concat(RecordReadTools(c), RecordWriteTools(c), SchemaReadTools(c), SchemaWriteTools(c), AdminTools(c, everythingAllowed(t)), FileTools(c), AuthTools(withOAuth(t)))
	for _, tool := range all {
		if tool.Effect() != want[tool.Name()] {
			t.Errorf("%s is %s, want %s", tool.Name(), tool.Effect(), want[tool.Name()])
		}
	}
	if len(all) != len(want) {
		t.Errorf("there are %d tools, want %d", len(all), len(want))
	}
	if err := c.mayStore("x.csv", "csv"); err == nil {
		t.Error("a file is made without a directory")
	}
	c.o.Overwrite, c.o.Exports = mcpsec.Write, new(os.Root)
	if e := RecordReadTools(c); !slices.ContainsFunc(e, func(t *mcpsec.Tool) bool { return t.Name() == "pb_export_records" && t.Effect() == mcpsec.Write }) {
		t.Error("pb_export_records reads only where it makes files")
	}
	for _, tool := range RecordWriteTools(c) {
		if tool.Name() == "pb_update_record" && tool.Effect() != mcpsec.Write {
			t.Errorf("pb_update_record is %s where old values are kept", tool.Effect())
		}
	}
}

// A set is not to be had without what it needs.
func TestSetsPanic(t *testing.T) {
	t.Parallel()
	c, err := newClient(Options{URL: "https://pb.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	readOnly := offline(t, Collection{Name: "posts"})
	for what, f := range map[string]func(){
		"nothing to write": func() { RecordWriteTools(readOnly) }, "no list": func() { RecordWriteTools(c) }, "no superuser": func() { SchemaReadTools(c) }, "no superuser to write": func() { SchemaWriteTools(c) }, "no superuser for admin": func() { AdminTools(c, AdminOptions{}) },
		"an unknown setting": func() { AdminTools(readOnly, AdminOptions{Settings: []string{"smtp"}}) }, "no address": func() { AdminTools(readOnly, AdminOptions{Mail: []string{"*"}}) },
		"an empty secret": func() { AdminTools(readOnly, AdminOptions{Secrets: map[string]mcpsec.Secret{"x": {}}}) }, "too large": func() { AdminTools(readOnly, AdminOptions{MaxBackup: 2 << 30}) }, "too long": func() { AdminTools(readOnly, AdminOptions{Timeout: 2 * time.Hour}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", what)
				}
			}()
			f()
		}()
	}
}
