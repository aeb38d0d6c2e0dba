package mcpsec

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

const (
	wellKnown     = "/.well-known/oauth-protected-resource" // RFC 9728, section 3
	maxToken      = 8 << 10                                 // bytes
	verifyTimeout = 10 * time.Second
	maxVerifying  = 32 // tokens of one address that are looked at at once
)

// authenticate says who sends a request, by its own token only, or answers it.
// An address that was refused too often is refused without a look at the token.
func (e *endpoint) authenticate(x *httpExchange) (Principal, bool) {
	if e.o.Verifier == nil {
		return e.Server.principal, true
	}
	x.remote = e.remote(x.r)
	if e.exhausted(x.remote) {
		x.refuse(tooManyRefused)
		return Principal{}, false
	}
	token, status := bearer(x.r)
	var p Principal
	if status == nil {
		if !e.verifying.enter(x.remote, maxVerifying) {
			x.refuse(tooMany)
			return Principal{}, false
		}
		defer e.verifying.leave(x.remote)
		p, status = e.verify(x.r.Context(), token)
	}
	if status == nil {
		return p, true
	}
	if status != unavailable {
		e.addresses.take(x.remote, time.Now(), refusalsPerSecond)
		x.challenge(status.oauth, e.o.Scopes)
	}
	x.refuse(status)
	return Principal{}, false
}

// bearer takes the token out of the Authorization header: RFC 6750, section 2.1,
// and no other way of sending one. A query is refused whatever it holds, since
// the endpoint has none, and tokens in it end up in logs.
func bearer(r *http.Request) (string, *httpStatus) {
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return "", queryRefused
	}
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return "", noToken
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	switch {
	case len(headers) > 1:
		return "", malformedToken
	case !strings.EqualFold(scheme, "Bearer"):
		return "", noToken
	case len(token) > maxToken || !isToken68(token):
		return "", malformedToken
	}
	return token, nil
}

// isToken68 is RFC 6750's b64token.
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/", r)
	})
}

// verify asks the Verifier. An error that is not about the token is ours.
func (e *endpoint) verify(ctx context.Context, token string) (Principal, *httpStatus) {
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	p, err := guardedVerify(ctx, e.o.Verifier, token)
	if err == nil {
		err = checkPrincipal(p)
	} else if errors.Is(err, ErrInvalidToken) {
		return Principal{}, invalidToken
	}
	if err != nil {
		if ok, more := e.failures.admit(time.Now()); ok {
			e.log.ErrorContext(ctx, "token not verified", "error", strings.ReplaceAll(err.Error(), token, redact.Mask), "more", more)
		}
		return Principal{}, unavailable
	}
	return Principal{ID: p.ID, Scopes: slices.Clone(p.Scopes)}, nil
}

func guardedVerify(ctx context.Context, v TokenVerifier, token string) (p Principal, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the Verifier panicked: %v", r)
		}
	}()
	return v(ctx, token)
}

// checkPrincipal refuses a caller without a name: all of them would be one.
func checkPrincipal(p Principal) error {
	if p.ID == "" {
		return errors.New("the Verifier returned a Principal whose ID is empty")
	}
	if err := checkID(p.ID); err != nil {
		return fmt.Errorf("the Verifier returned a Principal: %w", err)
	}
	return nil
}

// challenge sets WWW-Authenticate by RFC 6750, section 3, and RFC 9728, section
// 5.1. Nothing in it comes from the request.
func (x *httpExchange) challenge(code string, scopes []string) {
	var params []string
	for _, p := range []struct{ name, value string }{
		{"error", code}, {"scope", strings.Join(scopes, " ")}, {"resource_metadata", x.e.metadataURL},
	} {
		if p.value != "" {
			params = append(params, p.name+`="`+p.value+`"`)
		}
	}
	x.w.Header().Set("WWW-Authenticate", strings.TrimSpace("Bearer "+strings.Join(params, ", ")))
}

// authorize answers a request whose caller lacks scopes with the challenge that
// names all it needs at once. Without StepUp what it is for does not exist for
// this caller, which the pipeline says.
func (e *endpoint) authorize(x *httpExchange, method string) bool {
	o := e.operationFor(method, x.meta.Name, x.meta.URI, *x.principal)
	if o == nil {
		return true
	}
	missing := o.lacks(*x.principal)
	if missing == nil {
		return true
	}
	if x.metered() {
		x.op = o
		x.challenge(insufficientScope.oauth, missing)
		x.refuse(insufficientScope)
	}
	return false
}
