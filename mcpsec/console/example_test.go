package console_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/mcpsec/mcpsec-go/mcpsec/console"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A console beside a server, on a port of this machine.
func ExampleNew() {
	token := redact.NewSecret("9f2c4e81" + "d07b6a35" + "c1e84f90" + "27ab6d3e") // redact.SecretFromEnv("CONSOLE_TOKEN")
	c, err := console.New(console.Options{Log: "orders-audit.jsonl", Token: token})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(c) // a program: http.ListenAndServe("127.0.0.1:8081", c)
	defer server.Close()

	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	fmt.Println(res.Status, res.Header.Get("Location"))
	// Output: 303 See Other /login
}
