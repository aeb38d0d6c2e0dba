package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/examples/internal/mailbox"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
)

var postgres pgtest.Shared

// database returns the URL of one that is prepared for STATE_URL.
func database(t *testing.T) string {
	t.Helper()
	server := postgres.Server(t)
	name := postgres.Database(t, "")
	conn, err := pgx.Connect(t.Context(), server.URL(name, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	role := name + "_s" // which goes with the server
	setup, err := pgstate.SetupSQL("mcpsec", role)
	if err != nil {
		t.Fatal(err)
	}
	password := strings.Join([]string{"tern", "gull", "and", "heron"}, "-")
	if _, err := conn.Exec(t.Context(), "CREATE ROLE "+role+" LOGIN PASSWORD '"+password+"'; "+setup); err != nil {
		t.Fatal(err)
	}
	return server.URLAs(name, role, password)
}

// shop is a mail server, and the settings of one who may write to shop.example.
func shop(t *testing.T) (*mailbox.Box, []string) {
	t.Helper()
	box, err := mailbox.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, box.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	return box, []string{"MAILTOOL_HOST=" + mailbox.Host, fmt.Sprintf("MAILTOOL_PORT=%d", box.Port), "MAILTOOL_CA_FILE=" + ca,
		"MAILTOOL_USERNAME=" + mailbox.User, "MAILTOOL_PASSWORD=" + box.Password, "MAILTOOL_FROM=orders@shop.example", "MAILTOOL_ALLOW=shop.example"}
}

// queueKey is a key that seals, put together here: no key stands in a file.
func queueKey() string {
	return strings.Join([]string{"Qm4t9vKx2Zs8", "Wn3cRj7bUd5y", "Pg6eLaHfTq1o"}, "")
}

// Two windows of a client know with a database who wants no mail, and what was sent;
// without one, each knows its own.
func TestMailState(t *testing.T) {
	t.Parallel()
	box, settings := shop(t)
	const carl, letter = `{"address":"carl@shop.example"}`, `{"to":["ann@shop.example"],"subject":"s","text":"t"}`
	for url, shared := range map[string]bool{"": false, database(t): true} {
		settings := slices.Clone(settings)
		if shared {
			settings = append(settings, "MAILTOOL_STATE_URL="+url)
		}
		one, two := connect(t, settings...), connect(t, settings...)
		if text, refused := one.call("mail_add_suppression", carl); refused {
			t.Error(text)
		}
		if text, _ := two.call("mail_check_suppression", carl); strings.Contains(text, `"suppressed":true`) != shared {
			t.Errorf("shared is %v, and the other says %s", shared, text)
		}
		before := len(box.Letters())
		first, _ := one.call("mail_send", letter)
		again, _ := two.call("mail_send", letter)
		if n := len(box.Letters()) - before; (first == again) != shared || (n == 1) != shared {
			t.Errorf("shared is %v, and %d letters came: %s, %s", shared, n, first, again)
		}
	}
}

// What a window has scheduled is sent by the next one, once, and the log of each knows;
// and a template that hostile values do not get out of is sent to many.
func TestMailQueue(t *testing.T) {
	t.Parallel()
	box, settings := shop(t)
	settings = append(settings, "MAILTOOL_TOOLS=templates,queue,log", "MAILTOOL_TEMPLATES_DIR="+t.TempDir(), "MAILTOOL_STATE_URL="+database(t), "MAILTOOL_QUEUE_KEY="+queueKey())
	one := connect(t, settings...)
	at := time.Now().Add(4 * time.Second).UTC().Format(time.RFC3339)
	if text, refused := one.call("mail_schedule", `{"at":"`+at+`","message":{"to":["ann@shop.example"],"subject":"later","text":"t"}}`); refused || len(one.asked) != 1 {
		t.Fatalf("%s, asked %s", text, one.asked)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	two := connect(t, settings...)
	for _, c := range []struct{ tool, args, want string }{
		{"mail_create_template", `{"name":"sale","subject":"For {{.name}}","text":"Dear {{.name}}","html":"<p>Dear {{.name}}</p>","variables":[{"name":"name","type":"text","max":50}]}`, `"revision"`},
		{"mail_render_template", `{"name":"sale","values":{"name":"A\nBcc: eve@evil.example"}}`, "the subject holds line ends"},
		{"mail_send_bulk", `{"template":"sale","recipients":[{"to":"bob@shop.example","values":{"name":"<img src=x>"}}]}`, `"sent"`},
	} {
		if text, _ := two.call(c.tool, c.args); !strings.Contains(text, c.want) {
			t.Fatalf("%s: got %s, want %s", c.tool, text, c.want)
		}
	}
	log, end := "", time.Now().Add(time.Minute)
	for range time.Tick(50 * time.Millisecond) {
		if log, _ = two.call("mail_log", `{}`); strings.Count(log, `"outcome":"sent"`) == 2 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it is not sent: %s", log)
		}
	}
	got := map[string]string{}
	for _, l := range box.Letters() {
		got[strings.Join(l.To, ",")] += string(l.Data)
	}
	if ann, bob := got["ann@shop.example"], got["bob@shop.example"]; len(box.Letters()) != 2 || !strings.Contains(ann, "Subject: later") ||
		!strings.Contains(bob, "<p>Dear &lt;img src=3Dx&gt;</p>") || strings.Contains(bob, "<p>Dear <img") {
		t.Errorf("got %s", got)
	}
}
