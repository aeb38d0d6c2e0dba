package insecure_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// A live key is refused until somebody says in the source why it may be used.
func ExampleLiveMode() {
	o := stripetool.Options{Key: redact.NewSecret("rk_" + "live_" + "51Nexample0example0")} // redact.SecretFromEnv
	_, err := stripetool.New(o)
	fmt.Println(err != nil)

	o.Waive = []mcpsec.Waiver{insecure.LiveMode("the support desk refunds real orders, below the caps")}
	_, err = stripetool.New(o)
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

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

// A database of a test, in a container of its own.
func ExamplePlaintextDatabase() {
	db, err := pgtool.Open(context.Background(), pgtool.Options{
		URL: redact.NewSecret("postgres://postgres@pg.test/shop?sslmode=disable"),
		Waive: []mcpsec.Waiver{
			insecure.PlaintextDatabase("the container's network is this test's alone"),
			insecure.OverprivilegedRole("the container has no other role"),
			insecure.AnySQL("the test asks what callers may not"),
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
}

// A newsletter's relay inside of one's own network, whose recipients come from elsewhere.
func ExampleAnyRecipient() {
	_, err := mailtool.New(mailtool.Options{
		Host: "relay.internal",
		From: "news@example.com",
		Waive: []mcpsec.Waiver{
			insecure.AnyRecipient("recipients are subscribers, whom a guard checks"),
			insecure.PlaintextMail("the relay is on this host's private network"),
		},
	})
	fmt.Println(err)
	// Output: <nil>
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
