package stripetool

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
)

func TestLabels(t *testing.T) {
	t.Parallel()
	mcptest.Labels(t, ReadTools(offline(t)), WriteTools(offline(t)))
}
