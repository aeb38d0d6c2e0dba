package mcpsec_test

import (
	"context"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type ReviewIn struct {
	Language string `json:"language" validate:"required,oneof=go rust" jsonschema:"what the code is written in"`
}

// A prompt with one argument, which is checked and completed.
func ExampleNewPrompt() {
	srv := newServer(mcpsec.Options{})
	srv.AddPrompt(mcpsec.NewPrompt(mcpsec.PromptSpec{
		Name:        "review",
		Description: "Review code for mistakes.",
		Complete: map[string]func(context.Context, string) ([]string, error){
			"language": func(_ context.Context, prefix string) ([]string, error) {
				if strings.HasPrefix("rust", prefix) {
					return []string{"rust"}, nil
				}
				return nil, nil
			},
		},
	}, func(_ context.Context, in ReviewIn) ([]mcpsec.Message, error) {
		return []mcpsec.Message{{Content: mcpsec.Content{Text: "Review this " + in.Language + " code."}}}, nil
	}))

	cs := connect(srv)
	defer cs.Close()
	for _, language := range []string{"go", "perl"} {
		res, err := cs.GetPrompt(context.Background(), &mcp.GetPromptParams{Name: "review", Arguments: map[string]string{"language": language}})
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(res.Messages[0].Role+":", res.Messages[0].Content.(*mcp.TextContent).Text)
	}
	values, err := cs.Complete(context.Background(), &mcp.CompleteParams{
		Ref: &mcp.CompleteReference{Type: "ref/prompt", Name: "review"}, Argument: mcp.CompleteParamsArgument{Name: "language", Value: "ru"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(values.Completion.Values)
	// Output:
	// user: Review this go code.
	// calling "prompts/get": invalid arguments: language: must be one of go rust
	// [rust]
}

type OrderIn struct {
	ID string `json:"id" validate:"required,number,max=8"`
}

// A resource for each order. Its variable is one segment and is checked; what
// does not exist cannot be told from what no resource has.
func ExampleNewResource() {
	srv := newServer(mcpsec.Options{})
	srv.AddResource(mcpsec.NewResource(mcpsec.ResourceSpec{
		Name:        "order",
		Description: "One order by its number.",
		URI:         "orders://{id}",
		MIMEType:    "application/json",
	}, func(_ context.Context, in OrderIn) (mcpsec.Content, error) {
		if in.ID != "17" {
			return mcpsec.Content{}, fs.ErrNotExist
		}
		return mcpsec.Content{Text: `{"status":"shipped"}`}, nil
	}))

	cs := connect(srv)
	defer cs.Close()
	read(cs, "orders://17", "orders://18", "orders://17%2f..%2fadmin", "orders://x")
	// Output:
	// orders://17: application/json {"status":"shipped"}
	// orders://18: calling "resources/read": unknown resource: the lists name those that exist
	// orders://17%2f..%2fadmin: calling "resources/read": unknown resource: the lists name those that exist
	// orders://x: calling "resources/read": invalid arguments: id: must satisfy the rule number
}

func read(cs *mcp.ClientSession, uris ...string) {
	for _, uri := range uris {
		res, err := cs.ReadResource(context.Background(), &mcp.ReadResourceParams{URI: uri})
		if err != nil {
			fmt.Printf("%s: %v\n", uri, err)
			continue
		}
		fmt.Printf("%s: %s %s\n", uri, res.Contents[0].MIMEType, res.Contents[0].Text)
	}
}

// The files beneath a directory, and nothing else.
func ExampleNewFiles() {
	dir, err := os.MkdirTemp("", "docs")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for name, text := range map[string]string{"guide.md": "# Guide", ".env": "KEY=value"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			log.Fatal(err)
		}
	}

	root, err := os.OpenRoot(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer root.Close()
	srv := newServer(mcpsec.Options{})
	srv.AddResource(mcpsec.NewFiles(root, mcpsec.ResourceSpec{
		Name:        "docs",
		Description: "The product's documents.",
		URI:         "docs:///{+path}",
	}, nil))

	cs := connect(srv)
	defer cs.Close()
	read(cs, "docs:///guide.md", "docs:///.env", "docs:///../../etc/passwd")
	// Output:
	// docs:///guide.md: text/markdown # Guide
	// docs:///.env: calling "resources/read": unknown resource: the lists name those that exist
	// docs:///../../etc/passwd: calling "resources/read": unknown resource: the lists name those that exist
}
