// Starthard is the smallest hardened server, for what a start costs.
package main

import (
	"context"
	"log"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type orderIn struct {
	ID     string   `json:"id" validate:"required,uuid" jsonschema:"order id"`
	Status string   `json:"status" validate:"required,oneof=open paid shipped"`
	Mail   string   `json:"mail" validate:"required,email,max=200"`
	Limit  int      `json:"limit" validate:"min=1,max=100"`
	Exact  bool     `json:"exact"`
	Tags   []string `json:"tags" validate:"max=5,dive,max=20"`
}

type orderOut struct {
	ID    string `json:"id"`
	Total int64  `json:"total"`
}

func main() {
	audit, err := mcpsec.OpenAuditLog(os.Args[1], mcpsec.Secret{})
	if err != nil {
		log.Fatal(err)
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "bench", Version: "1.0.0"}, mcpsec.Options{
		Audit:  audit,
		Limits: mcpsec.Limits{CallsPerSecond: 1e6}, // more than the machine can do
	})
	if err != nil {
		log.Fatal(err)
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "order", Description: "Fetch one order.", Effect: mcpsec.Read},
		func(_ context.Context, in orderIn) (orderOut, error) { return orderOut{in.ID, 42}, nil }))
	if err := srv.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
