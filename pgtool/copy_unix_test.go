//go:build unix

package pgtool

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/rootfile"
)

// TestImportOfAPipe has a pipe, also one that takes the place of a file after it was
// looked at: to open it must not wait.
func TestImportOfAPipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Skip(err)
	}
	o := FileOptions{Root: openRoot(t, dir), MaxBytes: 10}
	if _, err := o.read("pipe"); err == nil || !strings.Contains(err.Error(), errNoFile.Message) {
		t.Errorf("got %v", err)
	}
	if _, err := rootfile.Open(o.Root, "pipe"); err == nil {
		t.Error("opened a pipe")
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := o.read("file"); err != nil || string(data) != "x" {
		t.Errorf("got %q, %v", data, err)
	}
}
