// Gosdk is a server as the README of the official Go SDK shows it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type lookupIn struct {
	ID       int    `json:"id" jsonschema:"the order's number, from 1 to 99999"`
	Currency string `json:"currency,omitempty" jsonschema:"EUR or USD"`
	Note     string `json:"note,omitempty" jsonschema:"at most 40 characters"`
}

type order struct {
	ID     int    `json:"id"`
	Status string `json:"status"`
}

type nameIn struct {
	Name string `json:"name" jsonschema:"first and last name, as in Ada Lovelace"`
}

type initials struct {
	Initials string `json:"initials"`
}

type reportIn struct {
	Year int `json:"year"`
}

func main() {
	server := mcp.NewServer(&mcp.Implementation{Name: "orders", Version: "v1.0.0"}, nil)
	reads := &mcp.ToolAnnotations{ReadOnlyHint: true}

	mcp.AddTool(server, &mcp.Tool{Name: "order_lookup", Description: "Fetch one order by its number.", Annotations: reads},
		func(_ context.Context, _ *mcp.CallToolRequest, in lookupIn) (*mcp.CallToolResult, order, error) {
			return nil, order{in.ID, "shipped"}, nil
		})
	mcp.AddTool(server, &mcp.Tool{Name: "customer_initials", Description: "The initials of a customer.", Annotations: reads},
		func(_ context.Context, _ *mcp.CallToolRequest, in nameIn) (*mcp.CallToolResult, initials, error) {
			names := strings.Split(in.Name, " ")
			return nil, initials{names[0][:1] + names[1][:1]}, nil // a bug: not everybody has two
		})
	mcp.AddTool(server, &mcp.Tool{Name: "sales_report", Description: "The sales of a year.", Annotations: reads},
		func(_ context.Context, _ *mcp.CallToolRequest, in reportIn) (*mcp.CallToolResult, order, error) {
			if in.Year != 2026 {
				return nil, order{}, nil
			}
			return nil, order{}, fmt.Errorf("connecting to %s: %w", os.Getenv("DATABASE_URL"), errors.New("connection refused"))
		})

	if err := server.Run(context.Background(), &mcp.StdioTransport{}); err != nil {
		log.Fatal(err)
	}
}
