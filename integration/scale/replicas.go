package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mcpsec/mcpsec-go/examples/embedpg"
	"github.com/mcpsec/mcpsec-go/integration/internal/chart"
	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

const (
	envDatabase   = "SCALE_DATABASE_URL"
	envRate       = "SCALE_RATE"
	maxReplicas   = 3
	numPrincipals = 4
	fairRate      = 40 // calls a second of one principal, where that is what limits
)

// token is that of a principal. It has to look random, and nothing is behind it.
func token(i int) string {
	return "q7Zt2LmX9vKd4RwYc8NbHs5JfGa3Pe6" + strconv.Itoa(i)
}

// serveReplica serves one tool over HTTP and counts its callers in PostgreSQL.
func serveReplica(ctx context.Context) error {
	pool, err := pgxpool.New(ctx, os.Getenv(envDatabase))
	if err != nil {
		return err
	}
	store, err := pgstate.New(ctx, pool, pgstate.Options{})
	if err != nil {
		return err
	}
	rate, err := strconv.ParseFloat(os.Getenv(envRate), 64)
	if err != nil {
		return err
	}
	srv, err := mcpsec.NewServer(impl, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(io.Discard), Log: slog.DiscardHandler, State: store, Limits: mcpsec.Limits{CallsPerSecond: rate},
	})
	if err != nil {
		return err
	}
	srv.Add(orderTool("order_0"))
	var keys []auth.Key
	for i := range numPrincipals {
		keys = append(keys, auth.Key{Name: fmt.Sprint("principal-", i), Secret: redact.NewSecret(token(i))})
	}
	verify, err := auth.Keys(keys...)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() { // ends with its standard input
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	fmt.Println(ln.Addr())
	return srv.Serve(ctx, ln, mcpsec.HTTPOptions{Verifier: verify})
}

// growReplicas measures one, two and three processes: how much they do, and whether they
// give each principal the same when the limit is what they share.
func growReplicas(ctx context.Context, p *page) error {
	pg, err := pgserver.Start(ctx, pgserver.Options{Log: os.Stderr, Download: true, Fetch: embedpg.Fetch})
	if err != nil {
		return err
	}
	defer pg.Stop()
	pool, err := openPool(ctx, pg, "replicas")
	if err != nil {
		return err
	}
	pool.Close()
	url := pg.URLAs("replicas", "replicas", pg.Password()) + "&pool_max_conns=8"
	each := 8 * time.Second
	if p.quick {
		each = time.Second
	}
	fmt.Fprintf(p, "\n## Replicas\n\nProcesses over one PostgreSQL, asked in turn by %d principals with 4 callers each. First nothing limits them\nbut the processors, which they share with PostgreSQL and the callers; then a limit of %d calls a second\nfor each principal, whichever replica it asks. Fairness is Jain's index: 1 when all get the same.\n\n"+
		"| replicas | calls/s | calls/s of a principal under the limit | fairness |\n| ---: | ---: | ---: | ---: |\n", numPrincipals, fairRate)
	var ns, limited []float64
	for n := 1; n <= maxReplicas; n++ {
		free, err := askReplicas(ctx, url, n, 1e6, each)
		if err != nil {
			return err
		}
		fair, err := askReplicas(ctx, url, n, fairRate, each)
		if err != nil {
			return err
		}
		seconds := each.Seconds()
		ns, limited = append(ns, float64(n)), append(limited, sum(fair)/seconds/numPrincipals)
		fmt.Fprintf(p, "| %d | %.0f | %.1f | %.4f |\n", n, sum(free)/seconds, sum(fair)/seconds/numPrincipals, jain(fair))
	}
	p.plot("scale-replicas", chart.Chart{Title: "What one principal gets, by the number of replicas", XLabel: "replicas", YLabel: "calls/s under the limit",
		Series: []chart.Series{{X: ns, Y: limited}}})
	return nil
}

func sum(v []float64) (s float64) {
	for _, x := range v {
		s += x
	}
	return s
}

// jain is the index of fairness by Jain, Chiu and Hawe.
func jain(v []float64) float64 {
	squares := 0.0
	for _, x := range v {
		squares += x * x
	}
	return sum(v) * sum(v) / (float64(len(v)) * squares)
}

// askReplicas starts n replicas and returns how many calls each principal got done.
func askReplicas(ctx context.Context, url string, n int, rate float64, each time.Duration) (done []float64, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var addrs []string
	for range n {
		cmd := exec.CommandContext(ctx, self, "-replica")
		cmd.Env = append(os.Environ(), envDatabase+"="+url, fmt.Sprintf("%s=%g", envRate, rate))
		cmd.Stderr = os.Stderr
		in, err1 := cmd.StdinPipe()
		out, err2 := cmd.StdoutPipe()
		if err := errors.Join(err1, err2, cmd.Start()); err != nil {
			return nil, err
		}
		defer cmd.Wait()
		defer in.Close()
		addr, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("a replica did not start: %w", err)
		}
		addrs = append(addrs, strings.TrimSpace(addr))
	}
	counts := make([]atomic.Int64, numPrincipals)
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4 * numPrincipals}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range numPrincipals {
		for k := range 4 {
			wg.Go(func() {
				for turn := k; ctx.Err() == nil; turn++ {
					if ask(ctx, client, addrs[turn%n], token(i)) {
						counts[i].Add(1)
					} else {
						time.Sleep(5 * time.Millisecond) // refused: what any client does
					}
				}
			})
		}
	}
	wg.Wait()
	for i := range counts {
		done = append(done, float64(counts[i].Load()))
	}
	if slices.Min(done) == 0 {
		return nil, fmt.Errorf("a principal got nothing done: %v", done)
	}
	return done, nil
}

// ask makes one call and reports whether it was done.
func ask(ctx context.Context, client *http.Client, addr, token string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/mcp", strings.NewReader(call))
	if err != nil {
		return false
	}
	req.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
		"Authorization": {"Bearer " + token}, "Mcp-Protocol-Version": {"2025-11-25"}}
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return err == nil && strings.Contains(string(body), `"structuredContent"`)
}
