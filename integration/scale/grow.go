package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/examples/embedpg"
	"github.com/mcpsec/mcpsec-go/integration/internal/chart"
	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

var impl = &mcp.Implementation{Name: "scale", Version: "1.0.0"}

type orderIn struct {
	ID    string `json:"id" validate:"required,uuid" jsonschema:"order id"`
	Limit int    `json:"limit" validate:"min=1,max=100"`
}

type orderOut struct {
	ID string `json:"id"`
}

func orderTool(name string) *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{Name: name, Description: "Fetch one order.", Effect: mcpsec.Read},
		func(_ context.Context, in orderIn) (orderOut, error) { return orderOut{in.ID}, nil })
}

const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"order_0","arguments":{"id":"0c8bf0c5-6a1e-4a9b-8a4e-3f1f3a0d8f01","limit":10}}}`

// growTools measures a call and the list of servers with more and more tools.
func growTools(ctx context.Context, p *page) error {
	sizes := []int{10, 30, 100, 300, 1000}
	var calls, lists []func() error
	bytesOf := make([]int, len(sizes))
	for i, n := range sizes {
		ask, err := serverOf(ctx, n)
		if err != nil {
			return err
		}
		calls = append(calls, func() error { _, err := ask(call); return err })
		lists = append(lists, func() (err error) {
			bytesOf[i], err = ask(`{"jsonrpc":"2.0","id":2,"method":"tools/list"}`)
			return err
		})
	}
	perCall, err := turns(p.quick, calls...)
	if err != nil {
		return err
	}
	perList, err := turns(p.quick, lists...)
	if err != nil {
		return err
	}
	fmt.Fprint(p, "\n## Tools\n\nOver a stream, in one process. The list is as long as there are tools; a call is not.\n\n| tools | a call | tools/list | bytes of it |\n| ---: | ---: | ---: | ---: |\n")
	for i, n := range sizes {
		fmt.Fprintf(p, "| %d | %.0f µs | %.0f µs | %d |\n", n, perCall[i], perList[i], bytesOf[i])
	}
	p.plot("scale-tools", chart.Chart{Title: "A call, by the number of tools", XLabel: "tools", YLabel: "µs a call", LogX: true,
		Series: []chart.Series{{X: floats(sizes), Y: perCall}}})
	return nil
}

// serverOf serves n tools to a client that asks in lines; the answer's length comes back.
func serverOf(ctx context.Context, n int) (func(line string) (int, error), error) {
	srv, err := mcpsec.NewServer(impl, mcpsec.Options{Audit: mcpsec.NewAuditLog(io.Discard), Log: slog.DiscardHandler, Limits: mcpsec.Limits{CallsPerSecond: 1e6}})
	if err != nil {
		return nil, err
	}
	for i := range n {
		srv.Add(orderTool(fmt.Sprint("order_", i)))
	}
	client, server := net.Pipe()
	go srv.ServeStream(ctx, server, server)
	answers := bufio.NewReaderSize(client, 4<<20)
	ask := func(line string) (int, error) {
		if _, err := io.WriteString(client, line+"\n"); err != nil {
			return 0, err
		}
		answer, err := answers.ReadSlice('\n')
		if err == nil && bytes.Contains(answer, []byte(`"error":`)) {
			err = fmt.Errorf("the server answered %.200s", answer)
		}
		return len(answer), err
	}
	_, err = ask(`{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"scale","version":"1"}}}`)
	return ask, err
}

// growPrincipals measures a count among more and more principals, in memory and shared.
func growPrincipals(ctx context.Context, p *page) error {
	sizes := []int{1, 10, 100, 1000, 10_000, 100_000}
	if p.quick {
		sizes = sizes[:4]
	}
	pg, err := pgserver.Start(ctx, pgserver.Options{Log: os.Stderr, Download: true, Fetch: embedpg.Fetch})
	if err != nil {
		return err
	}
	defer pg.Stop()
	var inMemory, shared []func() error
	for _, n := range sizes {
		store, err := openState(ctx, pg, fmt.Sprint("principals_", n))
		if err != nil {
			return err
		}
		for _, to := range []struct {
			take func(context.Context, string, int64, state.Allowance) (time.Duration, error)
			list *[]func() error
		}{{new(state.Memory).Take, &inMemory}, {store.Take, &shared}} {
			f, err := takerOf(ctx, n, to.take)
			if err != nil {
				return err
			}
			*to.list = append(*to.list, f)
		}
	}
	perMemory, err := turns(p.quick, inMemory...)
	if err != nil {
		return err
	}
	perShared, err := turns(p.quick, shared...)
	if err != nil {
		return err
	}
	fmt.Fprint(p, "\n## Principals\n\nA count in the limiter, of principals that are all known: in memory, and in PostgreSQL for all replicas.\n\n| principals | in memory | pgstate |\n| ---: | ---: | ---: |\n")
	for i, n := range sizes {
		fmt.Fprintf(p, "| %d | %.0f ns | %.0f µs |\n", n, perMemory[i]*1000, perShared[i])
	}
	p.plot("scale-principals", chart.Chart{Title: "A count in pgstate, by the number of principals", XLabel: "principals", YLabel: "µs a count", LogX: true,
		Series: []chart.Series{{X: floats(sizes), Y: perShared}}})
	return nil
}

// takerOf makes n keys known and returns what counts one after the other.
func takerOf(ctx context.Context, n int, take func(context.Context, string, int64, state.Allowance) (time.Duration, error)) (func() error, error) {
	a := state.Allowance{Limit: 1e6, Per: time.Hour}
	next := 0
	f := func() error {
		next++
		_, err := take(ctx, fmt.Sprintf("rate:principal-%d", next%n), 1, a)
		return err
	}
	for range n {
		if err := f(); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// openState makes a database with the tables of pgstate.
func openState(ctx context.Context, pg *pgserver.Server, name string) (*pgstate.Store, error) {
	pool, err := openPool(ctx, pg, name)
	if err != nil {
		return nil, err
	}
	return pgstate.New(ctx, pool, pgstate.Options{})
}

func openPool(ctx context.Context, pg *pgserver.Server, name string) (*pgxpool.Pool, error) {
	if err := pg.CreateDatabase(ctx, name, ""); err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, pg.URL(name, ""))
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE ROLE "+name+" LOGIN PASSWORD '"+pg.Password()+"'"); err != nil {
		return nil, err
	}
	if err := pgstate.Migrate(ctx, conn, "mcpsec", name); err != nil {
		return nil, err
	}
	return pgxpool.New(ctx, pg.URLAs(name, name, pg.Password())+"&pool_max_conns=4")
}

// growAudit measures a record at the end of longer and longer logs, and opening one,
// which reads it.
func growAudit(ctx context.Context, p *page) error {
	sizes := []int{0, 1000, 10_000, 100_000, 1_000_000}
	if p.quick {
		sizes = sizes[:3]
	}
	dir, err := os.MkdirTemp("", "scale-audit-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var records []func() error
	opening := make([]time.Duration, len(sizes))
	for i, n := range sizes {
		path := filepath.Join(dir, fmt.Sprint(n, ".jsonl"))
		if err := fill(ctx, path, n); err != nil {
			return err
		}
		start := time.Now()
		log, err := mcpsec.OpenAuditLog(path, mcpsec.Secret{})
		if err != nil {
			return err
		}
		defer log.Close()
		opening[i] = time.Since(start)
		records = append(records, func() error { return write(ctx, log) })
	}
	per, err := turns(p.quick, records...)
	if err != nil {
		return err
	}
	fmt.Fprint(p, "\n## Audit log\n\nA record at the end of a file, chained; and opening the file, which verifies it all.\n\n| records | one more | opening |\n| ---: | ---: | ---: |\n")
	for i, n := range sizes {
		fmt.Fprintf(p, "| %d | %.2f µs | %.1f ms |\n", n, per[i], float64(opening[i].Microseconds())/1000)
	}
	sizes[0] = 1
	p.plot("scale-audit", chart.Chart{Title: "One more record, by the length of the audit log", XLabel: "records", YLabel: "µs a record", LogX: true,
		Series: []chart.Series{{X: floats(sizes), Y: per}}})
	return nil
}

func fill(ctx context.Context, path string, n int) error {
	log, err := mcpsec.OpenAuditLog(path, mcpsec.Secret{})
	if err != nil {
		return err
	}
	for range n {
		if err := write(ctx, log); err != nil {
			return err
		}
	}
	return log.Close()
}

func write(ctx context.Context, log *mcpsec.AuditLog) error {
	r := slog.NewRecord(time.Now(), slog.LevelInfo, "decision", 0)
	r.AddAttrs(slog.String("call", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), slog.String("tool", "order"), slog.String("principal", "ann"), slog.String("decision", "allowed"), slog.Int("arg_bytes", 140))
	return log.Handle(ctx, r)
}
