package mcpsec_test

//lint:file-ignore SA1019 the SDK's client marks what MCP 2026-07-28 has deprecated

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// What a client can be asked for besides: its directories, and its model's words. A
// handler returns the error, which is the question.
func ExampleSample() {
	srv := newServer(mcpsec.Options{})
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "order_summary", Description: "Sum an order up.", Effect: mcpsec.Read},
		func(ctx context.Context, in LookupIn) (mcpsec.Content, error) {
			text, err := mcpsec.Sample(ctx, "summary", fmt.Sprintf("Sum up order %d in five words.", in.ID), 50)
			if err != nil {
				return mcpsec.Content{}, err
			}
			return mcpsec.Content{Text: fmt.Sprintf("the model says %q", text)}, nil // data: never a decision
		}))
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "where", Description: "Say where the client works.", Effect: mcpsec.Read},
		func(ctx context.Context, _ struct{}) (mcpsec.Content, error) {
			roots, err := mcpsec.Roots(ctx)
			if err != nil {
				return mcpsec.Content{}, err
			}
			return mcpsec.Content{Text: fmt.Sprintf("%q", roots)}, nil // a claim: it permits nothing
		}))

	client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1.0.0"}, &mcp.ClientOptions{
		CreateMessageHandler: func(_ context.Context, r *mcp.CreateMessageRequest) (*mcp.CreateMessageResult, error) {
			return &mcp.CreateMessageResult{Model: "m", Role: "assistant", Content: &mcp.TextContent{Text: "It is on its way."}}, nil
		},
	})
	client.AddRoots(&mcp.Root{URI: "file:///srv/shop"})
	ours, theirs := net.Pipe()
	go srv.ServeStream(context.Background(), theirs, theirs)
	cs, err := client.Connect(context.Background(), &mcp.IOTransport{Reader: ours, Writer: ours}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer cs.Close()
	show(cs, "order_summary", map[string]any{"id": 17})
	show(cs, "where", nil)
	// Output:
	// the model says "It is on its way."
	// ["file:///srv/shop"]
}
