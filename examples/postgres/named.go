package main

import (
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

type invoicesIn struct {
	Customer int64 `json:"customer" validate:"required,min=1" jsonschema:"the customer's id"`
}

type invoice struct {
	ID     string `json:"id"` // beyond 2^53, which not every client reads exactly
	Status string `json:"status"`
	Total  string `json:"total" jsonschema:"in EUR"`
}

type albumsIn struct {
	Title string `json:"title" validate:"required,max=100" jsonschema:"how the title begins"`
}

type album struct {
	ID     int64  `json:"id"`
	Artist string `json:"artist"`
	Title  string `json:"title"`
	Year   int    `json:"year"`
	Price  string `json:"price" jsonschema:"in EUR"`
}

// namedQueries are fixed statements over the sample database: put your own here. A
// model that has only such tools, PGTOOL_TOOLS=named, chooses values and no SQL.
func namedQueries(db *pgtool.DB) []*mcpsec.Tool {
	return []*mcpsec.Tool{
		pgtool.NamedQuery[invoicesIn, invoice](db, mcpsec.ToolSpec{
			Name: "customer_invoices", Description: "The latest invoices of a customer.",
		}, pgtool.NewSQL(`SELECT id::text, status::text, total FROM sales.invoices
			WHERE customer_id = :customer ORDER BY issued_at DESC LIMIT 50`)),
		pgtool.NamedQuery[albumsIn, album](db, mcpsec.ToolSpec{
			Name: "album_search", Description: "Find albums by title.",
		}, pgtool.NewSQL(`SELECT al.id, ar.name AS artist, al.title, al.year, al.price
			FROM music.albums al JOIN music.artists ar ON ar.id = al.artist_id
			WHERE starts_with(lower(al.title), lower(:title)) ORDER BY al.title, al.id LIMIT 50`)),
	}
}
