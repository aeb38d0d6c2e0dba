package pbtool

import (
	"context"
	"net/url"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A provider is what PocketBase says of an OAuth2 provider.
type provider struct {
	Name     string `json:"name"`
	State    string `json:"state"`
	AuthURL  string `json:"authURL"`
	Verifier string `json:"codeVerifier"`
}

// beginOAuth returns where a person has to go, and keeps the verifier (RFC 7636), with
// which alone the code is good.
func (c *Client) beginOAuth(ctx context.Context, collection string, p provider) string {
	u, err := url.Parse(p.AuthURL + url.QueryEscape(c.o.RedirectURL))
	if err != nil || c.o.RedirectURL == "" || u.Scheme != "https" && !loopback(u.Hostname()) || p.State == "" {
		return ""
	}
	c.visit(ctx, func(v *visitor) {
		for s := range v.oauth { // any one
			if len(v.oauth) < maxOAuthTries {
				break
			}
			delete(v.oauth, s)
		}
		v.oauth[p.State] = pending{p.Verifier, collection + " " + p.Name, c.now().Add(pendingTime)}
	})
	return u.String()
}

type oauthIn struct {
	authIn
	Provider string `json:"provider" validate:"required,max=100"`
	Code     string `json:"code" validate:"required,max=2000"`
	State    string `json:"state" validate:"required,max=500"`
}

func oauthTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_auth_oauth2", "Sign in with the code and state that a person has brought from the provider.", mcpsec.Write)
	spec.InputSchema = schemaOf(`"provider","code","state"`, collectionProperty, `"provider":{"type":"string"}`, `"code":{"type":"string"}`, `"state":{"type":"string"}`)
	return authTool(c, spec, func(ctx context.Context, collection string, in oauthIn) (mcpsec.Content, error) {
		if err := c.attempt(ctx, ""); err != nil {
			return mcpsec.Content{}, err
		}
		var p pending
		known := false
		c.visit(ctx, func(v *visitor) {
			p, known = v.oauth[in.State]
			delete(v.oauth, in.State) // it is good once
		})
		if !known || p.of != collection+" "+in.Provider || !c.now().Before(p.until) {
			return mcpsec.Content{}, errRefused
		}
		return asText(c.signIn(ctx, collection, "auth-with-oauth2", map[string]any{"provider": in.Provider, "code": in.Code, "codeVerifier": p.value, "redirectURL": c.o.RedirectURL}))
	})
}
