package main

import (
	"context"
	"crypto/x509"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/pocketbase/pocketbase/core"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/guard"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/pbtool"
	"github.com/mcpsec/mcpsec-go/pgtool"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// Services are what the backend works with. Standins makes all of them; for yours, fill
// this struct from package config.
type services struct {
	Data      string // directory of PocketBase's data, which the journal is in
	StripeURL string
	StripeCA  *x509.CertPool // nil is the system's
	StripeNet []netip.Prefix // that is not public and StripeURL may be in
	StripeKey mcpsec.Secret  // rk_test_…
	Webhooks  mcpsec.Secret  // whsec_…
	Mail      mailtool.Options
	AppURL    mcpsec.Secret // of PostgreSQL, for shared state and analytics to be written
	ReportURL mcpsec.Secret // of the same database, for analytics to be read
	Audit     slog.Handler
	Log       *slog.Logger
}

// A backend is all flows over all services.
type backend struct {
	pb     *pocketbase
	users  *pbtool.Client // PocketBase with the rights of whoever calls
	stripe *stripe
	facts  *stripetool.Client // Stripe, to read what an event is about
	mail   *mailtool.Client
	pool   *pgxpool.Pool
	report *pgtool.DB
	state  *pgstate.Store
	journal
	audit slog.Handler
	hide  []mcpsec.Secret // never leave

	registering *kind[registration]
	subscribing *kind[subscribing]
	receipts    *kind[receipt]
	cancelling  *kind[cancelling]
	refunding   *kind[refunding]
	hooks       http.Handler

	closing []func()
}

// openBackend connects everything, and tends what an earlier process left half done. ctx
// bounds the tending, too.
func openBackend(ctx context.Context, s services) (b *backend, err error) {
	b = &backend{audit: s.Audit, hide: []mcpsec.Secret{s.StripeKey, s.Webhooks, s.Mail.Password, s.AppURL, s.ReportURL}}
	defer func() {
		if err != nil {
			b.close()
			b = nil
		}
	}()
	if b.pb, err = openPocketBase(s.Data, s.Log); err != nil {
		return b, err
	}
	b.closing = append(b.closing, func() { b.pb.close(s.Log) })
	b.hide = append(b.hide, b.pb.root.Password)
	if b.users, err = pbtool.Open(ctx, pbtool.Options{
		URL: b.pb.url, Superuser: b.pb.root, As: pbtool.OwnUser(b.pb.url), // the API rules decide for the person who calls
		Collections: []pbtool.Collection{
			{Name: "users", Fields: []string{"name", "email", "status", "plan"}},
			{Name: "payments", Fields: []string{"user", "amount", "refunded", "currency", "created"}},
		},
	}); err != nil {
		return b, err
	}
	if b.stripe, err = newStripe(s); err != nil {
		return b, err
	}
	if b.facts, err = stripetool.New(stripetool.Options{Key: s.StripeKey, URL: s.StripeURL, RootCAs: s.StripeCA, Networks: s.StripeNet}); err != nil {
		return b, err
	}
	if b.pool, err = pgxpool.New(ctx, s.AppURL.Reveal()); err != nil {
		return b, errors.New("AppURL is no URL of a PostgreSQL database") // pgx's error quotes it
	}
	b.closing = append(b.closing, b.pool.Close)
	if b.state, err = pgstate.New(ctx, b.pool, pgstate.Options{Log: s.Log.Handler()}); err != nil {
		return b, err
	}
	b.closing = append(b.closing, b.state.Close)
	if b.report, err = pgtool.Open(ctx, pgtool.Options{URL: s.ReportURL, Schemas: []string{"analytics"}, Scopes: []string{readReports}}); err != nil {
		return b, err
	}
	b.closing = append(b.closing, b.report.Close)
	s.Mail.State, s.Mail.Log = b.state, s.Log
	if b.mail, err = mailtool.New(s.Mail); err != nil {
		return b, err
	}
	b.closing = append(b.closing, func() { _ = b.mail.Close() }) // at the end nobody waits for it
	// PocketBase is this process's, so who is at a flow is, too: nobody holds a claim of a process that died.
	b.journal = journal{app: b.pb, once: new(state.Memory), log: s.Log, kinds: map[string]resumer{}, pass: func(string) {}}
	b.addKinds()
	b.hooks, err = b.webhooks(s.Webhooks)
	return b, err
}

func (b *backend) addKinds() {
	b.registering, b.subscribing = b.registerFlow(), b.subscribeFlow()
	b.receipts, b.cancelling, b.refunding = b.receiptFlow(), b.cancelFlow(), b.refundFlow()
}

// close ends what openBackend began, the last first.
func (b *backend) close() {
	for i := len(b.closing) - 1; i >= 0; i-- {
		b.closing[i]()
	}
	b.closing = nil
}

// server is the MCP server with all tools.
func (b *backend) server() (*mcpsec.Server, error) {
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "saas-backend", Version: "1.0.0"}, mcpsec.Options{
		Audit: b.audit, Log: b.log.Handler(), Secrets: b.hide,
		State:  b.state,
		Mode:   mcpsec.Destroy,                                           // as far as a person confirms it
		Guards: []mcpsec.Guard{guard.Flow(b.state, guard.FlowOptions{})}, // private data does not follow a stranger's words out
	})
	if err != nil {
		return nil, err
	}
	srv.Add(b.findUser(), b.register(), b.subscribe(), b.cancel())
	srv.Add(b.listPayments(), b.refund())
	srv.Add(b.flowStatus(), b.flowResume())
	srv.Add(b.analytics()...)
	return srv, nil
}

// user is a record of the collection users.
func user(app core.App, id string) (*core.Record, error) {
	r, err := app.FindRecordById("users", id)
	if errors.Is(err, sql.ErrNoRows) {
		err = refuse("there is no such user: find the id with user_find", err)
	}
	return r, err
}

// ignore is err, unless that is what is of no interest.
func ignore(err, what error) error {
	if errors.Is(err, what) {
		return nil
	}
	return err
}
