package suppress_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
)

// A complaint stays on the list, whatever milder reason comes after it.
func Example() {
	ctx := context.Background()
	list := suppress.New(nil) // or of a pgstate.Store, which replicas share
	for _, reason := range []suppress.Reason{suppress.Complaint, suppress.Bounces} {
		changed, err := list.Add(ctx, suppress.Entry{Address: "ann@example.com", Reason: reason, Time: time.Now(), Source: "postmark"})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(reason, changed)
	}
	entry, found, err := list.Check(ctx, "ann@example.com")
	fmt.Println(entry.Reason, found, err)
	// Output:
	// complaint true
	// bounces false
	// complaint true <nil>
}

// A Store of one's own refuses what every Store refuses, by the same words.
func ExampleCheckAddress() {
	for _, address := range []string{"ann@example.com", "Ann@Example.com", "ann"} {
		fmt.Println(suppress.CheckAddress(address))
	}
	fmt.Println(suppress.CheckList("", 5_000))
	// Output:
	// <nil>
	// an address must be in lower case, and its domain in ASCII
	// an address must be one bare mailbox of at most 254 bytes
	// a list has 1 to 1000 entries
}
