package pbtool_test

import (
	"context"
	"log"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

// A server over HTTP whose callers come with their own PocketBase tokens: each sees and
// changes what PocketBase's rules let that user.
func Example() {
	const url, resource = "https://pb.example.com", "https://mcp.example.com/mcp"
	ctx := context.Background()
	token, err := redact.SecretFromEnv("PB_SUPERUSER_TOKEN")
	if err != nil {
		log.Fatal(err)
	}
	pb, err := pbtool.Open(ctx, pbtool.Options{
		URL:       url,
		As:        pbtool.OwnUser(url),
		Superuser: pbtool.Login{Token: token}, // gets short-lived tokens for the users
		Collections: []pbtool.Collection{
			{Name: "orders", Write: []string{"status", "note", "invoice"}},
			{Name: "products", Fields: []string{"name", "price"}},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	audit, err := mcpsec.OpenAuditLog("pb-audit.jsonl", mcpsec.Secret{})
	if err != nil {
		log.Fatal(err)
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "shop", Version: "1.0.0"}, mcpsec.Options{
		Audit: audit,
		Mode:  mcpsec.Destroy, // a person is asked before anything is lost
	})
	if err != nil {
		log.Fatal(err)
	}
	srv.Add(pbtool.RecordReadTools(pb)...)
	srv.Add(pbtool.RecordWriteTools(pb)...)
	srv.Add(pbtool.FileTools(pb)...)
	srv.AddResource(pbtool.Resources(pb)...)
	srv.AddPrompt(pbtool.Prompts(pb)...)

	users, err := auth.PocketBase(auth.PocketBaseOptions{URL: url, Collection: "users"})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(srv.ListenAndServe(ctx, "0.0.0.0:8080", mcpsec.HTTPOptions{
		Verifier: users, Resource: resource, Hosts: []string{"mcp.example.com"}, BehindProxy: true,
	}))
}

// A server for those who run PocketBase, on their own machine: it plans and applies
// changes of collections, and makes backups.
func ExampleAdminTools() {
	ctx := context.Background()
	token, err := redact.SecretFromEnv("PB_SUPERUSER_TOKEN")
	if err != nil {
		log.Fatal(err)
	}
	pb, err := pbtool.Open(ctx, pbtool.Options{URL: "http://127.0.0.1:8090", Superuser: pbtool.Login{Token: token}})
	if err != nil {
		log.Fatal(err)
	}
	var srv *mcpsec.Server // from mcpsec.NewServer, with Mode mcpsec.Destroy
	srv.Add(pbtool.SchemaReadTools(pb)...)
	srv.Add(pbtool.SchemaWriteTools(pb)...)
	srv.Add(pbtool.AdminTools(pb, pbtool.AdminOptions{Settings: []string{"batch.enabled", "logs.maxDays"}})...)
}

// A server for guests, who sign in to their accounts by its tools.
func ExampleAuthTools() {
	pb, err := pbtool.Open(context.Background(), pbtool.Options{
		URL:         "http://127.0.0.1:8090",
		SignIn:      []string{"members"},
		Collections: []pbtool.Collection{{Name: "events"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	var srv *mcpsec.Server // from mcpsec.NewServer, with Mode mcpsec.Write
	srv.Add(pbtool.AuthTools(pb)...)
	srv.Add(pbtool.RecordReadTools(pb)...)
}
