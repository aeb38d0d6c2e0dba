package main

import (
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A backup that is restored restarts PocketBase, and not the program: the client's
// session goes on.
func TestPocketBaseRestores(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := connect(t, command(dir, nil))
	post := `{"collection":"posts","id":"` + id("post", 0) + `"}`
	s.allow("pb_backup_create", `{"name":"before.zip"}`, "made")
	s.allow("pb_delete_record", post, `"deleted":1`)
	s.deny("pb_get_record", post, "no such")
	s.allow("pb_backup_restore", `{"name":"before.zip"}`, "PocketBase has restarted")
	s.allow("pb_get_record", post, id("post", 0))
	if len(s.asked) != 2 || !strings.Contains(s.asked[1], "REPLACES ALL DATA") {
		t.Errorf("asked: %s", s.asked)
	}
	s.close()
	left(t, dir)
}

// Each set is served where it is named, and no other.
func TestPocketBaseSets(t *testing.T) {
	t.Parallel()
	shop := started(t)
	for set, c := range map[string]struct {
		settings []string
		want     string // tools, of which one is the set's
		mode     string
	}{
		"files":        {shop.accounts(), "pb_file_url pb_get_file", "read"},
		"auth":         {nil, "pb_auth_confirm pb_auth_methods pb_auth_otp pb_auth_password pb_auth_request pb_auth_session", "write"},
		"schema-write": {shop.accounts(), "pb_apply_schema pb_plan_schema", "destroy"},
		"resources":    {shop.accounts(), "", "read"},
		"prompts":      {shop.accounts(), "", "read"},
	} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			s := connect(t, command(t.TempDir(), []string{"-url", shop.url}, append(c.settings, prefix+"TOOLS="+set)...))
			serves := s.InitializeResult().Capabilities
			if (serves.Resources != nil) != (set == "resources") || (serves.Prompts != nil) != (set == "prompts") {
				t.Errorf("it serves %+v", serves)
			}
			var names []string
			if list, err := s.ListTools(t.Context(), &mcp.ListToolsParams{}); err == nil {
				for _, tool := range list.Tools {
					names = append(names, tool.Name)
				}
			}
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("tools are %s, want %s", got, c.want)
			}
			s.close()
			if log := s.stderr.String(); !strings.Contains(log, "mode="+c.mode+" ") {
				t.Errorf("the log is %s", log)
			}
		})
	}
}
