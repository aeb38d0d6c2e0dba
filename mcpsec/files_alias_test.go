package mcpsec

import "testing"

// On Windows serve decides on the very name that is opened.
func TestAliases(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a.txt": false, "a b/c.d/e": false, "dir/.env": false,
		"GIT~1/config": true, "a/SECRET~1.TXT": true,
		"secret.txt.": true, "secret.txt ": true, "secret.txt. .": true, "secret./a": true, "a/secret /b": true,
	} {
		if aliased(name) != want {
			t.Errorf("%q: got %t", name, !want)
		}
	}
}
