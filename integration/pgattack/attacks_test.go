package pgattack

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
)

// An attack says how to see whether it has done harm.
type attack struct {
	ID, Name, Category, SQL string
	Gen                     []any // prefix, repeated part, count, suffix
	Setup, Teardown         []string
	Detect                  struct {
		Kind, SQL, Re, Check string
		Ms, MB, Bytes        int
	}
}

func attacks(t testing.TB) []attack {
	all := lines[attack](t, "../../internal/sqlgate/testdata/attacks.jsonl")
	for i, a := range all {
		if a.Gen != nil {
			all[i].SQL = a.Gen[0].(string) + strings.Repeat(a.Gen[1].(string), int(a.Gen[2].(float64))) + a.Gen[3].(string)
		}
	}
	if len(all) < 180 {
		t.Fatalf("%d attacks, want the corpus", len(all))
	}
	return all
}

// open are the attacks that may do harm, as the documentation says: what the role
// may read is for the role to say, so that in front of a superuser nothing is secret.
var open = map[string][]string{
	"superuser": {"A200", "A201", "A204", "A205", "A207"},
	"checked":   {"A200", "A201", "A204", "A205", "A207"},
	"reader":    {},
	"hardened":  {},
}

// TestAttacks tries the corpus on every stage.
func TestAttacks(t *testing.T) {
	table := map[string]map[string][2]int{}
	for _, name := range stages {
		s := newStage(t, name)
		victim(t, s)
		for _, a := range attacks(t) {
			row := table[a.Category]
			if row == nil {
				row = map[string][2]int{}
				table[a.Category] = row
			}
			n := row[name]
			n[1]++
			if a.ID == "A117" && postgres.Server(t).Version() < 15 {
				continue // a new database says there that its statistics have just been reset
			}
			if s.harmed(t, a) {
				n[0]++
				t.Logf("%s: harm by %s (%s): %.200s", name, a.ID, a.Name, a.SQL)
				if !slices.Contains(open[name], a.ID) {
					t.Errorf("%s: %s did harm", name, a.ID)
				}
			}
			row[name] = n
		}
	}
	t.Log(tabulate(table))
}

func tabulate(table map[string]map[string][2]int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-15s %6s", "harm by", "of")
	for _, s := range stages {
		fmt.Fprintf(&b, " %10s", s)
	}
	categories := make([]string, 0, len(table))
	for c := range table {
		categories = append(categories, c)
	}
	slices.Sort(categories)
	for _, c := range categories {
		fmt.Fprintf(&b, "\n%-15s %6d", c, table[c][stages[0]][1])
		for _, s := range stages {
			fmt.Fprintf(&b, " %10d", table[c][s][0])
		}
	}
	return b.String()
}

// victim leaves what attackers look for: a session that has run a secret.
func victim(t *testing.T, s *stage) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), named(postgres.Server(t).URL(s.database, ""), "victim"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	pgtest.Exec(t, conn, "SELECT 'VICTIM-QUERY-SECRET' AS victim_marker")
}

// harmed runs an attack and reports whether it has done harm.
func (s *stage) harmed(t *testing.T, a attack) bool {
	t.Helper()
	for _, sql := range a.Setup {
		pgtest.Exec(t, s.conn, s.fill.Replace(sql))
	}
	if a.Setup != nil || a.Detect.Kind == "mem" {
		s.fresh(t)
	}
	defer func() {
		for _, sql := range a.Teardown {
			_, _ = s.conn.Exec(t.Context(), s.fill.Replace(sql)) // there may be nothing to undo
		}
	}()
	s.await(t, a)
	if a.Detect.Kind == "next" && s.nextMatches(t, a) {
		return false // it is so anyway, as a role becomes itself
	}
	var before int
	switch a.Detect.Kind {
	case "notify":
		pgtest.Exec(t, s.conn, "LISTEN atk")
	case "mem":
		before = s.memory(t)
	case "tempbytes":
		before = s.temporary(t)
	}
	for tries := 3; ; tries-- {
		start := time.Now()
		text, failed := s.query(t, s.fill.Replace(a.SQL))
		harmed := s.detect(t, a, text, failed, before, time.Since(start))
		if !harmed || a.Detect.Kind != "slow" || tries == 1 {
			return harmed // a machine that is busy is slow once, and an attack each time
		}
	}
}

// await waits until what the attack is to bring about is not so: statistics that
// were reset a moment ago, say.
func (s *stage) await(t *testing.T, a attack) {
	t.Helper()
	yes := a.Detect.Kind == "db"
	for until := time.Now().Add(20 * time.Second); yes && time.Now().Before(until); {
		if s.conn.QueryRow(t.Context(), s.fill.Replace(a.Detect.SQL)).Scan(&yes) != nil || !yes {
			return
		}
		pgtest.Exec(t, s.conn, "SELECT pg_sleep(0.5)")
	}
	if yes {
		t.Fatalf("%s: %s is so before the attack", a.ID, a.Detect.SQL)
	}
}

func (s *stage) detect(t *testing.T, a attack, text string, failed bool, before int, took time.Duration) bool {
	t.Helper()
	matches := func(text string) bool { return regexp.MustCompile(s.fill.Replace(a.Detect.Re)).MatchString(text) }
	if strings.Contains(a.SQL, "4242") && !failed {
		return true // the function has run
	}
	switch d := a.Detect; d.Kind {
	case "db":
		yes := false
		return s.conn.QueryRow(t.Context(), s.fill.Replace(d.SQL)).Scan(&yes) == nil && yes
	case "output":
		return matches(text) && !refusalShows(failed, text, d.Re)
	case "completes":
		return !failed
	case "next":
		return s.nextMatches(t, a)
	case "next_db":
		s.query(t, d.SQL)
		return pgtest.Ask[bool](t, s.conn, d.Check)
	case "slow":
		return took > time.Duration(d.Ms)*time.Millisecond
	case "mem":
		return s.memory(t)-before > d.MB
	case "tempbytes":
		time.Sleep(1500 * time.Millisecond) // until the session has reported
		return s.temporary(t)-before > d.MB
	case "big":
		return len(text) >= d.Bytes
	case "tcp":
		select {
		case <-s.called:
			return true
		default:
			return false
		}
	case "notify":
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		_, err := s.conn.WaitForNotification(ctx)
		return err == nil
	case "crash":
		return took > 5*time.Second
	}
	t.Fatalf("attack %s: detect %q is not known", a.ID, a.Detect.Kind)
	return false
}

// nextMatches reports whether the next caller gets what the attack is to bring
// about.
func (s *stage) nextMatches(t *testing.T, a attack) bool {
	t.Helper()
	text, _ := s.query(t, a.Detect.SQL)
	return regexp.MustCompile(a.Detect.Re).MatchString(text)
}

// refusalShows reports whether an error matches only because of its position,
// or of the name that it refuses.
func refusalShows(failed bool, text, re string) bool {
	if !failed {
		return false
	}
	plain := regexp.MustCompile(`at character \d+|SQLSTATE \w+|(function|table or view|schema|column) \w+ is not allowed.*`).ReplaceAllString(text, "")
	return !regexp.MustCompile(re).MatchString(plain)
}

// fresh makes the next call go through a new session.
func (s *stage) fresh(t *testing.T) {
	t.Helper()
	pgtest.Exec(t, s.conn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = '"+application+"'")
	for range 20 {
		if _, failed := s.query(t, "SELECT 1"); !failed {
			return
		}
	}
	t.Fatal("no new session")
}

// memory is the most that the session has used, in MB, or 0 if that cannot be
// seen.
func (s *stage) memory(t *testing.T) int {
	t.Helper()
	var pid int
	if s.conn.QueryRow(t.Context(), "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = '"+application+"'").Scan(&pid) != nil {
		return 0
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`VmHWM:\s*(\d+) kB`).FindStringSubmatch(string(b))
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n / 1024
}

// temporary is how many MB of temporary files were written.
func (s *stage) temporary(t *testing.T) int {
	return int(pgtest.Ask[int64](t, s.conn, "SELECT temp_bytes / 1048576 FROM pg_stat_database WHERE datname = current_database()"))
}

// TestHonest runs statements that ask for nothing bad.
func TestHonest(t *testing.T) {
	type sample struct{ ID, SQL string }
	for _, name := range stages {
		s := newStage(t, name)
		all := lines[sample](t, "../../internal/sqlgate/testdata/benign.jsonl")
		refused := 0
		for _, b := range all {
			if text, failed := s.query(t, b.SQL); failed {
				refused++
				t.Logf("%s: %s: %s: %s", name, b.ID, b.SQL, text)
			}
		}
		if refused*100 > len(all) {
			t.Errorf("%s: %d of %d refused, want at most one in a hundred", name, refused, len(all))
		}
	}
}
