package pgtool_test

import (
	"context"
	"log"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// A database of a test, in a container of its own.
func ExampleOptions_waive() {
	db, err := pgtool.Open(context.Background(), pgtool.Options{
		URL: redact.NewSecret("postgres://postgres@pg.test/shop?sslmode=disable"),
		Waive: []mcpsec.Waiver{
			insecure.PlaintextDatabase("the container's network is this test's alone"),
			insecure.OverprivilegedRole("the container has no other role"),
			insecure.AnySQL("the test asks what callers may not"),
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
}
