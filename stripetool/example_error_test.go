package stripetool_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// What Stripe has answered with is told by its words, and not by its message, which
// may quote what was sent.
func ExampleError() {
	stripe := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Request-Id", "req_4711")
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":{"type":"invalid_request_error","code":"resource_missing","message":"No such invoice of ann@example.com"}}`)
	}))
	defer stripe.Close()
	sc, err := stripetool.New(stripetool.Options{Key: redact.NewSecret("rk_" + "test_" + "51Nexample0example0"), URL: stripe.URL})
	if err != nil {
		log.Fatal(err)
	}
	var invoice struct{ ID string }
	err = sc.Fetch(context.Background(), stripetool.WebhookEvent{Kind: "invoice", Object: "in_1"}, &invoice)
	var said *stripetool.Error
	if errors.As(err, &said) {
		fmt.Println(said.Status, said.Code, said.RequestID)
	}
	fmt.Println(err)
	// Output:
	// 404 resource_missing req_4711
	// stripetool: fetching: status 404, type invalid_request_error, code resource_missing, request req_4711
}
