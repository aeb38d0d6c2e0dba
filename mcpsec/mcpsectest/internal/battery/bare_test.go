package battery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type note struct {
	Text string `json:"text"`
	ID   int64  `json:"id,omitempty"`
}

// bare is a server on the SDK alone, as its documentation shows one, with a handler
// that is slow, one that tells what went wrong and, in a process of its own, one that
// panics.
func bare(panics bool) *mcp.Server {
	srv := mcp.NewServer(&mcp.Implementation{Name: "bare", Version: "1"}, nil)
	reads := &mcp.ToolAnnotations{ReadOnlyHint: true}
	mcp.AddTool(srv, &mcp.Tool{Name: "get_note", Description: "Get a note.", Annotations: reads}, func(_ context.Context, _ *mcp.CallToolRequest, in note) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprint("note ", in.ID)}}}, nil, nil
	})
	mcp.AddTool(srv, &mcp.Tool{Name: "read_file", Description: "Read a file.", Annotations: reads}, func(_ context.Context, _ *mcp.CallToolRequest, in struct {
		Path string `json:"path"`
	}) (*mcp.CallToolResult, any, error) {
		b, err := os.ReadFile(in.Path)
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(b)}}}, nil, err
	})
	mcp.AddTool(srv, &mcp.Tool{Name: "find_first", Description: "Find the first letter.", Annotations: reads}, func(_ context.Context, _ *mcp.CallToolRequest, in note) (*mcp.CallToolResult, any, error) {
		if in.Text == "" && !panics {
			return nil, nil, errors.New("no text")
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(in.Text[0])}}}, nil, nil
	})
	mcp.AddTool(srv, &mcp.Tool{Name: "count_slowly", Description: "Count, slowly.", Annotations: reads}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		time.Sleep(400 * time.Millisecond) // which no context ends
		return &mcp.CallToolResult{Content: []mcp.Content{}}, nil, nil
	})
	return srv
}

func attack(t *testing.T, target Target, o Options) []string {
	t.Helper()
	r, err := Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, f := range r.Findings {
		t.Logf("%+v", f)
		ids = append(ids, strings.TrimSpace(f.Check+" "+f.Subject))
	}
	return ids
}

func has(t *testing.T, got []string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%q was not found", w)
		}
	}
}

func TestBareSDKOverPipes(t *testing.T) {
	t.Parallel()
	got := attack(t, Target{Argv: []string{os.Args[0], "bare"}}, Options{unpaced: true})
	has(t, got, "wire/garbage", "wire/id", "wire/utf8", "wire/duplicate", "args/duplicate get_note", "args/integer get_note",
		"args/size get_note", "stability/crash find_first", "load/concurrency count_slowly", "leak/echo get_note")
	if os.PathSeparator == '/' {
		has(t, got, "args/path read_file")
	}
}

func TestBareSDKOverHTTP(t *testing.T) {
	t.Parallel()
	const token = "a-token-of-somebody-0123456789"
	sdk := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return bare(false) }, nil)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, "who are you, "+r.Header.Get("X-Ticket"), http.StatusUnauthorized)
			return
		}
		sdk.ServeHTTP(w, r)
	}))
	srv.Config.ReadTimeout = 5 * time.Second // or http/slow takes thirty
	srv.Start()
	t.Cleanup(srv.Close)
	if _, err := Run(t.Context(), Target{URL: srv.URL}, Options{}); err == nil || !strings.Contains(err.Error(), "who are you") {
		t.Errorf("without a token: %v", err)
	}
	const wrong = "zebra-horse-of-another" // of no form that is known
	if _, err := Run(t.Context(), Target{URL: srv.URL, Header: http.Header{"X-Ticket": {wrong}}}, Options{}); err == nil || strings.Contains(err.Error(), wrong) || !strings.Contains(err.Error(), "who are you") {
		t.Errorf("with a ticket: %v", err)
	}
	header := http.Header{"Authorization": {"Bearer " + token}}
	got := attack(t, Target{URL: srv.URL, Header: header}, Options{unpaced: true, Call: map[string]json.RawMessage{}})
	has(t, got, "wire/duplicate", "args/duplicate get_note", "args/integer get_note", "load/concurrency count_slowly", "leak/echo get_note")
}

// What the caller gives for one server goes to no other.
func TestHeadersDoNotFollowRedirects(t *testing.T) {
	t.Parallel()
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a request came with %v", r.Header)
	}))
	t.Cleanup(thief.Close)
	srv := httptest.NewServer(http.RedirectHandler(thief.URL, http.StatusTemporaryRedirect))
	t.Cleanup(srv.Close)
	if _, err := Run(t.Context(), Target{URL: srv.URL, Header: http.Header{"X-Api-Key": {"of the first"}}}, Options{}); err == nil {
		t.Error("a redirect was followed")
	}
}
