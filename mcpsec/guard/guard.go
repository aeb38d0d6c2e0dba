package guard

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/bounds"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// Allow lets calls of the tools through and of no others: none, without a name. It
// panics on an empty name.
func Allow(tools ...string) mcpsec.Guard {
	if slices.Contains(tools, "") {
		panic("guard: Allow: a tool's name is empty")
	}
	tools = slices.Clone(tools)
	return func(_ context.Context, c *mcpsec.Call) error {
		if slices.Contains(tools, c.Tool) {
			return nil
		}
		return &mcpsec.Error{Message: "this tool is not on the list of those that may be called here", Rule: "allow"}
	}
}

// Rate lets a principal call a tool as often as the allowance says: each tool has one
// of its own. What the next guards refuse has counted. It panics if l is nil or the
// allowance out of bounds.
func Rate(l state.Limiter, a state.Allowance) mcpsec.Guard {
	check("Rate", l, a)
	prefix := fmt.Sprintf("guard rate %d/%s/%t ", a.Limit, a.Per, a.Calendar)
	return func(ctx context.Context, c *mcpsec.Call) error {
		wait, err := l.Take(ctx, prefix+c.Tool+" "+c.Principal.ID, 1, a)
		if err != nil {
			return &mcpsec.Error{Message: "the call could not be counted: retry later", Rule: "rate", Err: err}
		}
		if wait != 0 {
			return &mcpsec.Error{Message: "too many calls of this tool: retry in " + inWords(wait), Rule: "rate"}
		}
		return nil
	}
}

// check panics on what would be refused at each call.
func check(name string, l state.Limiter, a state.Allowance) {
	if l == nil {
		panic("guard: " + name + ": a Limiter is required")
	}
	if err := bounds.Take("any", 1, a.Limit, a.Per); err != nil {
		panic("guard: " + name + ": " + err.Error())
	}
}

// inWords tells a wait, rounded up: milliseconds below a minute, else seconds.
func inWords(wait time.Duration) string {
	if wait < time.Minute {
		return fmt.Sprintf("%d ms", (wait+time.Millisecond-1)/time.Millisecond)
	}
	return ((wait + time.Second - 1) / time.Second * time.Second).String()
}
