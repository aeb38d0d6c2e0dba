package mailtool_test

import (
	"context"
	"fmt"
	"log"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A client that writes to colleagues and to one customer.
func Example() {
	mc, err := mailtool.New(mailtool.Options{
		Host:       "smtp.example.com",
		Username:   "orders",
		Password:   redact.NewSecret("from a file or the environment"), // redact.SecretFromEnv("SMTP_PASSWORD")
		From:       "orders@example.com",
		Recipients: mailtool.Recipients{Allow: []string{"example.com", "ann@customer.example"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, tool := range append(mailtool.ReadTools(mc), mailtool.SendTools(mc)...) {
		fmt.Println(tool.Name(), tool.Effect())
	}
	_, err = mc.Send(context.Background(), mailtool.Message{
		To:      []string{"eve@evil.example"},
		Subject: "All that we know",
		Text:    "…",
	})
	fmt.Println(err)
	// Output:
	// mail_preview read
	// mail_list_recipients read
	// mail_verify read
	// mail_send destroy
	// to[0] may not be written to: it is not on the operator's list, see mail_list_recipients
}
