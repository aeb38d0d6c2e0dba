package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/mcpsec/mcpsec-go/examples/embedpg"
	"github.com/mcpsec/mcpsec-go/internal/pgserver"
)

const postgresPreface = `
## PostgreSQL

pg_query and pg_list_objects as a process of its own over stdio, and tools on the bare
SDK and pgx that run a prepared statement, without a transaction, limits or a gate. CPU
is the server process's, without PostgreSQL's own. The database is the sample database,
with %s besides.
PostgreSQL, the server and its client share the processors, so that with one caller
what PostgreSQL does for the transaction and its limits counts in p50.

| path | callers | bare, p50 | hardened, p50 | p50 | server CPU | bare, CPU | hardened, CPU |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
`

// A load is a statement, or without one the list of objects, that is asked for again
// and again.
type load struct {
	id      string
	name    string
	sql     string
	callers int
	calls   int // of 1,000 that are asked for
}

const eight = "id, album_id, position, title, seconds, price, explicit, isrc"

var loads = []load{
	{"key", "query by primary key", "SELECT " + eight + " FROM music.tracks WHERE id = $1", 1, 1000},
	{"keys", "query by primary key", "SELECT " + eight + " FROM music.tracks WHERE id = $1", 8, 1000},
	{"100", "100 rows of 8 columns", "SELECT " + eight + " FROM music.tracks WHERE id > $1 ORDER BY id LIMIT 100", 1, 300},
	{"5000", "5,000 rows of 8 columns", "SELECT " + eight + " FROM music.tracks WHERE id > $1 ORDER BY id LIMIT 5000", 1, 10},
	{"list", "list of a schema of 50 tables", "", 1, 300},
}

func (l load) call(i int) string {
	name, args := "pg_list_objects", `{"schema":"fifty"}`
	if l.sql != "" {
		name, args = "pg_query", fmt.Sprintf(`{"sql":%q,"params":[%d]}`, l.sql, 1+i%4000)
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":%s}}`+"\n", i, name, args)
}

// comparePostgres compares the servers of two programs, which are the same one but
// where a change is measured.
func comparePostgres(ctx context.Context, w *book, o settings) error {
	rounds, calls, before := o.rounds, o.calls, o.before
	pg, err := pgserver.Start(ctx, pgserver.Options{Log: os.Stderr, Download: true, Fetch: embedpg.Fetch})
	if err != nil {
		return err
	}
	defer pg.Stop()
	url, err := loadSample(ctx, pg)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, postgresPreface, crowd)
	for _, l := range loads {
		var bare, hard, old []sample
		for i := range rounds + 1 {
			for _, k := range turns(i, before != "") {
				program := self
				if k == 2 {
					program = before
				}
				s, err := l.round(ctx, program, map[bool]string{true: "bare", false: "hardened"}[k == 0], url, max(l.callers, calls*l.calls/1000))
				if err != nil {
					return fmt.Errorf("%s: %w", l.name, err)
				}
				if i > 0 { // the first is a warm-up
					into := []*[]sample{&bare, &hard, &old}[k]
					*into = append(*into, s)
				}
			}
			fmt.Fprintf(os.Stderr, "\r%s, %d callers: round %d of %d ", l.name, l.callers, i, rounds)
		}
		fmt.Fprint(os.Stderr, "\r\x1b[K")
		p50, cpu := func(s sample) float64 { return s.p50 / 1000 }, func(s sample) float64 { return s.cpu }
		atHalf, used := ratio(bare, hard, p50), ratio(bare, hard, cpu)
		w.note(l.id+" p50", atHalf)
		w.note(l.id+" cpu", used)
		fmt.Fprintf(w, "| %s | %d | %.0f µs | %.0f µs | %s | %s | %.0f µs | %.0f µs |\n", l.name, l.callers, median(pick(bare, p50)), median(pick(hard, p50)),
			atHalf, used, median(pick(bare, cpu)), median(pick(hard, cpu)))
		if before != "" {
			fmt.Fprintf(w, "| – before | %d | | %.0f µs | %s | %s | | %.0f µs |\n", l.callers, median(pick(old, p50)), ratio(bare, old, p50), ratio(bare, old, cpu), median(pick(old, cpu)))
		}
	}
	return nil
}

// turns is the order of a round: bare, hardened, and hardened before the change.
func turns(i int, three bool) []int {
	order := []int{0, 1, 2}
	if !three {
		order = order[:2]
	}
	return slices.Concat(order[i%len(order):], order[:i%len(order)])
}

// round starts a server, has it asked, and ends it.
func (l load) round(ctx context.Context, program, kind, url string, calls int) (sample, error) {
	cmd := exec.CommandContext(ctx, program, "-serve", kind)
	cmd.Env = append(os.Environ(), envURL+"="+url)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return sample{}, err
	}
	br := bufio.NewReaderSize(out, 1<<20)
	_, err := drive(in, br, time.Now(), "", 0)
	start := cpuOf(cmd.Process.Pid)
	var s sample
	if err == nil {
		s, err = l.drive(in, br, calls)
	}
	used := cpuOf(cmd.Process.Pid) - start
	err = errors.Join(err, in.Close(), cmd.Wait())
	s.cpu = float64(used.Microseconds()) / float64(calls)
	return s, err
}

// drive keeps as many calls in flight as there are callers.
func (l load) drive(w io.Writer, r *bufio.Reader, calls int) (sample, error) {
	sent, times := make([]time.Time, calls), make([]time.Duration, 0, calls)
	next := 0
	send := func() error {
		if next == calls {
			return nil
		}
		i := next
		next++
		sent[i] = time.Now()
		_, err := io.WriteString(w, l.call(i))
		return err
	}
	for range l.callers {
		if err := send(); err != nil {
			return sample{}, err
		}
	}
	for range calls {
		head, err := answer(r)
		if err != nil {
			return sample{}, err
		}
		i, err := idOf(head)
		if err != nil || bytes.Contains(head, []byte(`"isError":true`)) || bytes.Contains(head, []byte(`"error":`)) {
			return sample{}, fmt.Errorf("the server answered %.300s: %w", head, err)
		}
		times = append(times, time.Since(sent[i]))
		if err := send(); err != nil {
			return sample{}, err
		}
	}
	slices.Sort(times)
	return sample{p50: float64(times[len(times)/2].Nanoseconds())}, nil
}

// answer reads a line and returns its beginning.
func answer(r *bufio.Reader) (head []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if head == nil {
			head = bytes.Clone(part[:min(len(part), 4096)])
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return head, err
		}
	}
}

func idOf(head []byte) (int, error) {
	_, rest, _ := bytes.Cut(head, []byte(`"id":`))
	end := bytes.IndexAny(rest, ",}")
	return strconv.Atoi(string(rest[:max(end, 0)]))
}

// cpuOf is the processor time that a process has used, on Linux, and 0 elsewhere.
func cpuOf(pid int) time.Duration {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0
	}
	total := 0
	for _, t := range tasks {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/schedstat", pid, t.Name())); err == nil {
			ns, _ := strconv.Atoi(string(b[:max(bytes.IndexByte(b, ' '), 0)]))
			total += ns
		}
	}
	return time.Duration(total)
}
