package stripetool_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
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

// Each call of this tool that succeeds costs its caller a unit.
func ExamplePaid() {
	sc, err := stripetool.New(stripetool.Options{Key: redact.NewSecret("rk_" + "test_" + "51Nexample0example0")})
	if err != nil {
		log.Fatal(err)
	}
	type in struct {
		Text string `json:"text" validate:"required,max=1000"`
	}
	type out struct {
		Words int `json:"words"`
	}
	items := map[string]string{"ann": "si_Ann"} // from your own database
	price := stripetool.Price{
		Item:   func(_ context.Context, p mcpsec.Principal) (string, error) { return items[p.ID], nil },
		PerDay: 1000,
	}
	count := mcpsec.NewTool(mcpsec.ToolSpec{Name: "count_words", Description: "Count words.", Effect: mcpsec.Read},
		stripetool.Paid(sc, price, func(_ context.Context, i in) (out, error) { return out{len(strings.Fields(i.Text))}, nil }))
	fmt.Println(count.Name())
	// Output: count_words
}
