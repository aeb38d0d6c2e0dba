package mcpsec_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type ship struct {
	Order string `json:"order" validate:"required,max=40"`
}

type destination struct {
	City string `json:"city" validate:"required,max=80" jsonschema:"the city to send it to"`
	Fast bool   `json:"fast" default:"true"`
}

// What the model does not know, the person at the client does.
func ExampleElicit() {
	tool := mcpsec.NewTool(mcpsec.ToolSpec{
		Name:        "order_ship",
		Description: "Send an order.",
		Effect:      mcpsec.Write,
	}, func(ctx context.Context, in ship) (mcpsec.Content, error) {
		to, err := mcpsec.Elicit[destination](ctx, "to", fmt.Sprintf("Where should order %q go?", in.Order))
		if errors.Is(err, mcpsec.ErrCannotAsk) {
			to, err = destination{City: "the address on file"}, nil
		}
		if err != nil {
			return mcpsec.Content{}, err // asks, or says that the person does not want to
		}
		return mcpsec.Content{Text: "sent to " + to.City}, nil
	})

	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(io.Discard), Log: slog.DiscardHandler, Mode: mcpsec.Write,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	srv.Add(tool)

	client, server := net.Pipe()
	go srv.ServeStream(context.Background(), server, server)
	person := func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		fmt.Println(r.Params.Message)
		return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"city": "Turin", "fast": false}}, nil
	}
	cs, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, &mcp.ClientOptions{ElicitationHandler: person}).
		Connect(context.Background(), &mcp.IOTransport{Reader: client, Writer: client}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	res, err := cs.CallTool(context.Background(), &mcp.CallToolParams{Name: "order_ship", Arguments: ship{"A-17"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(res.Content[0].(*mcp.TextContent).Text)
	// Output:
	// Where should order "A-17" go?
	// sent to Turin
}
