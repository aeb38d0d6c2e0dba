package stripetool

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
)

// TestToolsGolden pins what a model is shown of each set, and what that takes of
// its context.
func TestToolsGolden(t *testing.T) {
	t.Parallel()
	mcptest.GoldenTools(t, "read.json", ReadTools(offline(t)), 5<<10)
	mcptest.GoldenTools(t, "write.json", WriteTools(offline(t)), 18<<10)
}

// everything is every permission that there is.
func everything() map[string][]string {
	all := map[string][]string{}
	for _, ch := range changes() {
		all[ch.resource] = append(all[ch.resource], ch.action)
	}
	return all
}

// Together the tools take no more of a model's context than this.
func TestAllToolsFit(t *testing.T) {
	t.Parallel()
	c := offline(t)
	if list, n := mcptest.Serve(t, append(ReadTools(c), WriteTools(c)...)...).Tools(); n >= 24<<10 {
		t.Errorf("tools/list of all %d tools has %d bytes", len(list), n)
	}
}

// What is not listed has no tool, and a word that is none is an error.
func TestPermissions(t *testing.T) {
	t.Parallel()
	c, err := New(Options{Key: restricted()})
	if err != nil {
		t.Fatal(err)
	}
	if got := WriteTools(c); len(got) != 0 {
		t.Errorf("got %d tools without permissions", len(got))
	}
	type pairs = map[string][]string
	deny := []Options{
		{Permissions: pairs{"refunds": {"creat"}}},
		{Permissions: pairs{"refund": {"create"}}},
		{Permissions: pairs{"refunds": {"*"}}},
		{Unasked: pairs{"refunds": {"create"}}},
		{Permissions: pairs{"refunds": {"create"}}, Unasked: pairs{"refunds": {"create"}}},
	}
	for _, o := range deny {
		o.Key, o.Caps = restricted(), eur(1, 2)
		if _, err := New(o); err == nil {
			t.Errorf("%v, unasked %v: no error", o.Permissions, o.Unasked)
		}
	}
}

// A set is not to be had without what it needs, and tools that would have nothing to
// read are not served.
func TestSets(t *testing.T) {
	t.Parallel()
	c, err := New(Options{Key: restricted()})
	if err != nil {
		t.Fatal(err)
	}
	if got := ReadTools(c); len(got) != 2 {
		t.Errorf("got %d tools without resources, want 2", len(got))
	}
	c.o.Resources = []string{"refunds"}
	if got := ReadTools(c); len(got) != 4 {
		t.Errorf("got %d tools without what can be searched, want 4", len(got))
	}
}
