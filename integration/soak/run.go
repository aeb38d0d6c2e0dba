package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/examples/sampledb"
	"github.com/mcpsec/mcpsec-go/integration/internal/chart"
	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// A metric is written down in each sample. Growth beyond the slack, which is what a busy
// machine has not given back yet, fails the run.
type metric struct {
	name, unit string
	slack      float64
	values     []float64
}

// results are what a run measured.
type results struct {
	length  time.Duration
	times   []float64 // seconds
	metrics []*metric
	load    *load
	cuts    int
}

// A child is the server's process.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

// run starts the server, which is program, with env in addition, and watches it.
func run(ctx context.Context, pg *pgserver.Server, program string, env []string, length time.Duration, progress io.Writer) (*results, error) {
	admin, url, err := loadSample(ctx, pg)
	if err != nil {
		return nil, err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	c, l, err := startChild(ctx, program, append(env, envDatabase+"="+url))
	if err != nil {
		return nil, err
	}
	r := &results{length: length, load: l, metrics: []*metric{
		{name: "heap", unit: "MB", slack: 3}, {name: "resident", unit: "MB", slack: 12}, {name: "goroutines", unit: "", slack: 40},
		{name: "files", unit: "", slack: 40}, {name: "connections", unit: "", slack: 3},
	}}
	loading, stop := context.WithTimeout(ctx, length)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run(loading)
	}()
	every := max(length/120, 500*time.Millisecond)
	start := time.Now()
	for i := 1; loading.Err() == nil; i++ {
		select {
		case <-loading.Done():
			continue
		case <-time.After(every):
		}
		if err := r.sample(ctx, c, admin, time.Since(start)); err != nil {
			return nil, err
		}
		fmt.Fprintf(progress, "\r\x1b[K%.0f of %.0f s: heap %.1f MB, %.0f goroutines, %.0f files ", time.Since(start).Seconds(), length.Seconds(), r.now(0), r.now(2), r.now(3))
		if i%3 == 0 {
			if err := r.cut(ctx, admin); err != nil {
				return nil, err
			}
		}
	}
	<-done
	fmt.Fprint(progress, "\r\x1b[K")
	return r, errors.Join(ctx.Err(), c.in.Close(), c.cmd.Wait())
}

func (r *results) now(i int) float64 { return r.metrics[i].values[len(r.metrics[i].values)-1] }

// cut ends all of the server's connections to its database.
func (r *results) cut(ctx context.Context, admin *pgx.Conn) error {
	r.cuts++
	_, err := admin.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_database()")
	return err
}

func loadSample(ctx context.Context, pg *pgserver.Server) (*pgx.Conn, string, error) {
	name := "soak_" + strings.ToLower(rand.Text()[:8])
	if err := pg.CreateDatabase(ctx, name, ""); err != nil {
		return nil, "", err
	}
	conn, err := pgx.Connect(ctx, pg.URL(name, ""))
	if err != nil {
		return nil, "", err
	}
	if err := sampledb.Load(ctx, conn); err != nil {
		return nil, "", err
	}
	for _, sql := range []string{
		pgtool.SetupSQL(pgtool.SetupOptions{Database: name, Role: name, Schemas: sampledb.Schemas}),
		"ALTER ROLE " + name + " PASSWORD '" + pg.Password() + "'",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return nil, "", err
		}
	}
	return conn, pg.URLAs(name, name, pg.Password()), nil
}

func startChild(ctx context.Context, program string, env []string) (*child, *load, error) {
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return nil, nil, err
	}
	c := &child{cmd, in, bufio.NewScanner(out)}
	if !c.lines.Scan() {
		return nil, nil, errors.New("the server did not start")
	}
	web, hooks, _ := strings.Cut(c.lines.Text(), " ")
	return c, &load{web: "http://" + web + "/mcp", hooks: "http://" + hooks + "/"}, nil
}

// sample asks the server, the system and the database.
func (r *results) sample(ctx context.Context, c *child, admin *pgx.Conn, at time.Duration) error {
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		return fmt.Errorf("the server is gone: %w", err)
	}
	var s stat
	if !c.lines.Scan() {
		return errors.New("the server is gone")
	}
	if err := json.Unmarshal(c.lines.Bytes(), &s); err != nil {
		return err
	}
	var connections int
	if err := admin.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE usename = current_database()").Scan(&connections); err != nil {
		return err
	}
	pid := c.cmd.Process.Pid
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return fmt.Errorf("counting files, which takes Linux: %w", err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err
	}
	var resident float64
	_, rest, _ := bytes.Cut(status, []byte("VmRSS:"))
	fmt.Sscan(string(rest), &resident)
	r.times = append(r.times, at.Seconds())
	for i, v := range []float64{float64(s.Heap) / 1e6, resident * 1024 / 1e6, float64(s.Goroutines), float64(len(files)), float64(connections)} {
		r.metrics[i].values = append(r.metrics[i].values, v)
	}
	return nil
}

// grown is by how much the last quarter holds more than the second, in the median: the
// first is for pools and caches to fill.
func (m *metric) grown() float64 {
	n := len(m.values)
	middle := func(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }
	return middle(m.values[3*n/4:]) - middle(m.values[n/4:n/2])
}

// verdict says what grew, and what was not answered as it should.
func (r *results) verdict() error {
	var errs []error
	if len(r.times) < 8 {
		return fmt.Errorf("only %d samples: too short a run", len(r.times))
	}
	for _, m := range r.metrics {
		if g := m.grown(); g > m.slack {
			errs = append(errs, fmt.Errorf("%s grew by %.1f %s: %.1f", m.name, g, m.unit, m.values))
		}
	}
	for i, k := range kinds {
		if r.load.counts[i].Load() == 0 {
			errs = append(errs, fmt.Errorf("%s: none ended as it should", k.name))
		}
	}
	if what := r.load.last.Load(); what != nil {
		errs = append(errs, fmt.Errorf("%d requests were not answered as they should, such as %s", r.wrong(), *what))
	}
	return errors.Join(errs...)
}

func (r *results) wrong() (n int64) {
	for i := range r.load.wrong {
		n += r.load.wrong[i].Load()
	}
	return n
}

// write writes the page and its plots, or prints the page.
func (r *results) write(out string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Soak\n\n%v of mixed load at %d requests a second, with all connections to the database cut %d times.\nWritten by a program; repeat it with\n\n    make soak\n\n"+
		"| what | second quarter to last | |\n| --- | ---: | --- |\n", r.length, rate, r.cuts)
	for _, m := range r.metrics {
		state := "does not grow"
		if m.grown() > m.slack {
			state = "**grows**"
		}
		fmt.Fprintf(&b, "| %s | %+.1f %s | %s |\n", m.name, m.grown(), m.unit, state)
	}
	fmt.Fprint(&b, "\n| requests | as they should | otherwise |\n| --- | ---: | ---: |\n")
	for i, k := range kinds {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", k.name, r.load.counts[i].Load(), r.load.wrong[i].Load())
	}
	plots := map[string]chart.Chart{
		"soak-memory": {Title: "Memory, after a collection", XLabel: "seconds", YLabel: "MB", Series: []chart.Series{
			{Name: "heap", X: r.times, Y: r.metrics[0].values}, {Name: "resident", X: r.times, Y: r.metrics[1].values}}},
		"soak-counts": {Title: "Goroutines, files and connections to the database", XLabel: "seconds", YLabel: "", Series: []chart.Series{
			{Name: "goroutines", X: r.times, Y: r.metrics[2].values}, {Name: "files", X: r.times, Y: r.metrics[3].values}, {Name: "connections", X: r.times, Y: r.metrics[4].values}}},
	}
	for _, name := range []string{"soak-memory", "soak-counts"} {
		fmt.Fprintf(&b, "\n![%s](%s.svg)\n", plots[name].Title, name)
	}
	if out == "" {
		_, err := os.Stdout.Write(b.Bytes())
		return err
	}
	for name, c := range plots {
		if err := os.WriteFile(filepath.Join(out, name+".svg"), c.SVG(), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(out, "soak.md"), b.Bytes(), 0o644)
}
