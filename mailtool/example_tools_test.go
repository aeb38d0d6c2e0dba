package mailtool_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing/fstest"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// A server with all that has to do with mail, but for a queue: see QueueTools.
func ExampleSendTools() {
	templates, err := mailtool.OpenTemplates(mailtool.TemplateOptions{FS: fstest.MapFS{ // an embed.FS
		"hello.json": {Data: []byte(`{"name": "hello", "subject": "Hello"}`)},
		"hello.txt":  {Data: []byte("It is nice to have you here.")},
	}})
	if err != nil {
		log.Fatal(err)
	}
	list := suppress.New(nil) // of a pgstate.Store, in a program
	mc, err := mailtool.New(mailtool.Options{
		Host:       "smtp.example.com",
		From:       "orders@example.com",
		Recipients: mailtool.Recipients{Allow: []string{"example.com"}},
		Suppressed: mailtool.Suppressed(list),
	})
	if err != nil {
		log.Fatal(err)
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "mail", Version: "1.0.0"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(io.Discard), // mcpsec.OpenAuditLog, in a program
		Log:   slog.DiscardHandler,
		Mode:  mcpsec.Destroy, // mail cannot be taken back: a person is asked
	})
	if err != nil {
		log.Fatal(err)
	}
	srv.Add(mailtool.ReadTools(mc)...)
	srv.Add(mailtool.SendTools(mc)...)
	srv.Add(mailtool.TemplateTools(templates)...)
	srv.Add(mailtool.SuppressionTools(list)...)
	srv.Add(mailtool.CheckTools(mc, mailtool.DomainCheck{})...) // of example.com, in the DNS
	fmt.Println("ready")
	// Output: ready
}

// Links with which recipients end mail to them: by one click, for which mail programs
// POST, and for people by a page. Nobody can make one for somebody else.
func ExampleNewUnsubscribe() {
	u, err := mailtool.NewUnsubscribe(mailtool.UnsubscribeOptions{
		URL:  "https://mail.example.com/u",
		Keys: []mcpsec.Secret{redact.NewSecret("Qm4t" + "9vKx2Zs8Wn3cRj7bUd5yPg6eLaHf")}, // from a file or the environment
		Handle: func(_ context.Context, recipient, list string) error {
			fmt.Println(recipient, "leaves", list)
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	link, err := u.Link("ann@customer.example", "news")
	if err != nil {
		log.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, link, strings.NewReader(url.Values{"List-Unsubscribe": {"One-Click"}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	u.ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output:
	// ann@customer.example leaves news
	// 200
}
