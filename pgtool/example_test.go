package pgtool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// Columns are masked by name or by pattern. A key that could be guessed is refused.
func ExampleMask() {
	_, err := pgtool.Open(context.Background(), pgtool.Options{
		URL: redact.NewSecret("postgres://mcp_reader@db.example.com/shop"),
		Mask: map[string]pgtool.Mask{
			"*.ssn":                pgtool.Hidden,
			"*_token":              pgtool.Hashed,
			"shop.customers.phone": pgtool.Partial,
		},
		MaskKey: redact.NewSecret("too short"),
	})
	fmt.Println(err)
	// Output: pgtool: Options.MaskKey must have at least 16 bytes
}

// A condition that came from outside becomes a part of a statement and its
// arguments, for any driver.
func ExampleWhere_Build() {
	var where pgtool.Where
	if err := json.Unmarshal([]byte(`[
		{"column": "status", "op": "in", "value": ["open", "'; DROP TABLE orders; --"]},
		{"column": "total", "op": "gt", "value": 100, "or": [{"column": "note", "op": "is_null"}]}
	]`), &where); err != nil {
		log.Fatal(err)
	}
	sql, args, err := where.Build([]pgtool.Column{
		{Name: "status", Type: "text"}, {Name: "total", Type: "numeric"}, {Name: "note", Type: "text"},
	}, 1)
	if err != nil {
		log.Fatal(err)
	}
	table, err := pgtool.NewIdent("shop", "orders")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("SELECT * FROM %s WHERE %s\n", table, sql)
	fmt.Printf("%q\n", args)
	// Output:
	// SELECT * FROM "shop"."orders" WHERE ("status" OPERATOR(pg_catalog.=) ANY ($1)) AND (("total" OPERATOR(pg_catalog.>) $2) OR ("note" IS NULL))
	// ["{\"open\",\"'; DROP TABLE orders; --\"}" "100"]
}

// Exports are files in a directory for this alone, and clients read them as
// resources.
func ExampleExportTool() {
	var db *pgtool.DB      // from pgtool.Open
	var srv *mcpsec.Server // from mcpsec.NewServer
	root, err := os.OpenRoot("exports")
	if err != nil {
		log.Fatal(err)
	}
	srv.Add(pgtool.ExportTool(db, pgtool.FileOptions{Root: root, URI: "exports:///"}))
	srv.AddResource(mcpsec.NewFiles(root, mcpsec.ResourceSpec{
		Name: "exports", Description: "Exports of the shop.", URI: "exports:///{+path}", MaxResult: 1 << 20,
	}, nil))
}

// Imports read the files that somebody has put into another directory.
func ExampleImportTool() {
	var w *pgtool.Writer   // from pgtool.OpenWriter
	var srv *mcpsec.Server // from mcpsec.NewServer
	root, err := os.OpenRoot("imports")
	if err != nil {
		log.Fatal(err)
	}
	srv.Add(pgtool.ImportTool(w, pgtool.FileOptions{Root: root, MaxRows: 1_000}))
}
