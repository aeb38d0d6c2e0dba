package mailtool

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// TestMailToolsGolden pins what a model is shown of the tools, and what that takes of
// its context.
func TestMailToolsGolden(t *testing.T) {
	t.Parallel()
	c := testClient(t)
	mcptest.GoldenTools(t, "tools.json", append(ReadTools(c), SendTools(c)...), 7<<10)
	c = queueClient(t, nil, new(state.Memory))
	mcptest.GoldenTools(t, "queuetools.json", append(QueueTools(c, welcome(t, "x")), LogTools(c)...), 6<<10)
}
