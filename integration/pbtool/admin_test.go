//go:build !race

package pbtool

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

var smtpSecret = "operators" + strings.Repeat("z9", 8)

// allowed is what the tests let tools do that run a server.
var allowed = pbtool.AdminOptions{
	Superusers: []string{"ops@example.com", "two@example.com"}, Mail: []string{"ops@example.com"}, Secrets: map[string]mcpsec.Secret{"smtp": redact.NewSecret(smtpSecret)},
	Settings: []string{"batch.timeout", "batch.enabled", "smtp.password", "meta.appName", "trustedProxy.headers"}, MaxBackup: 64 << 20,
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "pbtool-backups")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if allowed.Dir, err = os.OpenRoot(dir); err != nil {
		panic(err)
	}
	defer allowed.Dir.Close()
	return m.Run()
}

// text calls a tool that must answer, and returns its words.
func (s *session) text(tool, arguments string) string {
	s.t.Helper()
	a := s.call(tool, arguments)
	if a.refused {
		s.t.Fatalf("%s %s: %s", tool, arguments, a.text)
	}
	return a.text
}

func TestPbListSuperusers(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := serve(t, open(t, s.options()))
	if got := c.text("pb_list_superusers", `{}`); !strings.Contains(got, rootEmail) || strings.Count(got, "\n") != 0 {
		t.Errorf("got %s", got)
	}
}

func TestPbCreateSuperuser(t *testing.T) {
	t.Parallel()
	s := start(t)
	mails := s.mails(t)
	c := serve(t, open(t, s.options()))
	for _, args := range []string{`{"email":"eve@example.com"}`, `{"email":"OPS@example.com"}`, `{"email":"ops@example.com","secret":"nothere"}`, `{"email":"ops@example.com","secret":"` + smtpSecret + `"}`, `{"email":"ops@example.com","password":"x"}`, `{"email":"ops@example.com, eve@example.com"}`} {
		c.deny("", "pb_create_superuser", args)
	}
	c.approve = func(mcpsec.Question) bool { return false }
	c.deny("", "pb_create_superuser", `{"email":"ops@example.com"}`)
	if s.count("_superusers") != 1 {
		t.Fatal("a superuser was made")
	}
	c.approve, c.asked = nil, nil
	c.text("pb_create_superuser", `{"email":"ops@example.com","secret":"smtp"}`)
	r, err := s.app.FindAuthRecordByEmail("_superusers", "ops@example.com")
	if err != nil || !r.ValidatePassword(smtpSecret) {
		t.Errorf("the password is not the secret: %v", err)
	}
	if len(c.asked) != 1 || !strings.Contains(c.asked[0], "creates a SUPERUSER") {
		t.Errorf("asked %q", c.asked)
	}
	if got := c.text("pb_create_superuser", `{"email":"two@example.com"}`); !strings.Contains(got, "does not tell whether it could") {
		t.Errorf("got %s", got)
	}
	if m := mails.next(); !strings.Contains(m, "two@example.com") || !strings.Contains(m, "confirm-password-reset") {
		t.Errorf("got the mail %s", m)
	}
	for _, what := range []string{smtpSecret, "eyJ"} {
		if strings.Contains(c.said.String()+c.log.String(), what) {
			t.Errorf("%s has left", what)
		}
	}
}

// An inbox is an SMTP server, which PocketBase is told to use.
type inbox struct {
	t    *testing.T
	mail chan string
}

func (s *server) mails(t *testing.T) *inbox {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	in := &inbox{t, make(chan string, 10)}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go in.receive(conn)
		}
	}()
	settings := s.app.Settings()
	settings.SMTP.Enabled, settings.SMTP.Host, settings.SMTP.Port = true, "127.0.0.1", ln.Addr().(*net.TCPAddr).Port
	if err := s.app.Save(settings); err != nil {
		t.Fatal(err)
	}
	return in
}

func (in *inbox) receive(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	say := func(s string) { _, _ = fmt.Fprintf(conn, "%s\r\n", s) }
	say("220 test")
	var all strings.Builder
	for data := false; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		all.WriteString(line)
		switch {
		case data && line == ".\r\n":
			data = false
			say("250 ok")
			in.mail <- all.String()
		case data:
		case strings.HasPrefix(line, "DATA"):
			data = true
			say("354 go on")
		case strings.HasPrefix(line, "QUIT"):
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

func (in *inbox) next() string {
	in.t.Helper()
	select {
	case m := <-in.mail:
		return m
	case <-time.After(10 * time.Second):
		in.t.Fatal("no mail has come")
		return ""
	}
}

func TestPbTestEmail(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := serve(t, open(t, s.options()))
	c.deny("could not send", "pb_test_email", `{"to":"ops@example.com","template":"otp"}`)
	mails := s.mails(t)
	if got := c.text("pb_test_email", `{"to":"ops@example.com","template":"verification"}`); got != "it works" {
		t.Errorf("got %s", got)
	}
	if m := mails.next(); !strings.Contains(m, "ops@example.com") {
		t.Errorf("got %s", m)
	}
	for _, args := range []string{`{"to":"eve@example.com","template":"otp"}`, `{"to":"ops@example.com","template":"x"}`, `{"to":"ops@example.com","template":"otp","collection":"users"}`, `{"to":"ops@example.com\r\nBcc: eve@example.com","template":"otp"}`} {
		c.deny("", "pb_test_email", args)
	}
}

func TestPbListCrons(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := serve(t, open(t, s.options()))
	if got := c.text("pb_list_crons", `{}`); !strings.Contains(got, "__pbLogsCleanup__: ") {
		t.Errorf("got %s", got)
	}
}

func TestPbRunCron(t *testing.T) {
	t.Parallel()
	s := start(t)
	ran := make(chan bool, 1)
	for _, id := range []string{"mine", "a/../b"} {
		if err := s.app.Cron().Add(id, "0 0 1 1 *", func() { ran <- true }); err != nil {
			t.Fatal(err)
		}
	}
	c := serve(t, open(t, s.options()))
	c.approve = func(mcpsec.Question) bool { return false }
	c.deny("", "pb_run_cron", `{"id":"mine"}`)
	c.approve, c.asked = nil, nil
	for _, id := range []string{"nothere", "..", "a/../b", "mine?x=1", ""} {
		c.deny("", "pb_run_cron", `{"id":"`+id+`"}`)
	}
	if len(ran) != 0 || len(c.asked) != 0 {
		t.Fatal("a job has run, or somebody was asked")
	}
	c.text("pb_run_cron", `{"id":"mine"}`)
	select {
	case <-ran:
	case <-time.After(10 * time.Second):
		t.Error("the job has not run")
	}
	if len(c.asked) != 1 || !strings.Contains(c.asked[0], `runs the job "mine" now`) {
		t.Errorf("asked %q", c.asked)
	}
}

func TestPbLogs(t *testing.T) {
	t.Parallel()
	s := start(t)
	secret := "canary" + strings.Repeat("k3", 8)
	for i, l := range []struct {
		message string
		data    map[string]any
		level   int
	}{
		{"GET /api/collections/posts/records?token=" + secret, map[string]any{"type": "request", "method": "GET", "url": "/api/collections/posts/records?token=" + secret + "&filter=x#" + secret, "status": 403, "execTime": 1.5, "userIP": "203.0.113.7", "remoteIP": "203.0.113.7", "userAgent": secret, "referer": secret, "auth": secret, "error": secret, "details": secret}, 8},
		{"hook\nsays https://x.example/?key=" + secret, map[string]any{"value": secret}, 0},
		{"odd", map[string]any{"type": "request", "method": secret, "url": 7, "status": "x"}, 0},
		{"debug", nil, -4},
	} {
		log := &core.Log{Message: l.message, Data: l.data, Level: l.level}
		log.Id = fmt.Sprintf("log%012d", i)
		if err := log.Created.Scan(time.Date(2020, 1, 2, 3, i, 0, 0, time.UTC)); err != nil {
			t.Fatal(err)
		}
		if err := s.app.AuxSave(log); err != nil {
			t.Fatal(err)
		}
	}
	c := serve(t, open(t, s.options()))
	got := c.text("pb_logs", `{"min_level":0,"limit":200}`)
	for _, want := range []string{"8 GET /api/collections/posts/records?… 403 2ms", "hook says https://x.example/?…", "0 odd"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, not := range []string{secret, "203.0.113.7", "debug"} {
		if strings.Contains(got, not) {
			t.Errorf("%s is shown: %s", not, got)
		}
	}
	if got := c.text("pb_logs", `{"min_level":-4,"limit":1,"since":"2019-01-01"}`); strings.Count(got, "\n") != 1 || !strings.Contains(got, "there is more") {
		t.Errorf("got %s", got)
	}
	if got := c.text("pb_logs", `{"since":"2100-01-01 00:00:00.000Z"}`); got != "none" {
		t.Errorf("got %s", got)
	}
	if got := c.text("pb_log_stats", `{"min_level":0}`); !strings.Contains(got, "2020-01-02 03:00:00.000Z: 3") {
		t.Errorf("got %s", got)
	}
	for _, tool := range []string{"pb_logs", "pb_log_stats"} {
		c.deny("", tool, `{"since":"2020-01-01' || 1=1 //"}`)
		c.deny("", tool, `{"filter":"1=1"}`)
	}
}

func TestPbLogStats(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := serve(t, open(t, s.options()))
	if got := c.text("pb_log_stats", `{"since":"2100-01-01"}`); got != "none" {
		t.Errorf("got %s", got)
	}
}

func TestPbSettings(t *testing.T) {
	t.Parallel()
	s := start(t)
	settings := s.app.Settings()
	settings.SMTP.Username, settings.SMTP.Password, settings.S3.AccessKey, settings.S3.Secret, settings.Backups.S3.Secret = "canary-user", "canary-one", "canary-two", "canary-three", "canary-four"
	if err := s.app.Save(settings); err != nil {
		t.Fatal(err)
	}
	c := serve(t, open(t, s.options()))
	got := c.text("pb_settings", `{}`)
	if !strings.Contains(got, `"batch.maxRequests":50`) || !strings.Contains(got, `"smtp.host":"smtp.example.com"`) || strings.Contains(got, "canary") {
		t.Errorf("got %s", got)
	}
}

func TestPbUpdateSettings(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := serve(t, open(t, s.options()))
	for _, args := range []string{
		`{}`, `{"set":{"smtp.host":"evil.example.com"}}`, `{"set":{"meta.appURL":"https://evil.example.com"}}`, `{"set":{"smtp.password":"x"}}`, `{"set":{"smtp":{"host":"x"}}}`, `{"set":{"batch":{"enabled":true}}}`, `{"set":{"batch.timeout":"4"}}`, `{"set":{"batch.timeout":-1}}`,
		`{"set":{"batch.timeout":null}}`, `{"secrets":{"smtp.password":"nothere"}}`, `{"secrets":{"batch.timeout":"smtp"}}`, `{"secrets":{"s3.secret":"smtp"}}`, `{"set":{"superuserIPs":[]}}`, `{"set":{"Batch.Timeout":4}}`,
	} {
		c.deny("", "pb_update_settings", args)
	}
	if len(c.asked) != 0 {
		t.Errorf("asked %q", c.asked)
	}
	c.approve = func(mcpsec.Question) bool { return false }
	c.deny("", "pb_update_settings", `{"set":{"batch.timeout":9}}`)
	c.approve, c.asked = nil, nil
	was := s.app.Settings().String()
	c.text("pb_update_settings", `{"set":{"batch.timeout":9,"meta.appName":"New","trustedProxy.headers":["X-Real-IP"]},"secrets":{"smtp.password":"smtp"}}`)
	now := s.app.Settings()
	if now.Batch.Timeout != 9 || !now.Batch.Enabled || now.Batch.MaxRequests != 50 || now.Meta.AppName != "New" || now.Meta.SenderName != "Support" || now.SMTP.Password != smtpSecret || len(now.TrustedProxy.Headers) != 1 || was == now.String() {
		t.Errorf("got %s", now)
	}
	if len(c.asked) != 1 || !strings.Contains(c.asked[0], `batch.timeout from "3" to "9"`) || !strings.Contains(c.asked[0], `meta.appName from "Acme" to "New"`) || strings.Contains(c.asked[0]+c.said.String()+c.log.String(), smtpSecret) {
		t.Errorf("asked %q", c.asked)
	}
	// A yes is to the settings as they were.
	once := sync.OnceFunc(func() {
		settings := s.app.Settings()
		settings.Batch.Timeout = 20
		if err := s.app.Save(settings); err != nil {
			t.Error(err)
		}
	})
	c.asked = nil
	c.approve = func(mcpsec.Question) bool { once(); return len(c.asked) == 1 }
	c.deny("", "pb_update_settings", `{"set":{"batch.timeout":5}}`)
	if len(c.asked) != 2 || s.app.Settings().Batch.Timeout != 20 {
		t.Errorf("asked %q, batch.timeout is %d", c.asked, s.app.Settings().Batch.Timeout)
	}
}

// admin is a session with a directory of its own.
func (s *server) admin(t *testing.T, change func(*pbtool.AdminOptions)) (*session, *os.Root) {
	t.Helper()
	dir, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	o := allowed
	o.Dir = dir
	change(&o)
	client := open(t, s.options())
	return serveTools(t, client, "local", pbtool.AdminTools(client, o), pbtool.RecordReadTools(client)), dir
}

func TestPbBackups(t *testing.T) {
	t.Parallel()
	s := start(t)
	c, dir := s.admin(t, func(*pbtool.AdminOptions) {})
	if got := c.text("pb_backup_list", `{}`); got != "none" {
		t.Errorf("got %s", got)
	}
	c.text("pb_backup_create", `{"name":"one.zip"}`)
	c.deny("there already is a backup", "pb_backup_create", `{"name":"one.zip"}`)
	for _, name := range []string{"x", "X.zip", "../x.zip", "x.zip.zip", "@x.zip", ".zip", "a b.zip", `a\\b.zip`} {
		c.deny("a backup's name has", "pb_backup_create", `{"name":"`+name+`"}`)
	}
	if got := c.text("pb_backup_list", `{}`); !strings.HasPrefix(got, "one.zip ") {
		t.Errorf("got %s", got)
	}
	got := c.text("pb_backup_download", `{"name":"one.zip"}`)
	info, err := dir.Stat("one.zip")
	if err != nil || info.Mode().Perm() != 0o600 || !strings.Contains(got, fmt.Sprintf("stored one.zip, %d bytes, SHA-256 ", info.Size())) {
		t.Errorf("got %s, %v, %v", got, info, err)
	}
	c.deny("there already is a file", "pb_backup_download", `{"name":"one.zip"}`)
	for _, name := range []string{"nothere.zip", "..", "../one.zip", "one.zip?x=1", "one.zip/restore", "upload"} {
		for _, tool := range []string{"pb_backup_download", "pb_backup_delete", "pb_backup_restore"} {
			c.deny("there is no such backup", tool, `{"name":"`+name+`"}`)
		}
		c.deny("", "pb_backup_upload", `{"name":"`+name+`"}`)
	}
	c.approve = func(mcpsec.Question) bool { return false }
	c.deny("", "pb_backup_delete", `{"name":"one.zip"}`)
	c.deny("", "pb_backup_restore", `{"name":"one.zip"}`)
	c.approve, c.asked = nil, nil
	c.text("pb_backup_delete", `{"name":"one.zip"}`)
	if len(c.asked) != 1 || !strings.Contains(c.asked[0], "deletes the backup one.zip of ") || c.text("pb_backup_list", `{}`) != "none" {
		t.Errorf("asked %q", c.asked)
	}
	c.text("pb_backup_upload", `{"name":"one.zip"}`)
	if got := c.text("pb_backup_list", `{}`); !strings.HasPrefix(got, fmt.Sprintf("one.zip %d ", info.Size())) {
		t.Errorf("got %s", got)
	}
	c.deny("there already is a backup", "pb_backup_upload", `{"name":"one.zip"}`)
	if err := dir.Symlink("/etc/passwd", "link.zip"); err != nil {
		t.Fatal(err)
	}
	c.deny("no such file", "pb_backup_upload", `{"name":"link.zip"}`)
	if err := dir.WriteFile("no.zip", []byte("no zip"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.deny("PocketBase refuses", "pb_backup_upload", `{"name":"no.zip"}`)
	if bearer.MatchString(c.said.String() + c.log.String()) {
		t.Error("a token has left, or is in the log")
	}
	files, err := dir.Open(".")
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	if err := dir.Remove("one.zip"); err != nil {
		t.Fatal(err)
	}
	s.hook(func(r *http.Request) { // it is gone when it is asked for
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/one.zip") {
			_ = os.Remove(filepath.Join(s.app.DataDir(), "backups", "one.zip"))
		}
	})
	c.deny("", "pb_backup_download", `{"name":"one.zip"}`)
	if names, err := files.Readdirnames(-1); err != nil || len(names) != 2 {
		t.Errorf("the directory has %q", names)
	}
}

func TestPbBackupTooLarge(t *testing.T) {
	t.Parallel()
	s := start(t)
	c, dir := s.admin(t, func(o *pbtool.AdminOptions) { o.MaxBackup = 2_000 })
	c.text("pb_backup_create", `{"name":"one.zip"}`)
	s.requests()
	c.deny("larger than", "pb_backup_download", `{"name":"one.zip"}`)
	if r := strings.Join(s.requests(), "\n"); strings.Contains(r, "token") {
		t.Errorf("what is too large was asked for: %s", r)
	}
	if err := dir.WriteFile("two.zip", make([]byte, 3_000), 0o600); err != nil {
		t.Fatal(err)
	}
	c.deny("larger than", "pb_backup_upload", `{"name":"two.zip"}`)
	if _, err := dir.Stat("one.zip"); err == nil {
		t.Error("a part was kept")
	}
}

// A restoration in mid-session: the server goes and comes back with other data and
// other keys, and calls go on with the rights that their users have there.
func TestPbBackupRestore(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(3)
	c, _ := s.admin(t, func(*pbtool.AdminOptions) {})
	list := `{"collection":"posts","total":true}`
	c.text("pb_backup_create", `{"name":"one.zip"}`)
	s.posts(2)
	s.collectionSecret(t)
	if got := c.text("pb_list_records", list); !strings.Contains(got, `"total":5`) {
		t.Errorf("got %s", got)
	}
	got := c.text("pb_backup_restore", `{"name":"one.zip"}`)
	if !strings.Contains(got, "PocketBase has restarted; whether the data is the backup's it does not tell") {
		t.Errorf("got %s", got)
	}
	if len(c.asked) != 1 || !strings.Contains(c.asked[0], "REPLACES ALL DATA") {
		t.Errorf("asked %q", c.asked)
	}
	// The user's token is of a key that is no more: with it, the list would be a guest's,
	// who sees nothing.
	if got := c.text("pb_list_records", list); !strings.Contains(got, `"total":3`) {
		t.Errorf("got %s", got)
	}
	if got := c.text("pb_list_superusers", `{}`); !strings.Contains(got, rootEmail) {
		t.Errorf("got %s", got)
	}
}

// collectionSecret gives all accounts new keys, so that tokens that are issued from
// now on are not good with a backup's.
func (s *server) collectionSecret(t *testing.T) {
	t.Helper()
	for _, name := range []string{"users", "_superusers"} {
		k := s.collection(name)
		k.AuthToken.Secret = strings.Repeat("n", 50)
		if err := s.app.Save(k); err != nil {
			t.Fatal(err)
		}
	}
}
