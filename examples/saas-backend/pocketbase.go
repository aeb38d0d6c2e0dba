package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations" // makes its own collections
	"github.com/pocketbase/pocketbase/tools/types"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

// A pocketbase is PocketBase in this process, on a port of this machine.
type pocketbase struct {
	core.App
	url  string
	root pbtool.Login // its superuser, with a password of this process
	web  http.Server
}

// openPocketBase opens the data in a directory, and makes what is not there.
func openPocketBase(dir string, log *slog.Logger) (p *pocketbase, err error) {
	p = &pocketbase{
		App:  core.NewBaseApp(core.BaseAppConfig{DataDir: dir}),
		root: pbtool.Login{Identity: "mcp@example.com", Password: redact.NewSecret(rand.Text())},
		web:  http.Server{ReadHeaderTimeout: 10 * time.Second},
	}
	p.OnMailerSend().BindFunc(func(*core.MailerEvent) error { return nil }) // mail is mailtool's business
	for _, step := range []func() error{
		p.Bootstrap, p.RunAllMigrations, p.ReloadCachedCollections,
		func() error { return p.RunInTransaction(addCollections) },
		func() error {
			return setAccount(p, core.CollectionNameSuperusers, p.root.Identity, map[string]any{"password": p.root.Password.Reveal()})
		},
		func() error { return p.listen(log) },
	} {
		if err := step(); err != nil {
			p.close(log)
			return nil, fmt.Errorf("starting PocketBase: %w", err)
		}
	}
	return p, nil
}

func (p *pocketbase) close(log *slog.Logger) {
	if err := errors.Join(p.web.Close(), p.ResetBootstrapState()); err != nil {
		log.Error("stopping PocketBase", "error", err)
	}
}

// listen serves PocketBase's API, without its dashboard.
func (p *pocketbase) listen(log *slog.Logger) error {
	router, err := apis.NewRouter(p.App)
	if err != nil {
		return err
	}
	if p.web.Handler, err = router.BuildMux(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	p.url = "http://" + l.Addr().String()
	go func() {
		if err := p.web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("PocketBase", "error", err)
		}
	}()
	return nil
}

// addCollections makes the collections, with their API rules. nil is for superusers only,
// which is this program: nobody writes but the flows.
func addCollections(app core.App) error {
	if _, err := app.FindCollectionByNameOrId("flows"); err == nil {
		return nil
	}
	users, err := app.FindCollectionByNameOrId("users") // which PocketBase has made
	if err != nil {
		return err
	}
	ofStaff := types.Pointer(`@request.auth.collectionName = "staff"`)
	users.ListRule, users.ViewRule, users.CreateRule, users.UpdateRule, users.DeleteRule = ofStaff, ofStaff, nil, nil, nil
	users.Fields.Add(
		&core.TextField{Name: "customer", Max: 100}, &core.TextField{Name: "subscription", Max: 100}, &core.TextField{Name: "plan", Max: 20},
		&core.SelectField{Name: "status", Values: []string{"new", "registered", "starting", "active", "ended"}, MaxSelect: 1},
		&core.NumberField{Name: "ended", OnlyInt: true}, // how many subscriptions have
	)
	users.AddIndex("idx_users_customer", false, "customer", "")

	staff := core.NewAuthCollection("staff")
	staff.Fields.Add(&core.SelectField{Name: "role", Values: []string{"support", "billing", "admin"}, MaxSelect: 1, Required: true})
	staff.ListRule, staff.ViewRule = nil, types.Pointer(`id = @request.auth.id`) // nobody changes their own role

	payments := core.NewBaseCollection("payments")
	payments.Fields.Add(
		&core.TextField{Name: "user", Required: true, Max: 15}, &core.TextField{Name: "invoice", Required: true, Max: 100}, &core.TextField{Name: "charge", Max: 100},
		&core.NumberField{Name: "amount", OnlyInt: true}, &core.NumberField{Name: "refunded", OnlyInt: true, Min: types.Pointer(0.0)}, &core.TextField{Name: "currency", Max: 3},
		&core.AutodateField{Name: "created", OnCreate: true},
	)
	payments.AddIndex("idx_payments_invoice", true, "invoice", "")
	payments.ListRule, payments.ViewRule = ofStaff, ofStaff

	flows := core.NewBaseCollection("flows")
	id := flows.Fields.GetByName("id").(*core.TextField)
	id.Min, id.Max, id.AutogeneratePattern = 26, 26, "[a-z0-9]{26}" // as flowID makes them
	flows.Fields.Add(
		&core.TextField{Name: "kind", Required: true}, &core.SelectField{Name: "state", Values: []string{running, waiting, undoing, undone, done}, MaxSelect: 1, Required: true},
		&core.TextField{Name: "reason"}, &core.JSONField{Name: "args"}, &core.JSONField{Name: "data"}, &core.JSONField{Name: "steps"},
		&core.AutodateField{Name: "created", OnCreate: true}, &core.AutodateField{Name: "updated", OnCreate: true, OnUpdate: true},
	)
	flows.AddIndex("idx_flows_state", false, "state, updated", "")
	for _, c := range []*core.Collection{users, staff, payments, flows} {
		if err := app.Save(c); err != nil {
			return err
		}
	}
	return nil
}

// setAccount makes or changes an account of an auth collection.
func setAccount(app core.App, collection, email string, values map[string]any) error {
	r, err := app.FindAuthRecordByEmail(collection, email)
	if err != nil {
		c, err := app.FindCollectionByNameOrId(collection)
		if err != nil {
			return err
		}
		r = core.NewRecord(c)
		r.SetEmail(email)
		r.SetVerified(true)
	}
	r.Load(values)
	return app.Save(r)
}

// hire gives the demonstration's three roles an account each, and returns their tokens.
func (p *pocketbase) hire() (tokens map[string]mcpsec.Secret, err error) {
	tokens = map[string]mcpsec.Secret{}
	for role := range roles {
		email := role + "@staff.example"
		if err := setAccount(p, "staff", email, map[string]any{"role": role, "password": strings.Repeat(rand.Text(), 2)}); err != nil {
			return nil, err
		}
		r, err := p.FindAuthRecordByEmail("staff", email)
		if err != nil {
			return nil, err
		}
		token, err := r.NewAuthToken()
		if err != nil {
			return nil, err
		}
		tokens[role] = redact.NewSecret(token)
	}
	return tokens, nil
}
