package stripetool

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
)

func TestLabels(t *testing.T) {
	t.Parallel()
	mcptest.GoldenLabels(t, ReadTools(offline(t)), WriteTools(offline(t)))
}
