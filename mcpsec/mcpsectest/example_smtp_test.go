package mcpsectest_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net/smtp"
	"os"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
)

func (t *exampleT) TempDir() string {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// greet is under test: it sends one mail.
func greet(server *mcpsectest.SMTPServer) error {
	ca, err := os.ReadFile(server.CAFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	c, err := smtp.Dial(server.Addr())
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.StartTLS(&tls.Config{ServerName: server.Host, RootCAs: roots}); err != nil {
		return err
	}
	if err := c.Auth(smtp.PlainAuth("", server.User, server.Password, server.Host)); err != nil {
		return err
	}
	if err := send(c, "From: me@example.com\r\nTo: ann@example.com\r\nSubject: Hello\r\n\r\nIt is on its way.\r\n", "ann@example.com"); err != nil {
		return err
	}
	return c.Quit()
}

// Mail to anybody else fails the test, and so does a login without TLS.
func ExampleSMTP() {
	t := &exampleT{} // in a test: its *testing.T
	defer t.end()

	server := mcpsectest.SMTP(t, mcpsectest.SMTPOptions{Allow: []string{"ann@example.com"}})
	if err := greet(server); err != nil {
		log.Fatal(err)
	}
	for _, m := range server.Mails() {
		fmt.Println(m.From, m.To)
	}
	// Output: me@example.com [ann@example.com]
}
