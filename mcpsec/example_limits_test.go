package mcpsec_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// newServer makes a server that writes nothing down, which no program should do.
func newServer(o mcpsec.Options) *mcpsec.Server {
	o.Audit, o.Log = mcpsec.NewAuditLog(io.Discard), slog.DiscardHandler
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, o)
	if err != nil {
		log.Fatal(err)
	}
	return srv
}

func orderTool(name string, effect mcpsec.Effect, scopes ...string) *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{Name: name, Description: "Something with an order.", Effect: effect, Scopes: scopes}, lookup)
}

// list shows which tools exist for a client.
func list(cs *mcp.ClientSession) {
	res, err := cs.ListTools(context.Background(), nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, t := range res.Tools {
		fmt.Println(t.Name)
	}
}

// A server reads unless it is told otherwise: a tool that changes something is not
// served by mistake.
func ExampleOptions_mode() {
	for _, mode := range []mcpsec.Effect{mcpsec.Read, mcpsec.Write} { // Read is the default
		srv := newServer(mcpsec.Options{Mode: mode})
		srv.Add(orderTool("order_lookup", mcpsec.Read), orderTool("order_note", mcpsec.Write))
		cs := connect(srv)
		fmt.Printf("with Mode: %v\n", mode)
		list(cs)
		cs.Close()
	}
	// Output:
	// with Mode: read
	// order_lookup
	// with Mode: write
	// order_lookup
	// order_note
}

// Whoever lacks a tool's scopes sees no such tool. Over HTTP the scopes are those of
// the request's token.
func ExampleToolSpec_scopes() {
	srv := newServer(mcpsec.Options{Principal: mcpsec.Principal{ID: "ada", Scopes: []string{"orders.read"}}})
	srv.Add(orderTool("order_lookup", mcpsec.Read, "orders.read"), orderTool("order_margin", mcpsec.Read, "orders.read", "finance"))
	cs := connect(srv)
	defer cs.Close()
	list(cs)
	_, err := cs.CallTool(context.Background(), &mcp.CallToolParams{Name: "order_margin", Arguments: map[string]any{"id": 17}})
	fmt.Println(err)
	// Output:
	// order_lookup
	// calling "tools/call": unknown tool: tools/list names those that exist
}

// A guard that reserves something learns what became of the call.
func ExampleCall_After() {
	seats := make(chan struct{}, 1)
	reserve := func(_ context.Context, c *mcpsec.Call) error {
		select {
		case seats <- struct{}{}:
			fmt.Println("reserved")
		default:
			return &mcpsec.Error{Message: "all seats are taken: retry later", Rule: "seats"}
		}
		tool := c.Tool
		c.After(func(_ context.Context, took time.Duration) {
			<-seats
			fmt.Println("given back after", tool, took > 0)
		})
		return nil
	}
	srv := newServer(mcpsec.Options{Guards: []mcpsec.Guard{reserve}})
	srv.Add(orderTool("order_lookup", mcpsec.Read))
	cs := connect(srv)
	defer cs.Close()
	show(cs, "order_lookup", map[string]any{"id": 17})
	// Output:
	// reserved
	// given back after order_lookup true
	// {"status":"shipped","total":"19.00"}
}
