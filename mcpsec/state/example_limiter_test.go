package state_test

import (
	"context"
	"fmt"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A cap on money, in cents: what does not fit is refused, what was not spent is
// given back.
func ExampleLimiter() {
	var limiter state.Limiter = new(state.Memory)
	perDay := state.Allowance{Limit: 100_00, Per: 24 * time.Hour, Calendar: true}
	refund := func(cents int64) {
		wait, err := limiter.Take(context.Background(), "refunds:bob", cents, perDay)
		fmt.Println(cents, wait == 0, err)
	}
	refund(60_00)
	refund(60_00)
	refund(40_00)
	refund(1)
	refund(100_01)
	// Output:
	// 6000 true <nil>
	// 6000 false <nil>
	// 4000 true <nil>
	// 1 false <nil>
	// 10001 false taking of an allowance: 10001 is more than the allowance's limit of 10000: it can never be had
}
