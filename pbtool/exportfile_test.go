package pbtool

import (
	"os"
	"testing"
)

// What cannot be written completely is not there.
func TestExportIsWhole(t *testing.T) {
	t.Parallel()
	dir, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	f, err := dir.OpenFile("x.csv", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = f.Close() // no writing succeeds
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(dir, f, "text"); err == nil {
		t.Error("no error")
	}
	if _, err := dir.Lstat("x.csv"); !os.IsNotExist(err) {
		t.Errorf("a part is there: %v", err)
	}
}
