package mailtool

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

func TestLabels(t *testing.T) {
	t.Parallel()
	c, q := testClient(t), queueClient(t, nil, new(state.Memory))
	mcptest.Labels(t, ReadTools(c), SendTools(c), QueueTools(q, welcome(t, "x")), LogTools(q))
}
