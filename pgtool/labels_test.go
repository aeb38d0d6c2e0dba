package pgtool

import (
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

func TestLabels(t *testing.T) {
	t.Parallel()
	o := writeOptions()
	o.Execute = true
	db := &DB{o: o.Options}
	a, m := offlineAdmins(t)
	mcptest.Labels(t, ReadTools(db), InspectTools(db), WriteTools(offline(t, o)), DDLTools(m), AdminTools(a),
		[]*mcpsec.Tool{ExportTool(db, FileOptions{}), ImportTool(offline(t, o), FileOptions{})})
}
