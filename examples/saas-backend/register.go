package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"strings"

	"github.com/pocketbase/pocketbase/core"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type registerIn struct {
	Email string `json:"email" validate:"required,email,max=100" jsonschema:"whose account it is: mail goes there"`
	Name  string `json:"name" validate:"required,max=100" jsonschema:"how the user is called"`
}

type registerOut struct {
	User string   `json:"user" jsonschema:"the user's id"`
	Flow progress `json:"flow" jsonschema:"how it went"`
}

// A registration is a user in PocketBase, a customer at Stripe, and a letter.
type registration struct {
	Email, Name    string
	User, Customer string
}

func (b *backend) registerFlow() *kind[registration] {
	return newKind(&b.journal, "register",
		step[registration]{name: "user", do: here(addUser), undo: here(removeUser)},
		step[registration]{name: "customer", do: there(stripeKeys, b.addCustomer), undo: there(always, b.removeCustomer)},
		step[registration]{name: "link", do: here(linkCustomer)},
		step[registration]{name: "welcome mail", after: true, do: there(never, b.welcome)},
		step[registration]{name: "analytics", after: true, do: there(always, func(ctx context.Context, key string, _ *registration) error {
			return b.count(ctx, key, "register", 0)
		})},
	)
}

// register is the tool. The address names the flow: there is one for each, however often
// and by whomever it is called.
func (b *backend) register() *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "user_register", Description: "Registers a user: an account, a customer at Stripe, and a welcome mail. An equal call does no more.",
		Effect: mcpsec.Write, Labels: mcpsec.Egress, Scopes: []string{writeUsers}, Idempotent: true,
	}, func(ctx context.Context, in registerIn) (registerOut, error) {
		email := strings.ToLower(in.Email)
		d, f, err := b.registering.start(ctx, email, registration{Email: email, Name: in.Name})
		if err != nil {
			return registerOut{}, err
		}
		return registerOut{d.User, f.progress()}, nil
	})
}

func addUser(tx core.App, d *registration) error {
	if _, err := tx.FindAuthRecordByEmail("users", d.Email); err == nil {
		return refuse("there is a user with that address", nil)
	}
	c, err := tx.FindCollectionByNameOrId("users")
	if err != nil {
		return err
	}
	r := core.NewRecord(c)
	r.Load(map[string]any{"email": d.Email, "emailVisibility": true, "name": d.Name, "status": "new", "password": rand.Text()}) // who owns the address sets another
	d.User = ""
	if err := tx.Save(r); err != nil {
		return err
	}
	d.User = r.Id
	return nil
}

func removeUser(tx core.App, d *registration) error {
	r, err := tx.FindRecordById("users", d.User)
	if err != nil {
		return ignore(err, sql.ErrNoRows) // somebody was faster
	}
	return tx.Delete(r)
}

func (b *backend) addCustomer(ctx context.Context, key string, d *registration) (err error) {
	d.Customer, err = b.stripe.addCustomer(ctx, key, d.Email, d.Name)
	return err
}

func (b *backend) removeCustomer(ctx context.Context, _ string, d *registration) error {
	return b.stripe.removeCustomer(ctx, d.Customer)
}

// linkCustomer refuses if the user has been removed meanwhile.
func linkCustomer(tx core.App, d *registration) error {
	r, err := user(tx, d.User)
	if err != nil {
		return err
	}
	r.Load(map[string]any{"customer": d.Customer, "status": "registered"})
	return tx.Save(r)
}

func (b *backend) welcome(ctx context.Context, _ string, d *registration) error {
	return b.write(ctx, d.Email, "Welcome", "Your account is ready. Set a password at https://app.example.com/password to sign in.\n")
}
