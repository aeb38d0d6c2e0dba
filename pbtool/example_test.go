package pbtool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

// A value gets into a filter as one literal, whatever it holds.
func ExampleBind() {
	f, err := pbtool.Bind("status = {:status} && (total > {:least} || urgent = true)", map[string]any{
		"status": `open" || 1=1 //`, "least": 100,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(f)
	// Output:
	// status = "open\" || 1=1 //" && (total > 100 || urgent = true)
}

// Conditions that came from outside become a filter.
func ExampleWhere_Filter() {
	var where pbtool.Where
	if err := json.Unmarshal([]byte(`[
		{"field": "status", "op": "in", "value": ["open", "late"]},
		{"field": "author.name", "op": "starts", "value": "A", "or": [{"field": "total", "op": "gt", "value": 100}]}
	]`), &where); err != nil {
		log.Fatal(err)
	}
	f, err := where.Filter()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(f)
	// Output:
	// (status = "open" || status = "late") && (author.name ~ "A%" || total > 100)
}

// A tool of one's own asks PocketBase with the rights of the caller's user.
func ExampleClient_List() {
	pocketbase := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/records") {
			fmt.Fprint(w, `{"items":[{"id":"o1","collectionName":"orders","status":"open","tokenKey":"never shown"}]}`)
		}
	}))
	defer pocketbase.Close()
	pb, err := pbtool.Open(context.Background(), pbtool.Options{
		URL:         pocketbase.URL, // https://pb.example.com
		Collections: []pbtool.Collection{{Name: "orders"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	type in struct {
		Status string `json:"status" validate:"required,max=20"`
	}
	type out struct {
		Orders []json.RawMessage `json:"orders"`
	}
	tool := mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "orders", Description: "The newest orders of a status.", Effect: mcpsec.Read, Labels: mcpsec.Private,
	}, func(ctx context.Context, in in) (out, error) {
		f, err := pbtool.Bind("status = {:status}", map[string]any{"status": in.Status})
		if err != nil {
			return out{}, err
		}
		page, err := pb.List(ctx, "orders", pbtool.Query{Filter: f, Sort: []string{"-created"}, PerPage: 10})
		return out{page.Items}, err
	})
	fmt.Println(tool.Name())

	page, err := pb.List(context.Background(), "orders", pbtool.Query{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", page.Items)
	// Output:
	// orders
	// [{"id":"o1","status":"open"}]
}
