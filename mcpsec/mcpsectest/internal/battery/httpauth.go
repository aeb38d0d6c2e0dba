package battery

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

var credentialChecks = []Check{
	{
		ID: "http/open", Severity: Info, Over: HTTP, Title: "the server asks for no credentials",
		Proof:  "A request without credentials was answered with a result. Info on this machine, where each process and user can call it; medium elsewhere, and where credentials were given and are not needed.",
		Remedy: "Ask for a bearer token, or serve a Unix socket or standard input and output.",
		Run:    withoutAsking,
	},
	{
		ID: "http/plain", Severity: Medium, Over: HTTP, Title: "messages go over the network in plain text",
		Proof:  "The URL begins with http:// and is not on this machine. High where credentials go with it.",
		Remedy: "Serve TLS, or put a proxy in front that does.",
		Run:    plainText,
	},
	{
		ID: "http/token", Severity: Critical, Over: HTTP, Title: "a forged token is accepted",
		Proof:  "Without a token the server refuses, and it answered with a result when the token was one that nobody issued, or the given one (a JWT) with another signature or with the algorithm none.",
		Remedy: "Check signature, issuer, audience and expiry of each token, with algorithms that the server chooses.",
		Run:    forgedToken,
	},
	{
		ID: "http/token-query", Severity: Medium, Over: HTTP, Title: "a token in the URL is accepted",
		Proof:  "The given token was sent as ?access_token= instead of the header, and accepted. URLs stand in logs and histories. It stands in the log of this server now, too.",
		Remedy: "Take tokens from the Authorization header only.",
		Run:    tokenInQuery,
	},
	{
		ID: "http/challenge", Severity: Low, Over: HTTP, Title: "a client is not told how to authenticate",
		Proof:  "A request without credentials was refused with another status than 401, without WWW-Authenticate, or the metadata of RFC 9728 that it names is for another resource, or on another host. Medium where the metadata names an authorization server in plain text.",
		Remedy: "Answer with 401 and WWW-Authenticate: Bearer resource_metadata=\"…\", and serve the metadata.",
		Run:    challenge,
	},
	{
		ID: "http/echo", Severity: Medium, Over: HTTP, Title: "an answer repeats the credentials that came",
		Proof:  "A made-up token that was sent in Authorization, in a request that was refused and in one that cannot be read, stands in the answer. Models and logs read answers.",
		Remedy: "Answer with constant texts, and remove Authorization before anything else sees the request.",
		Run:    echoedToken,
	},
}

func withoutAsking(ctx context.Context, p *Probe) []Finding {
	switch given := len(p.Target.Header) > 0; {
	case !p.open(ctx):
		return nil
	case given && p.Target.Header.Get("Authorization") != "":
		return one(Medium, "a request without the given credentials was answered with a result, too")
	default:
		return one(worse(p.local(), Info, Medium), "a request without credentials was answered with a result")
	}
}

func plainText(_ context.Context, p *Probe) []Finding {
	if p.address().Scheme != "http" || p.local() {
		return nil
	}
	return one(worse(p.Target.Header.Get("Authorization") != "", High, Medium), "the URL is %s", p.address().Redacted())
}

// noToken is one that nobody issued.
var noToken = strings.Repeat("0", 32)

func forgedToken(ctx context.Context, p *Probe) []Finding {
	token := p.bearer()
	if token == "" || p.open(ctx) {
		return nil
	}
	accepted := func(forged string) bool {
		return forged != token && p.shoot(ctx, "a forged token", setHeader("Authorization", "Bearer "+forged)).accepted()
	}
	if accepted(noToken) {
		return one(0, "a token of 32 zeros was accepted")
	}
	parts := strings.Split(token, ".")
	var header map[string]any
	if len(parts) != 3 {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || json.Unmarshal(raw, &header) != nil || len(parts[2]) < 4 {
		return nil
	}
	if accepted(parts[0] + "." + parts[1] + "." + flip(parts[2])) {
		return one(0, "the given token was accepted with another signature")
	}
	for _, name := range []string{"none", "None", "NONE"} {
		header["alg"] = name
		none := base64.RawURLEncoding.EncodeToString([]byte(encode(header)))
		if accepted(none + "." + parts[1] + ".") {
			return one(0, "the given token was accepted without a signature, with alg %s", name)
		}
	}
	return nil
}

func tokenInQuery(ctx context.Context, p *Probe) []Finding {
	token := p.bearer()
	if token == "" || p.open(ctx) {
		return nil
	}
	a := p.shoot(ctx, "a token in the URL", func(r *http.Request) {
		r.Header.Del("Authorization")
		q := r.URL.Query()
		q.Set("access_token", token)
		r.URL.RawQuery = q.Encode()
	})
	if !a.accepted() {
		return nil
	}
	return one(0, "a request with ?access_token= and without Authorization was answered with a result")
}

var metadataOf = lazy.Regexp(`(?i)\bresource_metadata="([^"]*)"`)

func challenge(ctx context.Context, p *Probe) []Finding {
	if p.open(ctx) || p.bearer() == "" || p.anonymous.status == 0 {
		return nil
	}
	header := strings.Join(p.anonymous.header.Values("WWW-Authenticate"), ", ")
	switch {
	case p.anonymous.status == http.StatusTooManyRequests:
		return nil
	case p.anonymous.status != http.StatusUnauthorized:
		return one(0, "a request without credentials was answered with status %d, and not 401", p.anonymous.status)
	case header == "":
		return one(0, "status 401 came without WWW-Authenticate")
	}
	m := metadataOf().FindStringSubmatch(header)
	if m == nil {
		return nil // keys that an operator hands out need none
	}
	return p.metadata(ctx, m[1])
}

// metadata judges the document of RFC 9728 that a challenge names. It asks no other
// host for it.
func (p *Probe) metadata(ctx context.Context, at string) []Finding {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" {
		return one(0, "resource_metadata is no URL: %s", at)
	}
	if u.Host != p.address().Host {
		return one(0, "resource_metadata is on another host: %s", at)
	}
	a := p.fire(ctx, "metadata", func(r *http.Request) {
		p.withoutCredentials(r)
		r.Method, r.Body, r.ContentLength = http.MethodGet, http.NoBody, 0
		r.URL, r.Host = u, u.Host
	})
	var d struct {
		Resource             string   `json:"resource"`
		AuthorizationServers []string `json:"authorization_servers"`
	}
	if a.status != http.StatusOK || json.Unmarshal(a.body, &d) != nil {
		return one(0, "there is no metadata at %s: status %d", at, a.status)
	}
	plain := func(s string) bool {
		as, err := url.Parse(s)
		return err != nil || as.Scheme != "https" && !(&Probe{Target: Target{URL: s}}).local()
	}
	want := strings.TrimSuffix(p.Target.URL, "/")
	switch i := slices.IndexFunc(d.AuthorizationServers, plain); {
	case i >= 0:
		return one(Medium, "the metadata names the authorization server %s", d.AuthorizationServers[i])
	case len(d.AuthorizationServers) == 0:
		return one(0, "the metadata names no authorization server")
	case d.Resource != want && !strings.HasPrefix(want, strings.TrimSuffix(d.Resource, "/")+"/"):
		return one(0, "the metadata is for the resource %s", d.Resource)
	}
	return nil
}

func echoedToken(ctx context.Context, p *Probe) []Finding {
	for what, body := range map[string]string{"a made-up token": "", "a made-up token and garbage": "garbage"} {
		a := p.shoot(ctx, what, func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer "+marker)
			if body != "" {
				setBody(r, []byte(body))
			}
		})
		for _, text := range append(slices.Concat(values(a.header)...), string(a.body)) {
			if strings.Contains(text, marker) {
				return one(0, "the answer to a request with Authorization: Bearer %s has %s", marker, around(text, marker))
			}
		}
	}
	return nil
}

func values(h http.Header) [][]string {
	var out [][]string
	for _, v := range h {
		out = append(out, v)
	}
	return out
}
