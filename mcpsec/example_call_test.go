package mcpsec_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A handler knows for whom it works, and its log lines lead to the audit log's record.
func ExamplePrincipalFrom() {
	srv := newServer(mcpsec.Options{})
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "whoami", Description: "Say who calls.", Effect: mcpsec.Read},
		func(ctx context.Context, _ struct{}) (mcpsec.Content, error) {
			mcpsec.Logger(ctx).Info("asked who it is") // with the call's id, and redacted
			return mcpsec.Content{Text: fmt.Sprintf("%q, in a call with an id of %d characters", mcpsec.PrincipalFrom(ctx).ID, len(mcpsec.CallID(ctx)))}, nil
		}))
	cs := connect(srv)
	defer cs.Close()
	show(cs, "whoami", nil)
	// Output: "local", in a call with an id of 26 characters
}

type refundIn struct {
	Order  int   `json:"order" validate:"required,min=1"`
	Amount int64 `json:"amount" validate:"required,min=1,max=100000" jsonschema:"in cents"`
}

// A guard asks a person where it matters, with what it has computed.
func ExampleAsk() {
	large := func(_ context.Context, c *mcpsec.Call) error {
		if in := c.Args.(refundIn); in.Amount > 50_00 {
			return mcpsec.Ask(fmt.Sprintf("refunds %d.%02d EUR for order %d", in.Amount/100, in.Amount%100, in.Order))
		}
		return nil
	}
	srv := newServer(mcpsec.Options{Mode: mcpsec.Write})
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "order_refund", Description: "Refund a part of an order.", Effect: mcpsec.Write,
		Guards: []mcpsec.Guard{large},
	}, func(_ context.Context, in refundIn) (mcpsec.Content, error) {
		return mcpsec.Content{Text: fmt.Sprint("refunded ", in.Amount)}, nil
	}))
	cs := connectPerson(srv, func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		fmt.Println(r.Params.Message)
		return &mcp.ElicitResult{Action: "decline"}, nil
	})
	defer cs.Close()
	show(cs, "order_refund", refundIn{Order: 17, Amount: 20_00})
	show(cs, "order_refund", refundIn{Order: 17, Amount: 80_00})
	// Output:
	// refunded 2000
	// Allow orders to run order_refund?
	// • refunds 80.00 EUR for order 17
	// not allowed: the person who was asked said no
}

// One tool for several of a kind: the caller says which one it means.
func ExampleChoice() {
	find := func(shop string) *mcpsec.Tool {
		return mcpsec.NewTool(mcpsec.ToolSpec{Name: "order_find", Description: "Fetch one order.", Effect: mcpsec.Read},
			func(_ context.Context, in LookupIn) (Order, error) { return Order{Status: shop, Total: "19.00"}, nil })
	}
	srv := newServer(mcpsec.Options{})
	srv.Add(mcpsec.Choice("shop", "the shop that has the order", map[string]*mcpsec.Tool{
		"vienna": find("vienna"), "turin": find("turin"),
	}))
	cs := connect(srv)
	defer cs.Close()
	show(cs, "order_find", map[string]any{"shop": "turin", "id": 17})
	show(cs, "order_find", map[string]any{"shop": "rome", "id": 17})
	// Output:
	// {"status":"turin","total":"19.00"}
	// invalid arguments: shop: must be one of turin, vienna
}

// A long job says how far it is, and what the client's person may want to read.
func ExampleProgress() {
	srv := newServer(mcpsec.Options{ClientLog: true})
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "orders_count", Description: "Count the orders.", Effect: mcpsec.Read},
		func(ctx context.Context, _ struct{}) (mcpsec.Content, error) {
			const all = 50_000
			for n := range all {
				mcpsec.Progress(ctx, float64(n), all, "counting") // as often as one likes: few are sent
			}
			mcpsec.LogToClient(ctx, slog.LevelInfo, "the archive was not counted")
			return mcpsec.Content{Text: fmt.Sprint(all, " orders")}, nil
		}))
	cs := connect(srv)
	defer cs.Close()
	show(cs, "orders_count", nil)
	// Output: 50000 orders
}

// The audit log of a server, in a file. A key makes it impossible to write it anew.
func ExampleOpenAuditLog() {
	dir, err := os.MkdirTemp("", "audit-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "orders-audit.jsonl")
	audit, err := mcpsec.OpenAuditLog(path, mcpsec.Secret{}) // redact.SecretFromFile("audit.key")
	if err != nil {
		log.Fatal(err)
	}
	slog.New(audit).Info("maintenance begins") // records of one's own
	if err := audit.Close(); err != nil {
		log.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	head, err := mcpsec.VerifyAuditLog(file, mcpsec.Secret{})
	fmt.Println(head.Records, err)
	// Output: 1 <nil>
}
