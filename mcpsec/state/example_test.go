package state_test

import (
	"context"
	"fmt"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A payment that is asked for three times is made once, and answered thrice.
func Example() {
	var once state.Once = new(state.Memory)
	pay := func(ctx context.Context, key string) (string, error) {
		claim, err := once.Claim(ctx, "pay:"+key, time.Minute)
		if err != nil {
			return "", err // nothing is known: do nothing
		}
		switch claim.Status {
		case state.Done:
			return string(claim.Result), nil
		case state.Busy:
			return "", fmt.Errorf("in progress: try again in %v", claim.Left)
		}
		fmt.Println("paying")
		return "payment 17", once.Complete(ctx, claim, []byte("payment 17"), 24*time.Hour)
	}
	for range 3 {
		fmt.Println(pay(context.Background(), "bob/order-4711"))
	}
	// Output:
	// paying
	// payment 17 <nil>
	// payment 17 <nil>
	// payment 17 <nil>
}
