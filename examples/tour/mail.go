package main

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/examples/internal/mailtour"
	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// mail shows a handful of what go run ./examples/mail -tour does.
func mail(ctx context.Context, p *tour.Printer) error {
	p.Say("An SMTP server of its own, and this program once more, as an MCP server before it. More: %s", mailCommand)
	g := mailtour.Guide{P: p, Server: func(ctx context.Context, settings []string) (*exec.Cmd, error) {
		return tour.Self(ctx, []string{serveMailArg}, mailtour.Environ(settings))
	}}
	return g.Brief(ctx)
}

const (
	mailCommand  = "go run ./examples/mail -tour"
	serveMailArg = "serve-mail"
)

// serveMail is the server of the chapter on mail. It reads the settings that the chapter
// has; examples/mail is one for all of them.
func serveMail(ctx context.Context) error {
	set := func(name string) string { return os.Getenv(mailtour.Prefix + name) }
	password, err1 := redact.SecretFromEnv(mailtour.Prefix + "PASSWORD")
	key, err2 := redact.SecretFromEnv(mailtour.Prefix + "DKIM_KEY")
	port, err3 := strconv.Atoi(set("PORT"))
	ca, err4 := os.ReadFile(set("CA_FILE"))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(ca)
	mc, err := mailtool.New(mailtool.Options{
		Host: set("HOST"), Port: port, RootCAs: trusted, Username: set("USERNAME"), Password: password,
		From: set("FROM"), FromName: set("FROM_NAME"),
		Recipients: mailtool.Recipients{Allow: strings.Split(set("ALLOW"), ",")},
		DKIM:       []mailtool.DKIM{{Domain: set("DKIM_DOMAIN"), Selector: set("DKIM_SELECTOR"), Key: key}},
	})
	if err != nil {
		return err
	}
	defer mc.Close()
	audit, err := mcpsec.OpenAuditLog(set("AUDIT_FILE"), mcpsec.Secret{})
	if err != nil {
		return err
	}
	defer audit.Close()
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "mail", Version: "1.0.0"}, mcpsec.Options{
		Audit: audit, Mode: mcpsec.Destroy, Secrets: []mcpsec.Secret{password, key},
	})
	if err != nil {
		return err
	}
	srv.Add(mailtool.ReadTools(mc)...)
	srv.Add(mailtool.SendTools(mc)...)
	return srv.Run(ctx)
}
