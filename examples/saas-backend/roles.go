package main

import (
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
)

// Scopes are what tools need.
const (
	readUsers          = "users:read"
	writeUsers         = "users:write"
	writeSubscriptions = "subscriptions:write"
	readBilling        = "billing:read"
	writeBilling       = "billing:write"
	readFlows          = "flows:read"
	writeFlows         = "flows:write"
	readReports        = "reports:read"
)

// roles are what a member of staff is, and the scopes that go with it. A role of no name,
// or another, has none.
var roles = map[string][]string{
	"support": {readUsers, writeUsers, writeSubscriptions, readFlows},
	"billing": {readUsers, readBilling, writeBilling, writeSubscriptions, readFlows},
	"admin":   {readUsers, writeUsers, writeSubscriptions, readBilling, writeBilling, readFlows, writeFlows, readReports},
}

// verifier takes the tokens that PocketBase gives to staff who sign in. The role is in a
// record that nobody but a superuser writes.
func (b *backend) verifier() (mcpsec.TokenVerifier, error) {
	return auth.PocketBase(auth.PocketBaseOptions{
		URL: b.pb.url, Collection: "staff",
		Scopes: func(record map[string]any) []string {
			role, _ := record["role"].(string)
			return roles[role]
		},
	})
}
