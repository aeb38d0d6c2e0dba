package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

type findIn struct {
	Email string `json:"email" validate:"required,email,max=100" jsonschema:"the user's address, all of it"`
}

type findOut struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Status string `json:"status" jsonschema:"new, registered, starting (not paid yet), active or ended"`
	Plan   string `json:"plan"`
}

// findUser reads one user, with the rights that PocketBase's rules give the caller. The
// name is the user's own words.
func (b *backend) findUser() *mcpsec.Tool {
	return mcpsec.NewTool(mcpsec.ToolSpec{
		Name: "user_find", Description: "Finds the user with an address.",
		Effect: mcpsec.Read, Labels: mcpsec.Private | mcpsec.Untrusted, Scopes: []string{readUsers},
	}, func(ctx context.Context, in findIn) (out findOut, err error) {
		by, err := pbtool.Bind("email = {:email}", map[string]any{"email": strings.ToLower(in.Email)})
		if err != nil {
			return out, err
		}
		page, err := b.users.List(ctx, "users", pbtool.Query{Filter: by, Fields: []string{"id", "name", "status", "plan"}, PerPage: 1})
		if err != nil {
			return out, err
		}
		if len(page.Items) == 0 {
			return out, &mcpsec.Error{Message: "there is no such user"}
		}
		return out, json.Unmarshal(page.Items[0], &out)
	})
}
