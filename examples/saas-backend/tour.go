package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/examples/internal/bank"
	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A guide leads through all flows, with a client for each role and a person beside it.
type guide struct {
	p     *tour.Printer
	in    *standins
	b     *backend
	audit string

	support, billing, admin *tour.Session
	ann                     string // the id
}

var chapters = []struct {
	title string
	show  func(*guide, context.Context) error
}{
	{"Three roles, of which each sees its own tools", (*guide).roles},
	{"A user registers", (*guide).registers},
	{"A subscription, and what Stripe tells of it", (*guide).subscribes},
	{"What fails halfway is on record, and made whole or undone", (*guide).fails},
	{"Money goes back, after a person's yes", (*guide).refunds},
	{"The end", (*guide).ends},
	{"What happened, counted and recorded", (*guide).counts},
}

// show ends with an error if a step went otherwise than it must.
func (g *guide) show(ctx context.Context, url string, tokens map[string]mcpsec.Secret) error {
	g.p.Say("PocketBase has the users, with the journal beside them; stripe-mock, with a bank before it, is Stripe;\nan SMTP server takes the mail; PostgreSQL counts. All of them run on this machine, and end with the tour.")
	for role, s := range map[string]**tour.Session{"support": &g.support, "billing": &g.billing, "admin": &g.admin} {
		var err error
		if *s, err = tour.Dial(ctx, url, tokens[role].Reveal(), g.audit); err != nil {
			return fmt.Errorf("connecting as %s: %w", role, err)
		}
		defer (*s).Stop(ctx)
	}
	for i, c := range chapters {
		g.p.Heading(fmt.Sprintf("%d  %s", i+1, c.title))
		if err := c.show(g, ctx); err != nil {
			return err
		}
	}
	return nil
}

func (g *guide) roles(ctx context.Context) error {
	for _, role := range []struct {
		name string
		*tour.Session
	}{{"support", g.support}, {"billing", g.billing}, {"admin", g.admin}} {
		list, err := role.ListTools(ctx, nil)
		if err != nil {
			return err
		}
		names := make([]string, len(list.Tools))
		for i, t := range list.Tools {
			names[i] = t.Name
		}
		g.p.Say("%s: %s", role.name, strings.Join(names, ", "))
	}
	g.p.Header()
	return g.each(ctx,
		as{g.support, tour.Step{Asked: "support refunds something", Tool: "payment_refund", Args: `{}`, Failed: true, Want: "unknown tool", Why: "for a role that lacks its scope the tool does not exist"}},
		as{g.billing, tour.Step{Asked: "billing resumes a flow", Tool: "flow_resume", Args: `{}`, Failed: true, Want: "unknown tool", Why: "the scopes come from a record that nobody but a superuser writes"}},
	)
}

// as is a step of a role's.
type as struct {
	*tour.Session
	tour.Step
}

func (g *guide) each(ctx context.Context, steps ...as) error {
	for _, s := range steps {
		if _, err := s.Do(ctx, g.p, s.Step); err != nil {
			return err
		}
	}
	return nil
}

const annArgs = `{"email":"ann@example.com","name":"Ann Ferris"}`

func (g *guide) registers(ctx context.Context) error {
	g.p.Header()
	text, err := g.support.Do(ctx, g.p, tour.Step{Asked: "Register Ann", Tool: "user_register", Args: annArgs, Want: `"state":"done"`,
		Why: "an account, a customer at Stripe and a letter, each recorded before it was tried"})
	if err != nil {
		return err
	}
	var out registerOut
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return err
	}
	g.ann = out.User
	if err := g.each(ctx, as{g.support, tour.Step{Asked: "Register Ann, once more", Tool: "user_register", Args: annArgs, Want: g.ann, Why: "the address names the flow: an equal call finds it done"}}); err != nil {
		return err
	}
	return g.there(1, 1, "Welcome")
}

// there looks how much there is on all servers.
func (g *guide) there(users, customers int, letters ...string) error {
	n, err := g.b.pb.CountRecords("users")
	if err != nil {
		return err
	}
	subjects := make([]string, len(g.in.box.Letters()))
	for i, l := range g.in.box.Letters() {
		m, err := l.Read()
		if err != nil {
			return err
		}
		subjects[i] = m.Subject
	}
	got := fmt.Sprintf("Users in PocketBase: %d. Customers at Stripe: %d. Letters: %s.", n, g.in.bank.Count("customer"), strings.Join(subjects, ", "))
	if int(n) != users || g.in.bank.Count("customer") != customers || strings.Join(subjects, ", ") != strings.Join(letters, ", ") {
		return errors.New(got)
	}
	g.p.Good("%s", got)
	return nil
}

func (g *guide) subscribes(ctx context.Context) error {
	g.p.Header()
	pro := fmt.Sprintf(`{"user":%q,"plan":"pro"}`, g.ann)
	if err := g.each(ctx,
		as{g.support, tour.Step{Asked: "Subscribe Ann, and the person says no", Tool: "subscription_start", Args: pro, Declined: true, Failed: true, Want: "said no", Question: "bills ann@example.com EUR 49.00 a month", Why: "what it bills was computed, not described by the model"}},
		as{g.support, tour.Step{Asked: "Subscribe Ann", Tool: "subscription_start", Args: pro, Want: "sub_1", Question: "EUR 49.00", Why: "Stripe has a key of it, and bills once however often it is asked"}},
	); err != nil {
		return err
	}
	if err := g.await(ctx, func() bool {
		u, err := g.b.pb.FindRecordById("users", g.ann)
		return err == nil && u.GetString("status") == "active" && len(g.in.box.Letters()) == 2
	}); err != nil {
		return fmt.Errorf("an event of Stripe's has no effect: %w", err)
	}
	g.p.Good("Stripe has told, in a signed event, that the invoice was paid: the user is active, and has a receipt.")
	if err := g.there(1, 1, "Welcome", "Your receipt"); err != nil {
		return err
	}
	return g.each(ctx, as{g.support, tour.Step{Asked: "Find Ann", Tool: "user_find", Args: `{"email":"ann@example.com"}`, Want: `"status":"active"`, Why: "with the rights that PocketBase's rules give to staff"}})
}

// await waits for what comes by another way.
func (g *guide) await(ctx context.Context, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func (g *guide) fails(ctx context.Context) error {
	g.p.Header()
	ben, cleo := `{"email":"ben@example.com","name":"Ben Okafor"}`, `{"email":"cleo@example.com","name":"Cleo Marchetti"}`
	id := func(email string) string { return fmt.Sprintf(`{"id":%q}`, flowID("register", email, 1)) }
	g.in.bank.Fail(func(_, path string) bank.Fault {
		if path == "/v1/customers" {
			return bank.Lost
		}
		return bank.None
	})
	if err := g.each(ctx,
		as{g.admin, tour.Step{Asked: "Register Ben, and Stripe's answer is lost", Tool: "user_register", Args: ben, Failed: true, Want: "stopped at: customer", Why: "the customer may be there or not: the journal knows that much"}},
		as{g.admin, tour.Step{Asked: "What is half done?", Tool: "flow_status", Args: `{}`, Want: `"customer","state":"trying"`, Why: "each step, and no arguments"}},
	); err != nil {
		return err
	}
	g.in.bank.Fail(nil)
	if err := g.each(ctx, as{g.admin, tour.Step{Asked: "Stripe answers again: go on", Tool: "flow_resume", Args: id("ben@example.com"), Want: `"state":"done"`, Why: "the same key: Stripe says which customer it made then"}}); err != nil {
		return err
	}
	g.in.box.Refuse(true)
	if err := g.each(ctx, as{g.admin, tour.Step{Asked: "Register Cleo, and no mail is taken", Tool: "user_register", Args: cleo, Want: `"waiting":["welcome mail"]`, Why: "no reason to undo an account: the letter waits on record"}}); err != nil {
		return err
	}
	g.in.box.Refuse(false)
	if err := g.each(ctx, as{g.admin, tour.Step{Asked: "The mail server takes mail again: go on", Tool: "flow_resume", Args: id("cleo@example.com"), Want: `"state":"done"`, Why: "it would have gone on by itself, too"}}); err != nil {
		return err
	}
	g.in.bank.Fail(func(_, path string) bank.Fault {
		if path == "/v1/customers" {
			return bank.Refused
		}
		return bank.None
	})
	if err := g.each(ctx, as{g.admin, tour.Step{Asked: "Register Dan, and Stripe refuses", Tool: "user_register", Args: `{"email":"dan@example.com","name":"Dan Lindqvist"}`, Failed: true, Want: "declined", Why: "refused for good: the account was taken back"}}); err != nil {
		return err
	}
	g.in.bank.Fail(nil)
	return g.there(3, 3, "Welcome", "Your receipt", "Welcome", "Welcome")
}

func (g *guide) refunds(ctx context.Context) error {
	g.p.Header()
	text, err := g.billing.Do(ctx, g.p, tour.Step{Asked: "What has Ann paid?", Tool: "payment_list", Args: fmt.Sprintf(`{"user":%q}`, g.ann), Want: `"amount":4900`, Why: "in cents"})
	if err != nil {
		return err
	}
	var out paymentsOut
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return err
	}
	args := func(amount string) string {
		return fmt.Sprintf(`{"payment":%q,"amount":%q,"case":"C17"}`, out.Payments[0].ID, amount)
	}
	return g.each(ctx,
		as{g.billing, tour.Step{Asked: "EUR 49.00 back", Tool: "payment_refund", Args: args("EUR 49.00"), Failed: true, Want: "EUR 30.00 at most", Why: "the cap of one call is the operator's; nobody was asked"}},
		as{g.billing, tour.Step{Asked: "EUR 20.00 back, and the person says no", Tool: "payment_refund", Args: args("EUR 20.00"), Declined: true, Failed: true, Want: "said no", Question: "refunds EUR 20.00 to ann@example.com", Why: "nothing has moved"}},
		as{g.billing, tour.Step{Asked: "EUR 20.00 back, with a yes that nobody gave", Tool: "payment_refund", Args: args("EUR 20.00"), Failed: true, Forged: true, Want: "not one of this server's", Why: "a yes counts with the server's sealed question only"}},
		as{g.billing, tour.Step{Asked: "EUR 20.00 back", Tool: "payment_refund", Args: args("EUR 20.00"), Want: "re_1", Question: "who paid EUR 49.00", Why: "reserved, taken of the day's cap, paid, and told by mail"}},
		as{g.billing, tour.Step{Asked: "The same, once more", Tool: "payment_refund", Args: args("EUR 20.00"), Want: "re_1", Question: "of which EUR 20.00 went back before", Why: "payment and support case name the flow: it is the first one's answer"}},
	)
}

func (g *guide) ends(ctx context.Context) error {
	g.p.Header()
	if err := g.each(ctx,
		as{g.support, tour.Step{Asked: "End Ann's subscription", Tool: "subscription_cancel", Args: fmt.Sprintf(`{"user":%q}`, g.ann), Want: `"state":"done"`, Question: "ends subscription sub_1 of ann@example.com", Why: "at Stripe first, then on record, then by mail"}},
		as{g.support, tour.Step{Asked: "Find Ann", Tool: "user_find", Args: `{"email":"ann@example.com"}`, Want: `"status":"ended"`, Why: "Stripe's event about it, whenever it comes, changes nothing more"}},
	); err != nil {
		return err
	}
	return g.there(3, 3, "Welcome", "Your receipt", "Welcome", "Welcome", "Your refund", "Your subscription has ended")
}

func (g *guide) counts(ctx context.Context) error {
	g.p.Header()
	if err := g.each(ctx,
		as{g.admin, tour.Step{Asked: "What happened today?", Tool: "analytics_report", Args: `{"days":1}`, Want: `"kind":"refund","events":1,"cents":-2000`, Why: "counted once for each flow; no names, no addresses"}},
		as{g.admin, tour.Step{Asked: "What is half done?", Tool: "flow_status", Args: `{}`, Want: `"flows":[]`, Why: "nothing is left"}},
	); err != nil {
		return err
	}
	return g.admin.CheckAudit(g.p)
}
