package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Each role has the tools that are declared for it, and no others: those do not exist for
// it.
func TestRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.tools("admin")
	of := map[string][]string{
		"support": {"flow_status", "subscription_cancel", "subscription_start", "user_find", "user_register"},
		"billing": {"flow_status", "payment_list", "payment_refund", "subscription_cancel", "subscription_start", "user_find"},
		"admin":   all,
	}
	for _, name := range []string{"analytics_report", "flow_resume", "flow_status", "payment_list", "payment_refund", "pg_query", "subscription_cancel", "subscription_start", "user_find", "user_register"} {
		if !slices.Contains(all, name) {
			t.Errorf("an admin has no %s", name)
		}
	}
	if len(of) != len(roles) {
		t.Errorf("%d roles are in the table, and there are %d", len(of), len(roles))
	}
	for role, want := range of {
		if got := w.tools(role); !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", role, got, want)
		}
		for _, tool := range all {
			text, failed, asked := w.call(role, tool, nil)
			if refused := failed && strings.Contains(text, "unknown tool"); refused == slices.Contains(want, tool) || asked != "" {
				t.Errorf("%s calls %s: %s", role, tool, text)
			}
		}
	}
}

// tools are the names that a role is shown.
func (w *world) tools(role string) (names []string) {
	w.t.Helper()
	for tool, err := range w.client(role).Tools(w.t.Context(), &mcp.ListToolsParams{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	return names
}

// Nobody gets in without a token of a member of staff: not a user of the service's, not
// PocketBase's superuser, and not staff without a role that there is.
func TestNobodyElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("support", "user_register", ann)
	verify, err := w.b.verifier()
	if err != nil {
		t.Fatal(err)
	}
	for collection, email := range map[string]string{"users": "ann@example.com", "_superusers": w.b.pb.root.Identity} {
		r, err := w.b.pb.FindAuthRecordByEmail(collection, email)
		if err != nil {
			t.Fatal(err)
		}
		token, err := r.NewAuthToken()
		if err != nil {
			t.Fatal(err)
		}
		if p, err := verify(t.Context(), token); err == nil {
			t.Errorf("a token of %s is taken, for %+v", collection, p)
		}
	}
	if p, err := verify(t.Context(), "guess"); err == nil {
		t.Errorf("a guess is taken, for %+v", p)
	}
}

// Once Ann's name, which are her words, was read beside private data, mail to an address
// that the caller chooses needs a person's yes.
func TestStrangersWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if text, failed, asked := w.call("support", "user_register", ann); failed || asked != "" {
		t.Errorf("%s, asked %q", text, asked)
	}
	w.must("support", "user_find", map[string]any{"email": "ann@example.com"})
	w.no = true
	other := map[string]any{"email": "mallory@example.com", "name": "M"}
	if text, failed, asked := w.call("support", "user_register", other); !failed || !strings.Contains(asked, "user_find") {
		t.Errorf("%s, asked %q", text, asked)
	}
	w.want("they say no", whole)
	if text, failed, asked := w.call("admin", "user_register", other); failed || asked != "" { // who has read nothing
		t.Errorf("%s, asked %q", text, asked)
	}
}
