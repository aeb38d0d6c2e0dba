package mcpsectest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/memnet"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// ClientOptions say who is at the client's end, for [Connect].
type ClientOptions struct {
	// Principal is who calls, with the Scopes that were granted. Defaults to the
	// server's Options.Principal.
	Principal mcpsec.Principal
	// Confirm is the person who is asked whether a call may run: it gets the
	// question and returns the answer. Defaults to a person who cannot be asked; if
	// Fill is set, to one who says no and fails the test.
	Confirm func(question string) bool
	// Fill is the person who is asked to fill in a form: it gets the message and
	// returns the fields, or nil for not wanting to. Defaults to a person who cannot
	// be asked; if Confirm is set, to one who declines and fails the test.
	Fill func(message string) map[string]any
}

// Connect attaches the official SDK's client to a server in the test's own process.
// Calls take the way that they take over HTTP, through the whole pipeline, and nothing
// leaves the process: the clock of package synctest holds for both ends. The client has
// neither a model nor directories.
//
// Several clients may be connected to one server, each with a principal of its own. The
// client and its way to the server end with the test, which fails if the server could
// not serve. The functions of ClientOptions run on other goroutines than the test's.
func Connect(t testing.TB, srv *mcpsec.Server, o ClientOptions) *mcp.ClientSession {
	t.Helper()
	var serve mcpsec.HTTPOptions
	if o.Principal.ID != "" { // nobody else gets at the listener, so the token is no secret
		serve.Verifier = func(context.Context, string) (mcpsec.Principal, error) { return o.Principal, nil }
	} else if len(o.Principal.Scopes) > 0 {
		t.Fatal("mcpsectest: ClientOptions.Principal has Scopes and no ID")
	}
	ln := memnet.New()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, ln, serve) }()
	transport := &http.Transport{DialContext: ln.Dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-served; err != nil {
			t.Errorf("mcpsectest: %v", err)
		}
	})
	session, err := mcp.NewClient(&mcp.Implementation{Name: "mcpsectest", Version: "1.0.0"}, o.client(t)).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: "http://localhost/mcp", HTTPClient: &http.Client{Transport: bearer{transport}}}, nil)
	if err != nil {
		t.Fatalf("mcpsectest: %v", err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

// bearer shows a token with each request.
type bearer struct{ next http.RoundTripper }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer test")
	return b.next.RoundTrip(r)
}

// client is the SDK's half of the options.
func (o ClientOptions) client(t testing.TB) *mcp.ClientOptions {
	out := &mcp.ClientOptions{Capabilities: &mcp.ClientCapabilities{}}
	if o.Confirm == nil && o.Fill == nil {
		return out
	}
	out.ElicitationHandler = func(_ context.Context, r *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
		switch confirmation := isConfirmation(r.Params.RequestedSchema); {
		case confirmation && o.Confirm != nil:
			if o.Confirm(r.Params.Message) {
				return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": true}}, nil
			}
		case !confirmation && o.Fill != nil:
			if fields := o.Fill(r.Params.Message); fields != nil {
				return &mcp.ElicitResult{Action: "accept", Content: fields}, nil
			}
		default:
			t.Errorf("mcpsectest: ClientOptions have nobody to ask %q", r.Params.Message)
		}
		return &mcp.ElicitResult{Action: "decline"}, nil
	}
	return out
}

// isConfirmation reports whether a form has nothing but the box of a confirmation.
func isConfirmation(schema any) bool {
	form, _ := schema.(map[string]any)
	fields, _ := form["properties"].(map[string]any)
	box, _ := fields["confirm"].(map[string]any)
	return len(fields) == 1 && box["type"] == "boolean"
}

// Call calls a tool, and decodes what it returns: numbers exactly, and members that Out
// lacks fail the test, as a refusal does. Arguments are what encoding/json makes an
// object of; nil is none.
func Call[Out any](t testing.TB, session *mcp.ClientSession, tool string, arguments any) Out {
	t.Helper()
	var out Out
	text, refused := answer(t, session, tool, arguments)
	if refused {
		t.Fatalf("%s: refused: %s", tool, text)
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&out); err != nil {
		t.Fatalf("%s: %v in %s", tool, err, text)
	}
	return out
}

// Refused calls a tool that must not do it, and returns what the model reads instead of
// a result. A result fails the test.
func Refused(t testing.TB, session *mcp.ClientSession, tool string, arguments any) string {
	t.Helper()
	text, refused := answer(t, session, tool, arguments)
	if !refused {
		t.Fatalf("%s: not refused: %s", tool, text)
	}
	return text
}

// answer is the text of a result or of a refusal. The text of a result holds the
// numbers that the client's own decoder rounds.
func answer(t testing.TB, session *mcp.ClientSession, tool string, arguments any) (text string, refused bool) {
	t.Helper()
	res, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if protocol := (*jsonrpc.Error)(nil); errors.As(err, &protocol) {
		return protocol.Message, true
	}
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	if len(res.Content) == 1 {
		if text, ok := res.Content[0].(*mcp.TextContent); ok {
			return text.Text, res.IsError
		}
	}
	t.Fatalf("%s: the result is no single text: see mcp.ClientSession.CallTool", tool)
	return "", false
}
