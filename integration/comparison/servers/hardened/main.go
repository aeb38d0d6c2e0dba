// Hardened is the same server with mcpsec.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type lookupIn struct {
	ID       int    `json:"id" validate:"required,min=1,max=99999" jsonschema:"the order's number"`
	Currency string `json:"currency" validate:"omitempty,oneof=EUR USD"`
	Note     string `json:"note" validate:"max=40"`
}

type order struct {
	ID     int    `json:"id"`
	Status string `json:"status"`
}

type nameIn struct {
	Name string `json:"name" validate:"required,max=80" jsonschema:"first and last name, as in Ada Lovelace"`
}

type initials struct {
	Initials string `json:"initials"`
}

type reportIn struct {
	Year int `json:"year" validate:"required,min=2000,max=2100"`
}

func main() {
	audit, err := mcpsec.OpenAuditLog(os.Args[1], mcpsec.Secret{})
	if err != nil {
		log.Fatal(err)
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "orders", Version: "1.0.0"}, mcpsec.Options{Audit: audit})
	if err != nil {
		log.Fatal(err)
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "order_lookup", Description: "Fetch one order by its number.", Effect: mcpsec.Read},
		func(_ context.Context, in lookupIn) (order, error) { return order{in.ID, "shipped"}, nil }))
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "customer_initials", Description: "The initials of a customer.", Effect: mcpsec.Read},
		func(_ context.Context, in nameIn) (initials, error) {
			names := strings.Split(in.Name, " ")
			return initials{names[0][:1] + names[1][:1]}, nil // a bug: not everybody has two
		}))
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "sales_report", Description: "The sales of a year.", Effect: mcpsec.Read},
		func(_ context.Context, in reportIn) (order, error) {
			if in.Year != 2026 {
				return order{}, nil
			}
			return order{}, fmt.Errorf("connecting to %s: %w", os.Getenv("DATABASE_URL"), errors.New("connection refused"))
		}))

	if err := srv.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
