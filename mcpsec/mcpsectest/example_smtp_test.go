package mcpsectest_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"log"
	"os"
	"strconv"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

func (t *exampleT) TempDir() string {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Mail to anybody else fails the test, and so does a login without TLS.
func ExampleSMTP() {
	t := &exampleT{} // in a test: its *testing.T
	defer t.end()

	server := mcpsectest.SMTP(t, mcpsectest.SMTPOptions{Allow: []string{"ann@example.com"}})
	port, err := strconv.Atoi(server.Port)
	if err != nil {
		log.Fatal(err)
	}
	ca, err := os.ReadFile(server.CAFile)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)

	mc, err := mailtool.New(mailtool.Options{ // what is under test
		Host: server.Host, Port: port, RootCAs: roots,
		Username: server.User, Password: redact.NewSecret(server.Password),
		From:       "orders@example.com",
		Recipients: mailtool.Recipients{Allow: []string{"example.com"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer mc.Close()
	if _, err := mc.Send(context.Background(), mailtool.Message{To: []string{"ann@example.com"}, Subject: "Hello", Text: "It is on its way."}); err != nil {
		log.Fatal(err)
	}
	for _, m := range server.Mails() {
		fmt.Println(m.From, m.To)
	}
	// Output: orders@example.com [ann@example.com]
}
