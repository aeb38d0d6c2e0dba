package guard_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/guard"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

type nothing struct{}

type answer struct {
	Text string `json:"text"`
}

func hello(context.Context, nothing) (answer, error) { return answer{"hello"}, nil }

// serve returns a client of a server with two tools and the guards. Programs call
// srv.Run instead.
func serve(guards ...mcpsec.Guard) *mcp.ClientSession {
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "greeter", Version: "1.0.0"}, mcpsec.Options{
		Audit:  mcpsec.NewAuditLog(io.Discard),
		Log:    slog.DiscardHandler,
		Guards: guards,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range []string{"hello", "shout"} {
		srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: name, Description: "Greet.", Effect: mcpsec.Read, Timeout: time.Second}, hello))
	}
	client, server := net.Pipe()
	go srv.ServeStream(context.Background(), server, server)
	cs, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1.0.0"}, nil).
		Connect(context.Background(), &mcp.IOTransport{Reader: client, Writer: client}, nil)
	if err != nil {
		log.Fatal(err)
	}
	return cs
}

func call(cs *mcp.ClientSession, tool string) {
	res, err := cs.CallTool(context.Background(), &mcp.CallToolParams{Name: tool})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Content[0].(*mcp.TextContent).Text)
}

func ExampleAllow() {
	cs := serve(guard.Allow("hello"))
	defer cs.Close()
	call(cs, "hello")
	call(cs, "shout")
	// Output:
	// {"text":"hello"}
	// not allowed: this tool is not on the list of those that may be called here
}

func ExampleRate() {
	store := new(state.Memory) // replicas share a pgstate.Store
	cs := serve(guard.Rate(store, state.Allowance{Limit: 2, Per: 48 * time.Hour}))
	defer cs.Close()
	call(cs, "hello")
	call(cs, "hello")
	res, err := cs.CallTool(context.Background(), &mcp.CallToolParams{Name: "hello"})
	fmt.Println(res.IsError, err) // too many calls of this tool: retry in 24h0m0s
	call(cs, "shout")             // has an allowance of its own
	// Output:
	// {"text":"hello"}
	// {"text":"hello"}
	// true <nil>
	// {"text":"hello"}
}

// A budget of a minute of work an hour. Each of the tools has a timeout of a second,
// which is what a call takes first, and gives back when it is over.
func ExampleWork() {
	store := new(state.Memory)
	cs := serve(guard.Work(store, state.Allowance{Limit: 60_000, Per: time.Hour}))
	defer cs.Close()
	for range 100 {
		if res, err := cs.CallTool(context.Background(), &mcp.CallToolParams{Name: "hello"}); err != nil || res.IsError {
			log.Fatal(err)
		}
	}
	call(cs, "hello")
	// Output:
	// {"text":"hello"}
}

// A tool that returns what strangers wrote, one that returns what is private, and one that
// sends something out: in that order, they need a person.
func ExampleFlow() {
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "support", Version: "1.0.0"}, mcpsec.Options{
		Audit:  mcpsec.NewAuditLog(io.Discard),
		Log:    slog.DiscardHandler,
		Guards: []mcpsec.Guard{guard.Flow(new(state.Memory), guard.FlowOptions{Refuse: true})}, // replicas share a pgstate.Store
	})
	if err != nil {
		log.Fatal(err)
	}
	for name, labels := range map[string]mcpsec.Label{"ticket": mcpsec.Untrusted, "customers": mcpsec.Private, "mail": mcpsec.Egress} {
		srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: name, Description: "An example.", Effect: mcpsec.Read, Labels: labels}, hello))
	}
	client, server := net.Pipe()
	go srv.ServeStream(context.Background(), server, server)
	cs, err := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1.0.0"}, nil).
		Connect(context.Background(), &mcp.IOTransport{Reader: client, Writer: client}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer cs.Close()
	for _, tool := range []string{"customers", "mail", "ticket", "mail"} {
		call(cs, tool)
	}
	// Output:
	// {"text":"hello"}
	// {"text":"hello"}
	// {"text":"hello"}
	// not allowed: sends data out by mail after text from outsiders was read (ticket) and private data (customers)
}
