package stripetool

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A permission is one tool and no other; without caps there is none that moves money;
// and only what can be undone may be unasked.
func TestEachPermissionIsOneTool(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, ch := range changes() {
		pair := map[string][]string{ch.resource: {ch.action}}
		c, err := New(Options{Key: restricted(), Permissions: pair, Caps: eur(1, 2)})
		if err != nil {
			t.Fatal(err)
		}
		if got := WriteTools(c); len(got) != 1 || got[0].Name() != ch.name || got[0].Effect() != ch.effect || seen[ch.name] {
			t.Errorf("%v: got %d tools", pair, len(got))
		}
		seen[ch.name] = true
		if _, err := New(Options{Key: restricted(), Permissions: pair}); (err != nil) != ch.moves {
			t.Errorf("%s, moves money %t, without caps: got error %v", ch.name, ch.moves, err)
		}
		if _, err := New(Options{Key: restricted(), Permissions: pair, Unasked: pair, Caps: eur(1, 2)}); (err == nil) != (ch.effect == mcpsec.Write) {
			t.Errorf("%s, of effect %s, unasked: got error %v", ch.name, ch.effect, err)
		}
		for _, r := range ch.reads {
			if resources[r] == nil {
				t.Errorf("%s reads %s, which is none of ResourceNames", ch.name, r)
			}
		}
	}
}
