package pgtool

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/internal/sqlddl"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func ddlOptions() DDLOptions {
	return DDLOptions{Options: Options{URL: redact.NewSecret("x"), Schemas: []string{"shop"}}, Kinds: sqlddl.Kinds()}
}

// offlineAdmins are an Admin and a Migrator that have not connected.
func offlineAdmins(t *testing.T) (*Admin, *Migrator) {
	t.Helper()
	o, err := ddlOptions().withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	db := &DB{o: o.Options}
	return &Admin{db: db}, &Migrator{o: o, db: db}
}

func TestDDLToolsGolden(t *testing.T) {
	t.Parallel()
	a, m := offlineAdmins(t)
	mcptest.GoldenTools(t, "ddltools.json", append(DDLTools(m), AdminTools(a)...), 3<<10+512)
}

func TestDDLEffects(t *testing.T) {
	t.Parallel()
	a, m := offlineAdmins(t)
	var got []string
	for _, tool := range append(DDLTools(m), AdminTools(a)...) {
		got = append(got, strings.TrimPrefix(tool.Name(), "pg_")+"="+tool.Effect().String())
	}
	const want = "plan_ddl=write apply_ddl=destroy maintain=write cancel_query=destroy reset_statistics=destroy"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
}

func TestDDLOptions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*DDLOptions){
		"URL":                        func(o *DDLOptions) { o.URL = mcpsec.Secret{} },
		"Schemas and Kinds":          func(o *DDLOptions) { o.Schemas = nil },
		"Kinds are required":         func(o *DDLOptions) { o.Kinds = nil },
		"Kinds has \"tables\"":       func(o *DDLOptions) { o.Kinds = []string{"tables"} },
		"PostgreSQL's own":           func(o *DDLOptions) { o.Schemas = []string{"pg_catalog"} },
		"roles that are not":         func(o *DDLOptions) { o.Roles = []string{"pg_monitor"} },
		"Roles must be":              func(o *DDLOptions) { o.Roles = []string{"public"} },
		"IndexTimeout":               func(o *DDLOptions) { o.IndexTimeout = 48 * time.Hour },
		"printable ASCII":            func(o *DDLOptions) { o.Passwords = map[string]mcpsec.Secret{"a": redact.NewSecret("pässword" + "12")} },
		"8 to 128":                   func(o *DDLOptions) { o.Passwords = map[string]mcpsec.Secret{"a": redact.NewSecret("short")} },
		"DDLOptions.Passwords must ": func(o *DDLOptions) { o.Passwords = map[string]mcpsec.Secret{"": redact.NewSecret("long" + "enough")} },
	} {
		o := ddlOptions()
		change(&o)
		if _, err := OpenMigrator(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

func TestSetupSQLForDefining(t *testing.T) {
	t.Parallel()
	mcptest.Golden(t, "setupddl.sql", []byte(SetupSQL(SetupOptions{Database: "shop", Schemas: []string{"shop", `o'd"d$$`}, Migrates: true})))
}

// TestScramVerifier has the example of RFC 7677, section 3: what a server that keeps
// the verifier computes.
func TestScramVerifier(t *testing.T) {
	t.Parallel()
	decode := func(s string) []byte {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const salt, nonce = "W22ZaJ0SNY7soEsUEjb6gQ==", "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	verifier, err := scramWith("pen"+"cil", decode(salt), 4096)
	if err != nil {
		t.Fatal(err)
	}
	keys, ok := strings.CutPrefix(verifier, "SCRAM-SHA-256$4096:"+salt+"$")
	stored, server, _ := strings.Cut(keys, ":")
	if !ok {
		t.Fatalf("got %.30s", verifier)
	}
	sign := func(key []byte) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte("n=user,r=rOprNGfwEbeRWgbNEkqO,r=" + nonce + ",s=" + salt + ",i=4096,c=biws,r=" + nonce))
		return h.Sum(nil)
	}
	if got := base64.StdEncoding.EncodeToString(sign(decode(server))); got != "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=" {
		t.Errorf("the server's signature is %s", got)
	}
	clientKey, mask := decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), sign(decode(stored))
	for i := range clientKey {
		clientKey[i] ^= mask[i]
	}
	if got := sha256.Sum256(clientKey); base64.StdEncoding.EncodeToString(got[:]) != stored {
		t.Error("the client's proof does not fit")
	}
	a, errA := scramVerifier("some" + "thing")
	b, errB := scramVerifier("some" + "thing")
	if a == b || errA != nil || errB != nil {
		t.Errorf("two verifiers have one salt: %v, %v", errA, errB)
	}
}
