package stripetool

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/labeltest"
)

func TestLabels(t *testing.T) {
	t.Parallel()
	labeltest.Golden(t, *update, ReadTools(offline(t)), WriteTools(offline(t)))
}
