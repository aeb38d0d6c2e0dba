//go:build !race

package pbtool

import (
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/pbtool"
)

// Who asks for progress is told how far a backup is.
func TestPbBackupProgress(t *testing.T) {
	t.Parallel()
	s := start(t)
	c, dir := s.admin(t, func(*pbtool.AdminOptions) {})
	told := func(tool string) {
		t.Helper()
		c.said.Reset()
		c.Request("tools/call", `{"name":"`+tool+`","arguments":{"name":"one.zip"},"_meta":{"progressToken":"`+tool+`"}}`)
		for _, line := range strings.Split(c.said.String(), "\n") {
			if strings.Contains(line, `"notifications/progress"`) && strings.Contains(line, `"progressToken":"`+tool+`"`) {
				return
			}
		}
		t.Errorf("%s tells no progress: %.300s", tool, c.said.String())
	}
	told("pb_backup_create")
	told("pb_backup_download")
	if _, err := dir.Stat("one.zip"); err != nil {
		t.Fatal(err)
	}
	c.text("pb_backup_delete", `{"name":"one.zip"}`)
	told("pb_backup_upload")
}
