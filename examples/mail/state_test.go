package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

// Two windows of a client know with a database who wants no mail, and what was sent;
// without one, each knows its own.
func TestMailState(t *testing.T) {
	t.Parallel()
	box, err := mailbox.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, box.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	const carl, letter = `{"address":"carl@shop.example"}`, `{"to":["ann@shop.example"],"subject":"s","text":"t"}`
	for url, shared := range map[string]bool{"": false, database(t): true} {
		settings := []string{"MAILTOOL_HOST=" + mailbox.Host, fmt.Sprintf("MAILTOOL_PORT=%d", box.Port), "MAILTOOL_CA_FILE=" + ca,
			"MAILTOOL_USERNAME=" + mailbox.User, "MAILTOOL_PASSWORD=" + box.Password, "MAILTOOL_FROM=orders@shop.example", "MAILTOOL_ALLOW=shop.example"}
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
