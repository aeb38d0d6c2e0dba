package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/examples/sampledb"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// What the tour tells its server through the environment.
const (
	envURL    = "TOUR_DATABASE_URL"
	envWriter = "TOUR_WRITER_URL"
	envAudit  = "TOUR_AUDIT_LOG"
)

// written are the tables that may be written, and how.
var written = []pgtool.Table{
	{Schema: "sales", Name: "invoices", Read: []string{"id", "status", "version"}, Update: []string{"status", "version"}},
	{Schema: "sales", Name: "reviews", Read: []string{"id", "album_id", "words"}, Insert: []string{"album_id", "stars", "words", "written_at"}},
}

// serve is the server of the tour: the program runs itself for it, as a client
// would run a server of yours.
func serve(ctx context.Context) error {
	url, err := redact.SecretFromEnv(envURL)
	if err != nil {
		return err
	}
	audit, err := mcpsec.OpenAuditLog(os.Getenv(envAudit), mcpsec.Secret{})
	if err != nil {
		return err
	}
	defer audit.Close()
	db, err := pgtool.Open(ctx, pgtool.Options{URL: url, Schemas: sampledb.Schemas, Timeout: 2 * time.Second})
	if err != nil {
		return err
	}
	defer db.Close()
	writer, err := redact.SecretFromEnv(envWriter)
	if err != nil {
		return err
	}
	w, err := pgtool.OpenWriter(ctx, pgtool.WriteOptions{Options: pgtool.Options{URL: writer}, Tables: written})
	if err != nil {
		return err
	}
	defer w.Close()
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "tour", Version: "1.0.0"}, mcpsec.Options{
		Audit:   audit,
		Mode:    mcpsec.Destroy, // as far as a person confirms it
		Secrets: []mcpsec.Secret{url, writer},
	})
	if err != nil {
		return err
	}
	srv.Add(pgtool.ReadTools(db)...)
	srv.Add(pgtool.WriteTools(w)...)
	srv.Add(albumSearch(db))
	srv.Add(customTools(url)...)
	return srv.Run(ctx)
}

type albumsIn struct {
	Title string `json:"title" validate:"required,max=100" jsonschema:"how the title begins"`
}

type album struct {
	Artist string `json:"artist"`
	Title  string `json:"title"`
	Price  string `json:"price" jsonschema:"in EUR"`
}

// albumSearch is a statement of the operator's: the model chooses a value.
func albumSearch(db *pgtool.DB) *mcpsec.Tool {
	return pgtool.NamedQuery[albumsIn, album](db, mcpsec.ToolSpec{Name: "album_search", Description: "Finds albums by title."},
		pgtool.NewSQL(`SELECT ar.name AS artist, al.title, al.price FROM music.albums al JOIN music.artists ar ON ar.id = al.artist_id
			WHERE starts_with(lower(al.title), lower(:title)) ORDER BY al.price, al.id LIMIT 3`))
}

type shippingIn struct {
	Country string `json:"country" validate:"required,oneof=DE FR PL IT NL SE" jsonschema:"where to"`
	Grams   int    `json:"grams" validate:"required,min=1,max=30000" jsonschema:"weight of the parcel"`
}

type shippingOut struct {
	Price string `json:"price" jsonschema:"in EUR"`
}

type refundIn struct {
	Invoices []int `json:"invoices" validate:"required,min=1,max=10,unique" jsonschema:"numbers of invoices"`
}

type refundOut struct {
	Paid string `json:"paid" jsonschema:"in EUR"`
}

// amount is what invoices of this shop come to: 19.50 EUR each.
func amount(in refundIn) string {
	cents := 1950 * len(in.Invoices)
	return fmt.Sprintf("%d.%02d", cents/100, cents%100)
}

// refund cannot be undone, so a person must say yes to what it would do.
func refund() *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "invoice_refund", Description: "Pays invoices back. A person confirms it.", Effect: mcpsec.Destroy,
		Guards: []mcpsec.Guard{mcpsec.Preview(func(_ context.Context, in refundIn) (string, error) {
			return fmt.Sprintf("pays %s EUR back for %d invoices", amount(in), len(in.Invoices)), nil
		})},
	}, func(_ context.Context, in refundIn) (refundOut, error) { return refundOut{amount(in)}, nil })
}

type none struct{}

// customTools are tools as a user writes them: two good, two with the bugs that
// handlers have.
func customTools(url mcpsec.Secret) []*mcpsec.Tool {
	spec := func(name, description string) mcpsec.ToolSpec {
		return mcpsec.ToolSpec{Name: name, Description: description, Effect: mcpsec.Read}
	}
	return []*mcpsec.Tool{
		refund(),
		mcpsec.NewTool(spec("shipping_price", "Price of sending a parcel."),
			func(_ context.Context, in shippingIn) (shippingOut, error) {
				return shippingOut{fmt.Sprintf("%d.%02d", 4+in.Grams/5000, 90)}, nil
			}),
		mcpsec.NewTool(spec("stock_import", "Imports the stock list. Has a bug."),
			func(context.Context, none) (shippingOut, error) {
				line := strings.Split("only one column", ";")
				return shippingOut{Price: line[1]}, nil // the bug
			}),
		mcpsec.NewTool(spec("stock_sync", "Synchronises the stock. Has an outage."),
			func(context.Context, none) (shippingOut, error) {
				return shippingOut{}, errors.New("connecting to " + url.Reveal() + ": connection refused")
			}),
	}
}
