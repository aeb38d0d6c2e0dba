package mailtool_test

import (
	"fmt"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
)

// A newsletter's relay inside of one's own network, whose recipients come from elsewhere.
func ExampleOptions_waive() {
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
