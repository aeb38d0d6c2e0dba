package stripetool_test

import (
	"fmt"
	"slices"

	"github.com/mcpsec/mcpsec-go/stripetool"
)

// All that most accounts have, without what is nobody's business here.
func ExampleResourceNames() {
	names := slices.DeleteFunc(stripetool.ResourceNames(), func(name string) bool { return name == "disputes" })
	o := stripetool.Options{Resources: names}
	fmt.Println(slices.Contains(o.Resources, "charges"), slices.Contains(o.Resources, "disputes"))
	// Output: true false
}
