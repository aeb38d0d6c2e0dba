package pgmask

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/internal/sqllex"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

const reader = "mcp_reader"

var postgres = pgtest.Shared{
	Options: pgserver.Options{Settings: map[string]string{
		"shared_preload_libraries": "pg_stat_statements", "autovacuum": "off", "logging_collector": "on", "log_filename": "server.log", "log_connections": "on",
	}},
	Setup: setup,
}

func TestMain(m *testing.M) { os.Exit(postgres.Main(m)) }

// The databases of a pair, which differ in their secrets only.
var templates = [2]string{"pgmask_a", "pgmask_b"}

// original is as the first of them, to be copied: nobody connects to it.
const original = "pgmask_c"

// The secrets of a database. None of them, nor four letters in a row of one, occurs
// in anything else.
var secrets = [2]map[string]string{
	{"{a}": "qxzjkvwyqzxj", "{b}": "vwkqjzxyyv", "{c}": "zzxqvjkwqjwv", "{d}": "xkwzvqj", "{e}": "wjqkzvx", "{1}": "7391846205", "{2}": "8402957316", "{3}": "9513068427",
		"{x}": "1971-03-14", "{y}": "1982-07-25", "{z}": "1993-11-06"},
	{"{a}": "zzjqxwvkqkyvzzx", "{b}": "jwxqzkv", "{c}": "kvyxzqjwwq", "{d}": "vjxzkqwyyx", "{e}": "zkqxwvjj", "{1}": "9624179538", "{2}": "6179530842", "{3}": "7284061953",
		"{x}": "1996-10-17", "{y}": "1957-05-28", "{z}": "1968-09-09"},
}

const hashedSecret = "kqzvxj" // begins all that is hashed, and is the same in both

func setup(ctx context.Context, s *pgserver.Server) error {
	text, err := os.ReadFile("testdata/lab.sql")
	if err != nil {
		return err
	}
	if err := run(ctx, s, "postgres", "CREATE ROLE "+reader+" LOGIN PASSWORD '"+s.Password()+"';"); err != nil {
		return err
	}
	for i, database := range append(templates[:], original) {
		if err := s.CreateDatabase(ctx, database, ""); err != nil {
			return err
		}
		var pairs []string
		for k, v := range secrets[i%2] {
			pairs = append(pairs, k, v)
		}
		if err := run(ctx, s, database, strings.NewReplacer(pairs...).Replace(string(text))); err != nil {
			return err
		}
	}
	return nil
}

// run runs statements one by one as the superuser.
func run(ctx context.Context, s *pgserver.Server, database, text string) error {
	conn, err := pgx.Connect(ctx, s.URL(database, ""))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	tokens, err := sqllex.Scan(text)
	if err != nil {
		return err
	}
	from := 0
	for _, tok := range tokens {
		if tok.Is(";") {
			if _, err := conn.Exec(ctx, text[from:tok.Pos]); err != nil {
				return fmt.Errorf("%s: %w", text[from:tok.Pos], err)
			}
			from = tok.End()
		}
	}
	return nil
}

func masks() map[string]pgtool.Mask {
	return map[string]pgtool.Mask{
		"lab.people.ssn": pgtool.Hidden, "lab.people.ss*": pgtool.Partial, "lab.people.pin": pgtool.Hidden, "lab.people.born": pgtool.Hidden, "lab.people.mood": pgtool.Hidden,
		"lab.people.tags": pgtool.Hidden, "*.email": pgtool.Hashed, "lab.people.card": pgtool.Partial, "lab.base.secret": pgtool.Hidden,
		"lab.events_eu.ssn_eu": pgtool.Hidden, "*_token": pgtool.Hashed, "lab.typed.door_code": pgtool.Hidden, "lab.typed.blob": pgtool.Hidden,
		"lab.typed.doc": pgtool.Hidden, "lab.many.ssn": pgtool.Hidden, "lab.partly.ssn": pgtool.Hidden,
	}
}

func key() mcpsec.Secret { return redact.NewSecret("a key of the " + "operator's own") }

// A pair is the two databases.
type pair [2]*pgtool.DB

// opened opens both databases, with the same key.
func opened(t testing.TB, change func(*pgtool.Options)) pair {
	t.Helper()
	var p pair
	for i, database := range templates {
		o := pgtool.Options{
			URL: redact.NewSecret(postgres.Server(t).URL(database, reader)), Mask: masks(), MaskKey: key(),
			Schemas: []string{"lab", "annex"}, Allow: []string{"lab.v_listed"}, MaxConns: 2,
		}
		if change != nil {
			change(&o)
		}
		db, err := pgtool.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		p[i] = db
	}
	return p
}

// ask returns all that a statement brings: the answer, or the error, and what of it
// goes to the log.
func ask(ctx context.Context, db *pgtool.DB, sql string, args ...any) (text string, failed bool) {
	a, err := db.ReadOnly(ctx, sql, args...)
	if err != nil {
		if e := (*mcpsec.Error)(nil); errors.As(err, &e) && e.Err != nil {
			return e.Message + " / " + e.Err.Error(), true
		}
		return err.Error(), true
	}
	var b strings.Builder
	for _, c := range a.Columns {
		b.WriteString(c.Name + " " + c.Type + "; ")
	}
	for row := range a.Rows {
		if line := row.AppendJSON([]byte("\n")); !bytes.Contains(line, []byte("Query Identifier")) { // which has OIDs in it
			b.Write(line)
		}
	}
	return b.String(), false
}

// leaked returns the secret that a text holds a piece of, in database i, or "".
func leaked(i int, text string) string {
	text = strings.ToLower(text)
	for _, secret := range append(values(i), hashedSecret) {
		size := 4
		if '0' <= secret[0] && secret[0] <= '9' {
			size = len(secret) // four digits are anywhere
		}
		for from := range len(secret) - size + 1 {
			piece := secret[from : from+size]
			back := []byte(piece)
			for l, r := 0, len(back)-1; l < r; l, r = l+1, r-1 {
				back[l], back[r] = back[r], back[l]
			}
			if strings.Contains(text, piece) || strings.Contains(text, string(back)) || strings.Contains(text, hex.EncodeToString([]byte(piece))) {
				return secret
			}
		}
	}
	return ""
}

func values(i int) (all []string) {
	for _, v := range secrets[i] {
		all = append(all, v)
	}
	return all
}

// holds asks both databases and reports whether nothing of a secret is to be seen.
func (p pair) holds(t testing.TB, sql string, args ...any) (text string, failed, ok bool) {
	t.Helper()
	var texts [2]string
	ok = true
	for i, db := range p {
		texts[i], failed = ask(t.Context(), db, sql, args...)
		if secret := leaked(i, texts[i]); secret != "" && !strings.Contains(sql, secret) { // an error may quote a guess to the log
			t.Errorf("%s\nshows %s: %.500s", sql, secret, texts[i])
			ok = false
		}
	}
	if texts[0] != texts[1] {
		if again, _ := ask(t.Context(), p[0], sql, args...); again == texts[0] { // else it is never the same
			t.Errorf("%s\ndepends on what is masked:\n%.500s\n%.500s", sql, texts[0], texts[1])
			ok = false
		}
	}
	return texts[0], failed, ok
}
