package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/examples/embedpg"
	"github.com/mcpsec/mcpsec-go/examples/internal/bank"
	"github.com/mcpsec/mcpsec-go/examples/internal/mailbox"
	"github.com/mcpsec/mcpsec-go/internal/pgserver"
	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pgtool"
)

// Standins are servers of this machine in place of yours, which end with the program.
type standins struct {
	dir  string
	bank *bank.Bank // is Stripe
	box  *mailbox.Box
	pg   *pgserver.Server
}

// startStandins starts them, saying what takes long, and fills s.
func startStandins(ctx context.Context, s *services) (in *standins, err error) {
	in = &standins{}
	defer func() {
		if err != nil {
			in.stop()
			in = nil
		}
	}()
	if in.dir, err = os.MkdirTemp("", "mcp-saas-"); err != nil {
		return in, err
	}
	if in.bank, err = bank.Start(); err != nil {
		return in, err
	}
	if in.box, err = mailbox.Start(); err != nil {
		return in, err
	}
	fmt.Fprintln(os.Stderr, "Starting PostgreSQL; the first time on a machine without it, it is fetched.")
	if in.pg, err = pgserver.Start(ctx, pgserver.Options{Log: os.Stderr, Download: true, Fetch: embedpg.Fetch}); err != nil {
		return in, err
	}
	database := "saas_" + strings.ToLower(rand.Text()[:8]) // the server may be one of yours: see package pgserver
	if err = in.pg.CreateDatabase(ctx, database, ""); err != nil {
		return in, err
	}
	if err = preparePostgres(ctx, in.pg, database, s); err != nil {
		return in, err
	}
	s.Data = in.dir
	s.Mail = mailOptions(in.box.Port, in.box.CA, in.box.Password)
	useBank(in.bank.URL, in.bank.CA, s)
	return in, nil
}

func (in *standins) stop() {
	if in.pg != nil {
		in.pg.Stop()
	}
	var err error
	if in.box != nil {
		err = in.box.Close()
	}
	if in.bank != nil {
		in.bank.Close()
	}
	if err = errors.Join(err, os.RemoveAll(in.dir)); err != nil {
		fmt.Fprintln(os.Stderr, "stopping:", err)
	}
}

// useBank has s take the bank at url for Stripe, with a key as Stripe's of test mode.
func useBank(url string, ca []byte, s *services) {
	s.StripeURL, s.StripeCA, s.StripeNet = url, trust(ca), []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s.StripeKey, s.Webhooks = redact.NewSecret("rk_"+"test_"+rand.Text()), redact.NewSecret("whsec_"+rand.Text())
}

// trust is an authority, in PEM, to trust and no other.
func trust(ca []byte) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return pool
}

// mailOptions write to example.com and nobody else. Your users are everywhere: see
// insecure.AnyRecipient for what that means.
func mailOptions(port int, ca []byte, password string) mailtool.Options {
	return mailtool.Options{
		Host: mailbox.Host, Port: port, RootCAs: trust(ca), Username: mailbox.User, Password: redact.NewSecret(password),
		From: "hello@shop.example", FromName: "The shop", Recipients: mailtool.Recipients{Allow: []string{"example.com"}},
	}
}

// preparePostgres fills a database, and makes two roles: one for shared state, which adds to the
// analytics, and one that reads them.
func preparePostgres(ctx context.Context, pg *pgserver.Server, database string, s *services) error {
	conn, err := pgx.Connect(ctx, pg.URL(database, ""))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	app, report, password := database+"_app", database+"_report", rand.Text()
	if _, err := conn.Exec(ctx, analyticsSQL+
		"CREATE ROLE "+app+" LOGIN; GRANT USAGE ON SCHEMA analytics TO "+app+"; GRANT INSERT ON analytics.events TO "+app+";"+
		"GRANT SELECT (key) ON analytics.events TO "+app+";"+ // which ON CONFLICT reads
		pgtool.SetupSQL(pgtool.SetupOptions{Database: database, Role: report, Schemas: []string{"analytics"}})+
		"ALTER ROLE "+app+" PASSWORD '"+password+"'; ALTER ROLE "+report+" PASSWORD '"+password+"'"); err != nil {
		return err
	}
	s.AppURL = redact.NewSecret(pg.URLAs(database, app, password))
	s.ReportURL = redact.NewSecret(pg.URLAs(database, report, password))
	return pgstate.Migrate(ctx, conn, "", app)
}
