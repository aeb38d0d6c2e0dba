// Mail lets a model send mail through an SMTP server: to whom the operator lists, and
// after a person has said yes to the very message. See it work, without a mail server
// or any configuration:
//
//	go run ./examples/mail -tour
//
// For a server of yours the settings are environment variables; -help lists them, and
// README.md explains them. The least is
//
//	MAILTOOL_HOST=smtp.example.com MAILTOOL_USERNAME=orders MAILTOOL_PASSWORD_FILE=/run/secrets/smtp \
//	MAILTOOL_FROM=orders@example.com MAILTOOL_ALLOW=example.com go run ./examples/mail
//
// It speaks over standard input and output.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/examples/internal/mailtour"
	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/config"
)

func main() {
	guided := flag.Bool("tour", false, "show what the server does, and what it does not let be done to it")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "Lets a model send mail through an SMTP server.")
		flag.PrintDefaults()
		fmt.Fprint(flag.CommandLine.Output(), "\nSettings:\n"+config.Usage[Config](prefix))
	}
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatal("there are no arguments but -tour: see -help")
	}
	start := serve
	if *guided {
		start = guide
	}
	if err := start(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// serve serves what the environment says.
func serve(ctx context.Context) error {
	cfg, err := config.Load[Config](prefix)
	if err == nil {
		err = cfg.check()
	}
	if err != nil { // all that is wrong, by the names of the settings
		return fmt.Errorf("%w\n-help lists all settings; -tour shows the server without any", err)
	}
	defer config.Close(&cfg)
	path, err := cfg.Audit.path()
	if err != nil {
		return err
	}
	audit, err := mcpsec.OpenAuditLog(path, cfg.Audit.Key)
	if err != nil {
		return err
	}
	defer audit.Close()
	store, closeStore, err := cfg.store(ctx)
	if err != nil {
		return err
	}
	defer closeStore()
	options, err := cfg.client(store)
	if err != nil {
		return err
	}
	mc, err := mailtool.New(options)
	if err != nil {
		return err
	}
	defer mc.Close()
	templates, err := cfg.templates()
	if err != nil {
		return err
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "mail", Version: "1.0.0"}, cfg.server(audit, store))
	if err != nil {
		return err
	}
	cfg.add(srv, mc, store, templates)
	if cfg.has("queue") {
		return runBoth(ctx, srv, mc)
	}
	return srv.Run(ctx)
}

// runBoth serves, and sends what is due, until one of both ends, which ends the other:
// a message that is being sent is sent.
func runBoth(ctx context.Context, srv *mcpsec.Server, mc *mailtool.Client) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	sent := make(chan error, 1)
	go func() {
		defer stop()
		sent <- mc.RunQueue(ctx)
	}()
	err := srv.Run(ctx)
	stop()
	return errors.Join(err, <-sent)
}

// guide shows the tour, with this program as its server.
func guide(ctx context.Context) error {
	p := tour.NewPrinter(os.Stdout)
	ctx, stop := tour.UntilStopped(ctx, p)
	defer stop()
	g := mailtour.Guide{P: p, Server: child}
	if err := g.Show(ctx); err != nil {
		return err
	}
	p.Heading("Connect a real client")
	p.Say("%s", advice)
	return nil
}

// child prepares this program as a server with these settings only.
func child(ctx context.Context, settings []string) (*exec.Cmd, error) {
	return tour.Self(ctx, nil, mailtour.Environ(settings))
}

const advice = `Build the program, and name it to a client of yours with the settings of your mail server:

  go build -o mcp-mail ./examples/mail

Claude Desktop, Cursor, Windsurf (their mcp.json):

  {"mcpServers": {"mail": {"command": "/path/to/mcp-mail", "env": {
    "MAILTOOL_HOST": "smtp.example.com", "MAILTOOL_USERNAME": "orders", "MAILTOOL_PASSWORD_FILE": "/path/to/password",
    "MAILTOOL_FROM": "orders@example.com", "MAILTOOL_ALLOW": "example.com"}}}}

Claude Code:      claude mcp add mail -e MAILTOOL_HOST=smtp.example.com -e … -- /path/to/mcp-mail
MCP Inspector:    npx @modelcontextprotocol/inspector --cli -e MAILTOOL_HOST=smtp.example.com -e … /path/to/mcp-mail --method tools/list

-help lists all settings, and examples/mail/README.md explains them.`
