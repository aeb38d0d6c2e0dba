package stripetool_test

import (
	"fmt"
	"log"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// A client that reads customers and charges, and refunds at most 100 euros a call and
// 1,000 a day.
func Example() {
	key := redact.NewSecret("rk_" + "test_" + "0123456789") // redact.SecretFromEnv("STRIPE_KEY")
	sc, err := stripetool.New(stripetool.Options{
		Key:         key,
		Resources:   []string{"customers", "charges"},
		Permissions: map[string][]string{"refunds": {"create"}},
		Caps: []stripetool.Cap{{
			PerCall: stripetool.Money{Amount: 100_00, Currency: "EUR"},
			PerDay:  stripetool.Money{Amount: 1_000_00, Currency: "EUR"},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, tool := range append(stripetool.ReadTools(sc), stripetool.WriteTools(sc)...) {
		fmt.Println(tool.Name(), tool.Effect())
	}
	// Output:
	// stripe_account read
	// stripe_balance read
	// stripe_list read
	// stripe_get read
	// stripe_search read
	// stripe_create_refund destroy
}

// There is one way to write an amount.
func ExampleParseMoney() {
	for _, s := range []string{"EUR 19.00", "EUR 1900", "JPY 500", "KWD 1.250"} {
		m, err := stripetool.ParseMoney(s)
		fmt.Println(m.Amount, m.Currency, err != nil)
	}
	// Output:
	// 1900 EUR false
	// 0  true
	// 500 JPY false
	// 1250 KWD false
}
