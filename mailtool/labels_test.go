package mailtool

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/labeltest"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

func TestLabels(t *testing.T) {
	t.Parallel()
	c, q := testClient(t), queueClient(t, nil, new(state.Memory))
	labeltest.Golden(t, *update, ReadTools(c), SendTools(c), QueueTools(q, welcome(t, "x")), LogTools(q))
}
