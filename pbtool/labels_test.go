package pbtool

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
)

func TestLabels(t *testing.T) {
	t.Parallel()
	c := offline(t, Collection{Name: "posts", Write: []string{"title"}, Delete: true})
	mcptest.Labels(t, RecordReadTools(c), RecordWriteTools(c), SchemaReadTools(c), SchemaWriteTools(c),
		AdminTools(c, everythingAllowed(t)), FileTools(c), AuthTools(withOAuth(t)))
}
