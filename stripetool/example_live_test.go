package stripetool_test

import (
	"fmt"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// A live key is refused until somebody says in the source why it may be used.
func ExampleOptions_live() {
	o := stripetool.Options{Key: redact.NewSecret("rk_" + "live_" + "51Nexample0example0")} // redact.SecretFromEnv
	_, err := stripetool.New(o)
	fmt.Println(err != nil)

	o.Waive = []mcpsec.Waiver{insecure.LiveMode("the support desk refunds real orders, below the caps")}
	_, err = stripetool.New(o)
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}
