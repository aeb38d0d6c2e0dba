package mcpsec_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type CancelIn struct {
	Customer string `json:"customer" validate:"required,max=80" jsonschema:"whose orders"`
}

type Cancelled struct {
	Orders int `json:"orders"`
}

var openOrders = map[string]int{"ada": 12}

func cancelOrders(_ context.Context, in CancelIn) (Cancelled, error) {
	n := openOrders[in.Customer]
	delete(openOrders, in.Customer)
	return Cancelled{n}, nil
}

// A tool that cannot be undone says what it would do, and a person decides. The
// client shows the question: in this example it prints it, and its person says
// yes.
func ExamplePreview() {
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(io.Discard),
		Log:   slog.DiscardHandler,
		Mode:  mcpsec.Destroy,
	})
	if err != nil {
		log.Fatal(err)
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{
		Name:        "orders_cancel",
		Description: "Cancel all open orders of a customer.",
		Effect:      mcpsec.Destroy,
		Guards: []mcpsec.Guard{mcpsec.Preview(func(_ context.Context, in CancelIn) (string, error) {
			return fmt.Sprintf("cancels %d open orders of %q", openOrders[in.Customer], in.Customer), nil
		})},
	}, cancelOrders))

	cs := connectPerson(srv, func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		fmt.Println(req.Params.Message)
		return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": true}}, nil
	})
	defer cs.Close()
	show(cs, "orders_cancel", map[string]any{"customer": "ada"})
	// Output:
	// Allow orders to run orders_cancel? It cannot be undone.
	// • cancels 12 open orders of "ada"
	// {"orders":12}
}

// An Approver asks somebody else where the client cannot ask its person, by a
// chat message for example.
func ExampleApprover() {
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(io.Discard),
		Log:   slog.DiscardHandler,
		Mode:  mcpsec.Destroy,
		Approver: func(ctx context.Context, q mcpsec.Question) (by string, yes bool, err error) {
			fmt.Printf("to the operator, about %s: %s\n", q.Principal.ID, q.Text)
			return "olga", false, nil // send the message, wait for the answer or ctx
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{
		Name:        "orders_cancel",
		Description: "Cancel all open orders of a customer.",
		Effect:      mcpsec.Destroy,
	}, cancelOrders))

	cs := connectPerson(srv, nil)
	defer cs.Close()
	show(cs, "orders_cancel", map[string]any{"customer": "bob"})
	// Output:
	// to the operator, about local: Allow orders to run orders_cancel? It cannot be undone.
	// • customer: "bob"
	// not allowed: the person who was asked said no
}

// connectPerson attaches a client in the same process, with a person at it.
func connectPerson(srv *mcpsec.Server, person func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error)) *mcp.ClientSession {
	client, server := net.Pipe()
	go srv.ServeStream(context.Background(), server, server)
	cs, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1.0.0"}, &mcp.ClientOptions{ElicitationHandler: person}).
		Connect(context.Background(), &mcp.IOTransport{Reader: client, Writer: client}, nil)
	if err != nil {
		log.Fatal(err)
	}
	return cs
}
