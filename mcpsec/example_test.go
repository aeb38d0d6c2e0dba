package mcpsec_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type LookupIn struct {
	ID int `json:"id" validate:"required,min=1,max=99999" jsonschema:"the order's number"`
}

type Order struct {
	Status string `json:"status"`
	Total  string `json:"total" jsonschema:"in EUR"`
}

func lookup(_ context.Context, in LookupIn) (Order, error) {
	if in.ID != 17 {
		return Order{}, &mcpsec.Error{Message: "there is no such order"}
	}
	return Order{"shipped", "19.00"}, nil
}

// connect attaches a client to a server in the same process. Programs call
// srv.Run instead.
func connect(srv *mcpsec.Server) *mcp.ClientSession {
	client, server := net.Pipe()
	go srv.ServeStream(context.Background(), server, server)
	cs, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1.0.0"}, nil).
		Connect(context.Background(), &mcp.IOTransport{Reader: client, Writer: client}, nil)
	if err != nil {
		log.Fatal(err)
	}
	return cs
}

func show(cs *mcp.ClientSession, tool string, args any) {
	res, err := cs.CallTool(context.Background(), &mcp.CallToolParams{Name: tool, Arguments: args})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Content[0].(*mcp.TextContent).Text)
}

// A server with one tool, and what a client gets from it.
func Example() {
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(io.Discard),
		Log:   slog.DiscardHandler,
	})
	if err != nil {
		log.Fatal(err)
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{
		Name:        "order_lookup",
		Description: "Fetch one order by its number.",
		Effect:      mcpsec.Read,
	}, lookup))

	cs := connect(srv)
	defer cs.Close()
	show(cs, "order_lookup", map[string]any{"id": 17})
	show(cs, "order_lookup", map[string]any{"id": 18})
	show(cs, "order_lookup", map[string]any{"id": "17 OR 1=1"})
	show(cs, "order_lookup", map[string]any{"id": 17, "admin": true})
	// Output:
	// {"status":"shipped","total":"19.00"}
	// there is no such order
	// invalid arguments: id: must be an integer of 64 bits, without fraction or exponent
	// invalid arguments: unknown member; known are id
}

// A guard sees the decoded input, and the model reads why it refuses.
func ExampleGuard() {
	ownOrders := func(_ context.Context, c *mcpsec.Call) error {
		if in := c.Args.(LookupIn); in.ID >= 1000 {
			return &mcpsec.Error{Message: "orders from 1000 on are of another department", Rule: "department"}
		}
		return nil
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(io.Discard),
		Log:   slog.DiscardHandler,
	})
	if err != nil {
		log.Fatal(err)
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{
		Name:        "order_lookup",
		Description: "Fetch one order by its number.",
		Effect:      mcpsec.Read,
		Guards:      []mcpsec.Guard{ownOrders},
	}, lookup))

	cs := connect(srv)
	defer cs.Close()
	show(cs, "order_lookup", map[string]any{"id": 4711})
	// Output:
	// not allowed: orders from 1000 on are of another department
}

// An edited record is found, and so is one that is missing.
func ExampleVerifyAuditLog() {
	var file bytes.Buffer
	audit := slog.New(mcpsec.NewAuditLog(&file))
	audit.Info("decision", "tool", "order_lookup", "decision", "refused")
	audit.Info("decision", "tool", "order_lookup", "decision", "allowed")

	head, err := mcpsec.VerifyAuditLog(&file, mcpsec.Secret{})
	fmt.Println(head.Records, err)

	file.Reset()
	audit.Info("decision", "tool", "order_lookup", "decision", "refused")
	edited := strings.Replace(file.String(), "refused", "allowed", 1)
	_, err = mcpsec.VerifyAuditLog(strings.NewReader(edited), mcpsec.Secret{})
	fmt.Println(err)
	// Output:
	// 2 <nil>
	// audit record 1: it was edited, or the key is another
}
