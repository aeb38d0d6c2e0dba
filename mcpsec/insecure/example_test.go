package insecure_test

import (
	"context"
	"fmt"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
)

type none struct{}

// A tool whose result must keep what looks like a secret.
func ExampleRawOutput() {
	invite := mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "invite_create", Description: "Make a code that lets one person join.", Effect: mcpsec.Write,
		Waive: []mcpsec.Waiver{insecure.RawOutput("the code is what the caller asks for, and is good once")},
	}, func(context.Context, none) (mcpsec.Content, error) { return mcpsec.Content{Text: "code=…"}, nil })

	fmt.Println(invite.Name())
	// Output: invite_create
}

// A tool that needs nobody's yes, although what it does cannot be undone.
func ExampleUnconfirmed() {
	flush := mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "cache_flush", Description: "Empty the cache.", Effect: mcpsec.Destroy,
		Waive: []mcpsec.Waiver{insecure.Unconfirmed("the cache fills again by itself")},
	}, func(context.Context, none) (mcpsec.Content, error) { return mcpsec.Content{Text: "empty"}, nil })
	fmt.Println(flush.Name())
	// Output: cache_flush
}

// A service that has no TLS, on a network of one's own.
func ExamplePlaintextHTTP() {
	client, err := outbound.New(outbound.Options{
		Allow: []string{"metrics.internal:9090"},
		Waive: []mcpsec.Waiver{insecure.PlaintextHTTP("it serves numbers only, and only inside of the cluster")},
	})
	fmt.Println(client != nil, err)
	// Output: true <nil>
}
