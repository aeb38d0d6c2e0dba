// Quickstart is the smallest hardened MCP server: one tool of its own, over
// standard input and output.
package main

import (
	"context"
	"log"
	"log/slog"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type lookupIn struct {
	ID int `json:"id" validate:"required,min=1,max=99999" jsonschema:"the order's number"`
}

type order struct {
	Status string `json:"status"`
	Total  string `json:"total" jsonschema:"in EUR"`
}

var orders = map[int]order{1: {"shipped", "19.00"}, 2: {"open", "49.50"}}

func lookup(_ context.Context, in lookupIn) (order, error) {
	if o, ok := orders[in.ID]; ok {
		return o, nil
	}
	return order{}, &mcpsec.Error{Message: "there is no such order: ask for 1 or 2"}
}

func main() {
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "quickstart", Version: "1.0.0"}, mcpsec.Options{
		Audit: slog.NewJSONHandler(os.Stderr, nil), // see OpenAuditLog for a log that can be verified
	})
	if err != nil {
		log.Fatal(err)
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "order_lookup", Description: "Fetch one order by its number.", Effect: mcpsec.Read,
	}, lookup))
	if err := srv.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
