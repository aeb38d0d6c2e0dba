package mcpsec_test

import (
	"context"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// What a handler does to the scopes that it is given grants nothing to anyone.
func TestPrincipalIsACopy(t *testing.T) {
	t.Parallel()
	read := mcpsec.NewTool(mcpsec.ToolSpec{Name: "read", Description: "For tests.", Effect: mcpsec.Read},
		func(ctx context.Context, _ none) (echoOut, error) {
			p := mcpsec.PrincipalFrom(ctx)
			p.Scopes[0] = "orders.admin"
			return echoOut{p.ID}, nil
		})
	admin := mcpsec.NewTool(mcpsec.ToolSpec{Name: "admin", Description: "For tests.", Effect: mcpsec.Read, Scopes: []string{"orders.admin"}},
		func(context.Context, none) (echoOut, error) { return echoOut{"done"}, nil })
	f := newFixture(t, func(o *mcpsec.Options) {
		o.Principal = mcpsec.Principal{ID: "ada", Scopes: []string{"orders.read"}}
	}, read, admin)
	cs := f.connect(t)
	if text, _ := call(t, cs, "read", none{}); text != `{"text":"ada"}` {
		t.Errorf("got %s", text)
	}
	if text := attempt(t, cs, "admin", none{}); text == `{"text":"done"}` {
		t.Error("a scope was written into the server's own principal")
	}
}
