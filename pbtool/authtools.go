package pbtool

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// AuthTools returns the tools with which a caller signs in to an account of
// Options.SignIn and recovers one: pb_auth_methods, pb_auth_request and
// pb_auth_confirm; without Options.As and Options.User, so that callers are guests,
// also pb_auth_password, pb_auth_otp and pb_auth_session, which refreshes, signs out
// and changes the address, and with Options.RedirectURL pb_auth_oauth2.
//
// Who has signed in acts as that account, in all sessions of the same principal and
// for no other, for an hour, or until signing out or in again. No token leaves: the
// caller gets a handle, which is good for this principal only, and ends with the
// process. PocketBase is asked every 5 minutes whether the token is still good; a
// sign-in that has ended refuses calls, and does not make them a guest's.
//
// Attempts are counted before anything is known of them: 10 of a principal in 2
// minutes, 5 for an identity in 10, whether it exists or not. Answers about an
// account that exists and one that does not are the same. Passwords and codes are in
// the arguments of calls, and so with the model and the client: where that must not
// be, people sign in elsewhere and Options.As says who they are.
func AuthTools(c *Client) []*mcpsec.Tool {
	tools := []*mcpsec.Tool{methodsTool(c), requestTool(c), confirmTool(c)}
	if c.o.As != nil || c.user != nil {
		return tools
	}
	if c.o.RedirectURL != "" {
		tools = append(tools, oauthTool(c))
	}
	return append(tools, passwordTool(c), otpTool(c), sessionTool(c))
}

const authCollection = `"collection":{"type":"string","description":"default users"}`

// authIn is the collection, which Options.SignIn must list.
type authIn struct {
	Collection string `json:"collection" validate:"max=100"`
}

// authTool makes a tool that checks the collection first.
func authTool[In interface{ of() string }, Out any](c *Client, spec mcpsec.ToolSpec, run func(context.Context, string, In) (Out, error)) *mcpsec.Tool {
	spec.Labels = mcpsec.Private
	return mcpsec.NewTool(spec, func(ctx context.Context, in In) (Out, error) {
		var none Out
		collection := or2(in.of(), c.o.SignIn[0])
		if err := c.maySignIn(collection); err != nil {
			return none, err
		}
		return run(ctx, collection, in)
	})
}

func (in authIn) of() string { return in.Collection }

type methodsOut struct {
	Password     []string `json:"password_identities,omitempty"`
	OTP          bool     `json:"one_time_code"`
	SecondFactor bool     `json:"second_factor"`
	OAuth2       []oauth  `json:"oauth2,omitempty"`
}

type oauth struct {
	Provider string `json:"provider"`
	URL      string `json:"url,omitempty"`
}

func methodsTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_auth_methods", "Tell how to sign in: password with which identity fields, one-time code, OAuth2 (a person opens the url and brings code and state), and whether some need two factors.", mcpsec.Read)
	spec.InputSchema = schemaOf(``, authCollection)
	return authTool(c, spec, func(ctx context.Context, collection string, _ authIn) (mcpsec.Content, error) {
		return asText(c.methods(ctx, collection))
	})
}

func (c *Client) methods(ctx context.Context, collection string) (methodsOut, error) {
	body, err := c.do(ctx, actor{}, request{method: http.MethodGet, path: []string{"collections", collection, "auth-methods"}})
	if err != nil {
		return methodsOut{}, err
	}
	var said struct {
		Password struct {
			Fields []string `json:"identityFields"`
		} `json:"password"`
		OTP struct {
			Enabled bool `json:"enabled"`
		} `json:"otp"`
		MFA struct {
			Enabled bool `json:"enabled"`
		} `json:"mfa"`
		OAuth2 struct {
			Providers []provider `json:"providers"`
		} `json:"oauth2"`
	}
	if json.Unmarshal(body, &said) != nil {
		return methodsOut{}, errAnswer
	}
	out := methodsOut{Password: said.Password.Fields, OTP: said.OTP.Enabled, SecondFactor: said.MFA.Enabled}
	for _, p := range said.OAuth2.Providers {
		if fieldName().MatchString(p.Name) {
			out.OAuth2 = append(out.OAuth2, oauth{p.Name, c.beginOAuth(ctx, collection, p)})
		}
	}
	return out, nil
}

type passwordIn struct {
	authIn
	Identity string `json:"identity" validate:"required,max=255"`
	Password string `json:"password" validate:"required,max=255"`
}

const identityProperty = `"identity":{"type":"string"}`

func passwordTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_auth_password", "Sign in with a password; later calls act as the account. If a second_factor is needed, go on with another way.", mcpsec.Write)
	spec.InputSchema = schemaOf(`"identity","password"`, collectionProperty, identityProperty, `"password":{"type":"string"}`)
	return authTool(c, spec, func(ctx context.Context, collection string, in passwordIn) (mcpsec.Content, error) {
		if err := c.attempt(ctx, collection+" "+in.Identity); err != nil {
			return mcpsec.Content{}, err
		}
		return asText(c.signIn(ctx, collection, "auth-with-password", map[string]any{"identity": in.Identity, "password": in.Password}))
	})
}

type otpIn struct {
	authIn
	Code string `json:"passcode" validate:"required,max=100"`
}

func otpTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_auth_otp", "Sign in with the one-time code that pb_auth_request has sent.", mcpsec.Write)
	spec.InputSchema = schemaOf(`"passcode"`, collectionProperty, `"passcode":{"type":"string"}`)
	return authTool(c, spec, func(ctx context.Context, collection string, in otpIn) (mcpsec.Content, error) {
		id := ""
		c.visit(ctx, func(v *visitor) { id = v.otp.good(collection, c.now()) })
		if id == "" {
			return mcpsec.Content{}, &mcpsec.Error{Message: "no code was asked for: use pb_auth_request first", Rule: "sign-in"}
		}
		if err := c.attempt(ctx, "otp "+id); err != nil {
			return mcpsec.Content{}, err
		}
		return asText(c.signIn(ctx, collection, "auth-with-otp", map[string]any{"otpId": id, "password": in.Code}))
	})
}

type requestIn struct {
	authIn
	What  string `json:"what" validate:"required,oneof=otp verification password_reset"`
	Email string `json:"email" validate:"required,email,max=255"`
}

type sentOut struct {
	Note string `json:"note"`
}

// sent is said of every address.
var sent = sentOut{"if there is such an account, a mail is on its way"}

func requestTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_auth_request", "Have a mail sent: a one-time code to sign in, a verification, or a password reset. Says the same whether the account exists or not.", mcpsec.Write)
	spec.InputSchema = schemaOf(`"what","email"`, authCollection, `"what":{"enum":["otp","verification","password_reset"]}`, `"email":{"type":"string"}`)
	return authTool(c, spec, func(ctx context.Context, collection string, in requestIn) (mcpsec.Content, error) {
		if err := c.attempt(ctx, collection+" "+in.Email); err != nil {
			return mcpsec.Content{}, err
		}
		route := map[string]string{"otp": "request-otp", "verification": "request-verification", "password_reset": "request-password-reset"}[in.What]
		answer, _, err := c.authRequest(ctx, collection, route, map[string]any{"email": in.Email})
		if err != nil {
			return mcpsec.Content{}, err
		}
		var said struct {
			ID string `json:"otpId"` // the same again after some requests, if the account exists: it does not leave
		}
		if in.What == "otp" && json.Unmarshal(answer, &said) == nil && recordID().MatchString(said.ID) {
			c.visit(ctx, func(v *visitor) { v.otp = pending{said.ID, collection, c.now().Add(pendingTime)} })
		}
		return asText(sent, nil)
	})
}

type confirmIn struct {
	authIn
	What     string `json:"what" validate:"required,oneof=verification password_reset email_change"`
	Token    string `json:"token" validate:"required,max=4096"`
	Password string `json:"password" validate:"max=255"`
}

type doneOut struct {
	Done bool `json:"done"`
}

func confirmTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_auth_confirm", "Confirm with the token of a mail: a verification, a password_reset (password is the new one), an email_change (password is the account's).", mcpsec.Write)
	spec.InputSchema = schemaOf(`"what","token"`, authCollection, `"what":{"enum":["verification","password_reset","email_change"]}`, `"token":{"type":"string"}`, `"password":{"type":"string"}`)
	return authTool(c, spec, func(ctx context.Context, collection string, in confirmIn) (mcpsec.Content, error) {
		body := map[string]any{"token": in.Token}
		route := "confirm-verification"
		switch {
		case in.What != "verification" && in.Password == "":
			return mcpsec.Content{}, badArgument(errors.New("password is needed"))
		case in.What == "password_reset":
			route, body["password"], body["passwordConfirm"] = "confirm-password-reset", in.Password, in.Password
		case in.What == "email_change":
			route, body["password"] = "confirm-email-change", in.Password
		}
		if err := c.attempt(ctx, ""); err != nil {
			return mcpsec.Content{}, err
		}
		_, status, err := c.authRequest(ctx, collection, route, body)
		if err == nil && status != http.StatusNoContent {
			err = errRefused
		}
		c.visit(ctx, func(v *visitor) {
			if v.session != nil { // what was confirmed may have ended it
				v.session.source.stale()
			}
		})
		return asText(doneOut{err == nil}, err)
	})
}

type sessionIn struct {
	SignIn string `json:"sign_in" validate:"required,max=100"`
	Do     string `json:"do" validate:"required,oneof=refresh logout email_change"`
	Email  string `json:"email" validate:"omitempty,email,max=255"`
}

func sessionTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_auth_session", "Make your sign-in last another hour (12 at most), sign out, or have a mail sent to another address for the account, with a token for pb_auth_confirm.", mcpsec.Write)
	spec.InputSchema = schemaOf(`"sign_in","do"`, `"sign_in":{"type":"string"}`, `"do":{"enum":["refresh","logout","email_change"]}`, `"email":{"type":"string"}`)
	spec.Labels = mcpsec.Private
	return mcpsec.NewTool(spec, func(ctx context.Context, in sessionIn) (mcpsec.Content, error) {
		s, err := c.mySession(ctx, in.SignIn)
		switch {
		case err != nil:
			return mcpsec.Content{}, err
		case in.Do == "refresh":
			return asText(c.refresh(ctx, s))
		case in.Do == "email_change":
			return asText(c.changeEmail(ctx, s, in.Email))
		}
		c.visit(ctx, func(v *visitor) { v.session, v.factor, v.otp = nil, pending{}, pending{} })
		return asText(doneOut{true}, nil)
	})
}

// refresh asks PocketBase whether the token is good, and has a session last longer.
func (c *Client) refresh(ctx context.Context, s *session) (signInOut, error) {
	if !c.now().Before(s.expires) {
		return signInOut{}, errSignedOut
	}
	s.source.stale()
	if _, err := s.source.get(ctx); err != nil {
		return signInOut{}, err
	}
	longer := *s
	longer.expires = c.now().Add(sessionTime)
	if last := s.began.Add(longestTime); longer.expires.After(last) {
		longer.expires = last
	}
	c.visit(ctx, func(v *visitor) {
		if v.session == s {
			v.session = &longer
		}
	})
	return longer.out(), nil
}

func (c *Client) changeEmail(ctx context.Context, s *session, email string) (sentOut, error) {
	if email == "" {
		return sentOut{}, badArgument(errors.New("email is needed"))
	}
	if err := c.attempt(ctx, s.collection+" "+email); err != nil {
		return sentOut{}, err
	}
	as, err := c.signedIn(ctx)
	if err != nil {
		return sentOut{}, err
	}
	body, err := json.Marshal(map[string]any{"newEmail": email})
	if err != nil {
		return sentOut{}, err
	}
	_, err = c.do(ctx, as, request{method: http.MethodPost, path: []string{"collections", s.collection, "request-email-change"}, body: body})
	if isStatus(err, http.StatusBadRequest) { // an address that another account has
		err = nil
	}
	return sentOut{"if the address is free, a mail is on its way"}, err
}
