//go:build !race

package pbtool

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

// Each tool has a test with a real server that bears its name.
func TestEveryToolHasItsTest(t *testing.T) {
	t.Parallel()
	s := start(t)
	var names strings.Builder
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func Test(Pb\w+)\(t `).FindAllStringSubmatch(string(text), -1) {
			names.WriteString(" " + strings.ToLower(m[1]) + " ")
		}
	}
	tools, _ := serve(t, open(t, s.options())).Tools()
	if len(tools) < 40 {
		t.Fatalf("got %d tools", len(tools))
	}
	for _, tool := range tools {
		if name := strings.ReplaceAll(tool.Name, "_", ""); !strings.Contains(names.String(), " "+name+" ") {
			t.Errorf("%s has no test TestPb...", tool.Name)
		}
	}
}

func TestPbListCollections(t *testing.T) {
	t.Parallel()
	s := start(t)
	all := serve(t, open(t, s.anyCollection()))
	if got := all.text("pb_list_collections", `{}`); got != `{"collections":["comments: base","posts: base","users: auth","vault: base"]}` {
		t.Errorf("got %s", got)
	}
	if got := all.text("pb_list_collections", `{"page":2}`); got != `{"collections":[]}` {
		t.Errorf("got %s", got)
	}
	few := serve(t, open(t, s.options()))
	if got := few.text("pb_list_collections", `{}`); got != `{"collections":["comments: base","posts: base"]}` {
		t.Errorf("got %s", got)
	}
	few.deny("", "pb_list_collections", `{"page":-1}`)
}

func TestPbDescribeCollection(t *testing.T) {
	t.Parallel()
	s := start(t)
	view := core.NewViewCollection("seen")
	view.ViewQuery, view.ListRule = "SELECT id, title FROM posts", types.Pointer("")
	if err := s.app.Save(view); err != nil {
		t.Fatal(err)
	}
	c := serve(t, open(t, s.anyCollection()))
	for collection, want := range map[string][]string{
		"seen":  {`"type":"view"`, `"query":"SELECT id, title FROM posts"`, `"list":"everyone, guests included"`, `"view":"superusers only"`},
		"posts": {`{"name":"title","type":"text","required":true,"max":5000}`, `"name":"secret","type":"text","hidden":true`, `"indexes":["CREATE UNIQUE INDEX `, `"collection":"users"`, `"create":"who fulfils: @request.auth.id != ''"`},
		"users": {`"auth":"every account can sign in"`, `"manage":"nobody but superusers manages others' accounts"`},
	} {
		got := c.text("pb_describe_collection", `{"collection":"`+collection+`"}`)
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: %s lacks %s", collection, got, w)
			}
		}
		for _, no := range []string{`"name":"tokenKey"`, `"password"`, "secret\":", "emailTemplate", "oauth2"} {
			if strings.Contains(got, no) {
				t.Errorf("%s: %s has %s", collection, got, no)
			}
		}
	}
	for _, name := range []string{"nothere", "_superusers", "pbc_3142635823", "../settings", ""} {
		c.deny("", "pb_describe_collection", `{"collection":"`+name+`"}`)
	}
}

func TestPbBackupList(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, name := range []string{"b.zip", "a.zip"} {
		if err := s.app.CreateBackup(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	c, _ := s.admin(t, func(*pbtool.AdminOptions) {})
	got := strings.Split(strings.TrimSpace(c.text("pb_backup_list", `{}`)), "\n")
	if len(got) != 2 || !regexp.MustCompile(`^[ab]\.zip \d+ .*\d{4}`).MatchString(got[0]) {
		t.Errorf("got %q", got)
	}
	c.deny("", "pb_backup_list", `{"name":"a.zip"}`)
}

func TestPbBackupCreate(t *testing.T) {
	t.Parallel()
	s := start(t)
	c, dir := s.admin(t, func(*pbtool.AdminOptions) {})
	c.text("pb_backup_create", `{"name":"mine.zip"}`)
	if _, err := os.Stat(filepath.Join(s.app.DataDir(), core.LocalBackupsDirName, "mine.zip")); err != nil || len(c.asked) != 0 {
		t.Errorf("%v, asked %q", err, c.asked)
	}
	if _, err := dir.Stat("mine.zip"); err == nil {
		t.Error("a backup that nobody has downloaded is in the directory")
	}
}

// What a backup holds is the same after it has been down and up.
func TestPbBackupDownload(t *testing.T) {
	t.Parallel()
	s := start(t)
	c, dir := s.admin(t, func(*pbtool.AdminOptions) {})
	c.text("pb_backup_create", `{"name":"mine.zip"}`)
	c.text("pb_backup_download", `{"name":"mine.zip"}`)
	ours, err := dir.ReadFile("mine.zip")
	theirs, err2 := os.ReadFile(filepath.Join(s.app.DataDir(), core.LocalBackupsDirName, "mine.zip"))
	if err != nil || err2 != nil || string(ours) != string(theirs) || !strings.HasPrefix(string(ours), "PK") {
		t.Errorf("%d and %d bytes, %v, %v", len(ours), len(theirs), err, err2)
	}
	client := open(t, s.options())
	o := allowed
	o.Dir = nil
	tools, _ := serveTools(t, client, "local", pbtool.AdminTools(client, o)).Tools()
	for _, tool := range tools {
		if tool.Name == "pb_backup_download" || tool.Name == "pb_backup_upload" {
			t.Errorf("%s is there without a directory", tool.Name)
		}
	}
}

func TestPbBackupUpload(t *testing.T) {
	t.Parallel()
	s := start(t)
	if err := s.app.CreateBackup(t.Context(), "mine.zip"); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(s.app.DataDir(), core.LocalBackupsDirName, "mine.zip")
	was, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	c, dir := s.admin(t, func(*pbtool.AdminOptions) {})
	if err := dir.WriteFile("copy.zip", was, 0o600); err != nil {
		t.Fatal(err)
	}
	c.text("pb_backup_upload", `{"name":"copy.zip"}`)
	if now, err := os.ReadFile(filepath.Join(filepath.Dir(at), "copy.zip")); err != nil || string(now) != string(was) {
		t.Errorf("%d bytes, want %d, %v", len(now), len(was), err)
	}
	c.deny("", "pb_backup_upload", `{"name":"mine.zip"}`)
}

func TestPbBackupDelete(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, name := range []string{"one.zip", "two.zip"} {
		if err := s.app.CreateBackup(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	c, _ := s.admin(t, func(*pbtool.AdminOptions) {})
	c.approve = func(q mcpsec.Question) bool { return strings.Contains(q.Text, "one.zip") }
	c.deny("", "pb_backup_delete", `{"name":"two.zip"}`)
	c.text("pb_backup_delete", `{"name":"one.zip"}`)
	if got := c.text("pb_backup_list", `{}`); len(c.asked) != 2 || strings.Contains(got, "one.zip") || !strings.Contains(got, "two.zip") {
		t.Errorf("asked %q, left %s", c.asked, got)
	}
}

// A mail goes to who has an account, and the answer is the same for who has none.
func TestPbAuthRequest(t *testing.T) {
	t.Parallel()
	s := start(t)
	k := s.mail(t)
	c := serveAs(t, open(t, s.guests()), "caller")
	for _, what := range []string{"verification", "password_reset"} {
		known := c.call("pb_auth_request", `{"what":"`+what+`","email":"`+annEmail+`"}`)
		token := k.wait(tokenIn)
		if none := c.call("pb_auth_request", `{"what":"`+what+`","email":"nobody@example.com"}`); known.refused || none != known {
			t.Errorf("%s: got %+v and %+v", what, known, none)
		}
		c.clean(token)
	}
	for _, args := range []string{`{"what":"email_change","email":"` + annEmail + `"}`, `{"what":"verification","email":"no address"}`, `{"what":"verification","email":"` + rootEmail + `","collection":"_superusers"}`} {
		c.deny("", "pb_auth_request", args)
	}
}

func TestPbAuthSession(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.onlyOwn()
	c := serveAs(t, open(t, s.guests()), "caller")
	got := c.signIn("pb_auth_password", annSignsIn)
	do := func(what, more string) string {
		return fmt.Sprintf(`{"do":"%s","sign_in":"%s"%s}`, what, got.Session, more)
	}
	if again := c.signIn("pb_auth_session", do("refresh", "")); again.Session != got.Session || again.User != got.User {
		t.Errorf("got %+v", again)
	}
	c.sees("ann's")
	c.deny("", "pb_auth_session", do("email_change", ""))
	c.deny("", "pb_auth_session", do("email_change", `,"email":"x"`))
	c.deny("", "pb_auth_session", do("impersonate", ""))
	c.ok("pb_auth_session", do("logout", ""), nil)
	c.sees()
	c.deny("no such sign-in", "pb_auth_session", do("logout", ""))
}
