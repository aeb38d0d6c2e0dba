// Startbare is the smallest server on the bare SDK, for what a start costs.
package main

import (
	"context"
	"log"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type orderIn struct {
	ID     string   `json:"id" jsonschema:"order id"`
	Status string   `json:"status"`
	Mail   string   `json:"mail"`
	Limit  int      `json:"limit"`
	Exact  bool     `json:"exact"`
	Tags   []string `json:"tags"`
}

type orderOut struct {
	ID    string `json:"id"`
	Total int64  `json:"total"`
}

func main() {
	srv := mcp.NewServer(&mcp.Implementation{Name: "bench", Version: "1.0.0"}, nil)
	mcp.AddTool(srv, &mcp.Tool{Name: "order", Description: "Fetch one order."},
		func(_ context.Context, _ *mcp.CallToolRequest, in orderIn) (*mcp.CallToolResult, orderOut, error) {
			return nil, orderOut{in.ID, 42}, nil
		})
	if err := srv.Run(context.Background(), &mcp.StdioTransport{}); err != nil {
		log.Fatal(err)
	}
}
