package auth_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
)

func TestJWTAllows(t *testing.T) {
	t.Parallel()
	for name, token := range map[string]func() string{
		"RS256":                 good,
		"PS256":                 func() string { return signed(rsaKey(), with(goodHead(), "alg", "PS256"), goodClaims()) },
		"ES256":                 func() string { return signed(ecKey(), object{"alg": "ES256", "kid": "e1"}, goodClaims()) },
		"EdDSA":                 func() string { return signed(edKey(), object{"alg": "EdDSA", "kid": "d1"}, goodClaims()) },
		"no kid, one key fits":  func() string { return signed(ecKey(), object{"alg": "ES256"}, goodClaims()) },
		"no typ":                func() string { return signed(rsaKey(), with(goodHead(), "typ", nil), goodClaims()) },
		"typ JWT":               func() string { return signed(rsaKey(), with(goodHead(), "typ", "JWT"), goodClaims()) },
		"typ in full":           func() string { return signed(rsaKey(), with(goodHead(), "typ", "application/AT+JWT"), goodClaims()) },
		"thumbprint":            func() string { return signed(rsaKey(), with(goodHead(), "x5t", "abc"), goodClaims()) },
		"audience with a slash": func() string { return signed(rsaKey(), goodHead(), with(goodClaims(), "aud", resource+"/")) },
		"one of several":        func() string { return signed(rsaKey(), goodHead(), with(goodClaims(), "aud", []string{"x", resource})) },
		"unknown claims":        func() string { return signed(rsaKey(), goodHead(), with(goodClaims(), "x", object{"y": []int{1}})) },
		"fraction of a second": func() string {
			return signed(rsaKey(), goodHead(), with(goodClaims(), "exp", float64(time.Now().Unix())+0.5))
		},
		"at+jwt with a nonce": func() string { return signed(rsaKey(), goodHead(), with(goodClaims(), "nonce", "n")) },
		"deep claims": func() string {
			return signed(rsaKey(), goodHead(), with(goodClaims(), "x", json.RawMessage(strings.Repeat("[", 2500)+strings.Repeat("]", 2500))))
		},
		"Keycloak's access token": func() string { return signed(rsaKey(), goodHead(), with(goodClaims(), "typ", "Bearer")) },
	} {
		bubble(t, name, func(t *testing.T) {
			p := allow(t, verifier(t, options(publishing(allKeys()...))), token())
			if p.ID != issuerURL+"|ann" || !slices.Equal(p.Scopes, []string{"orders:read", "orders:write"}) {
				t.Errorf("got %+v", p)
			}
		})
	}
}

// What RFC 8725 warns of, and tokens that were issued for another server (AUTH-02,
// SBP-01).
func TestJWTDenies(t *testing.T) {
	t.Parallel()
	now := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	claims := func(members ...any) func() string {
		return func() string { return signed(rsaKey(), goodHead(), with(goodClaims(), members...)) }
	}
	head := func(members ...any) func() string {
		return func() string { return signed(rsaKey(), with(goodHead(), members...), goodClaims()) }
	}
	raw := func(claims string) func() string {
		return func() string { return signed(rsaKey(), goodHead(), fmt.Sprintf(claims, now(time.Minute))) }
	}
	public := func() []byte {
		der, _ := x509.MarshalPKIXPublicKey(rsaKey().Public())
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	for name, tc := range map[string]struct {
		token  func() string
		reason string
	}{
		// signature
		"none":                  {func() string { return signed(nil, with(goodHead(), "alg", "none"), goodClaims()) }, "algorithm is not allowed"},
		"None":                  {func() string { return encodeParts(`{"alg":"None","kid":"r1"}`, goodClaims()) + "." }, "algorithm is not allowed"},
		"HS256, the public key": {func() string { return signed(public(), with(goodHead(), "alg", "HS256"), goodClaims()) }, "algorithm is not allowed"},
		"HS256, an empty key":   {func() string { return signed([]byte{}, with(goodHead(), "alg", "HS256"), goodClaims()) }, "algorithm is not allowed"},
		"not in the list":       {func() string { return signed(rsaKey(), with(goodHead(), "alg", "RS512"), goodClaims()) }, "algorithm is not allowed"},
		"no algorithm":          {func() string { return encodeParts(`{"kid":"r1"}`, goodClaims()) + ".AAAA" }, "algorithm is not allowed"},
		"another's key":         {func() string { return signed(otherRSA(), goodHead(), goodClaims()) }, "signature is wrong"},
		"another kind of key":   {func() string { return signed(ecKey(), with(goodHead(), "alg", "ES256"), goodClaims()) }, "key is not known"},
		"another kid":           {head("kid", "d1"), "key is not known"},
		"unknown kid":           {head("kid", "hunter2"), "key is not known"},
		"no signature":          {func() string { return good()[:strings.LastIndex(good(), ".")+1] }, "signature is wrong"},
		"claims exchanged": {func() string {
			parts := strings.Split(good(), ".")
			parts[1] = strings.Split(signed(otherRSA(), goodHead(), with(goodClaims(), "sub", "root")), ".")[1]
			return strings.Join(parts, ".")
		}, "signature is wrong"},
		"header exchanged": {func() string {
			parts := strings.Split(good(), ".")
			parts[0] = strings.Split(signed(rsaKey(), with(goodHead(), "alg", "PS256"), goodClaims()), ".")[0]
			return strings.Join(parts, ".")
		}, "signature is wrong"},
		// header
		"jwk": {func() string {
			return signed(otherRSA(), with(goodHead(), "jwk", published("r1", otherRSA().Public())), goodClaims())
		}, "brings a key"},
		"jku":            {head("jku", "https://evil.example.com/keys"), "brings a key"},
		"x5u":            {head("x5u", "https://evil.example.com/cert"), "brings a key"},
		"x5c":            {head("x5c", []string{"AAAA"}), "brings a key"},
		"unknown crit":   {head("crit", []string{"exp"}), "an extension"},
		"null crit":      {head("crit", json.RawMessage("null")), "an extension"},
		"b64":            {head("b64", false), "an extension"},
		"ID token's typ": {head("typ", "id_token"), "not that of an access token"},
		"logout typ":     {head("typ", "logout+jwt"), "not that of an access token"},
		"DPoP proof":     {head("typ", "dpop+jwt"), "not that of an access token"},
		"two algorithms": {func() string { return signed(rsaKey(), `{"alg":"RS256","kid":"r1","alg":"RS256"}`, goodClaims()) }, "header is malformed"},
		"kid a number":   {head("kid", 1), "header is malformed"},
		"header null":    {func() string { return encodeParts("null", goodClaims()) + ".AAAA" }, "header is malformed"},
		"header list":    {func() string { return encodeParts("[]", goodClaims()) + ".AAAA" }, "header is malformed"},
		// form
		"empty":              {func() string { return "" }, "not a signed JWT"},
		"two parts":          {func() string { return "a.b" }, "not a signed JWT"},
		"four parts":         {func() string { return good() + ".x" }, "not a signed JWT"},
		"five parts":         {func() string { return "a.b.c.d.e" }, "not a signed JWT"},
		"line break":         {func() string { return good()[:9] + "\n" + good()[9:] }, "not a signed JWT"},
		"padded":             {func() string { return good() + "=" }, "not a signed JWT"},
		"bearer twice":       {func() string { return "Bearer " + good() }, "not a signed JWT"},
		"huge":               {claims("x", strings.Repeat("x", 8<<10)), "not a signed JWT"},
		"bits left over":     {leftOver, "malformed"},
		"claims twice":       {raw(`{"iss":"` + issuerURL + `","sub":"ann","aud":"` + resource + `","exp":%d,"sub":"root"}`), "malformed"},
		"claims twice, deep": {raw(`{"iss":"` + issuerURL + `","sub":"ann","aud":"` + resource + `","exp":%d,"x":{"a":1,"a":2}}`), "malformed"},
		"invalid UTF-8":      {raw("{\"iss\":\"" + issuerURL + "\",\"sub\":\"ann\",\"aud\":\"" + resource + "\",\"exp\":%d,\"x\":\"\xff\"}"), "malformed"},
		"data behind":        {raw(`{"iss":"` + issuerURL + `","sub":"ann","aud":"` + resource + `","exp":%d}{}`), "malformed"},
		"another case":       {raw(`{"iss":"` + issuerURL + `","SUB":"ann","aud":"` + resource + `","exp":%d}`), "subject is missing"},
		"claims null":        {func() string { return signed(rsaKey(), goodHead(), "null") }, "malformed"},
		"claims empty":       {func() string { return signed(rsaKey(), goodHead(), "{}") }, "another issuer"},
		"claims a list":      {func() string { return signed(rsaKey(), goodHead(), "[]") }, "malformed"},
		// claims
		"expired":              {claims("exp", 946_684_700), "expired"},
		"no expiry":            {claims("exp", nil), "no expiry"},
		"null expiry":          {claims("exp", json.RawMessage("null")), "no expiry"},
		"expiry a string":      {claims("exp", "9999999999"), "malformed"},
		"expiry infinite":      {claims("exp", json.RawMessage("1e999")), "malformed"},
		"expiry overflows":     {claims("exp", json.RawMessage("1e300")), "malformed"},
		"expiry negative":      {claims("exp", -1), "malformed"},
		"not yet":              {claims("nbf", 4_102_444_800), "not valid yet"},
		"nbf a string":         {claims("nbf", "0"), "malformed"},
		"issued in the future": {claims("iat", 4_102_444_800), "not valid yet"},
		"another audience":     {claims("aud", "https://evil.example.com/mcp"), "another audience"},
		"audience a prefix":    {claims("aud", resource+"/admin"), "another audience"},
		"audience's case":      {claims("aud", strings.ToUpper(resource)), "another audience"},
		"two slashes":          {claims("aud", resource+"//"), "another audience"},
		"no audience":          {claims("aud", nil), "another audience"},
		"empty audience":       {claims("aud", []string{}), "another audience"},
		"audiences in one":     {claims("aud", "x "+resource), "another audience"},
		"audience an object":   {claims("aud", object{resource: 1}), "malformed"},
		"another issuer":       {claims("iss", "https://evil.example.com"), "another issuer"},
		"issuer with a slash":  {claims("iss", issuerURL+"/"), "another issuer"},
		"no issuer":            {claims("iss", nil), "another issuer"},
		"no subject":           {claims("sub", nil), "subject is missing"},
		"empty subject":        {claims("sub", ""), "subject is missing"},
		"subject a number":     {claims("sub", 7), "malformed"},
		"subject too long":     {claims("sub", strings.Repeat("a", 256)), "subject is missing"},
		"invisible subject":    {claims("sub", "ann\u200b"), "not printable"},
		"look-alike subject":   {claims("sub", "\u0430nn"), "not printable"},
		"subject's line break": {claims("sub", "ann\nroot"), "not printable"},
		"subject's space":      {claims("sub", "ann "), "not printable"},
		"ID token, nonce": {func() string {
			return signed(rsaKey(), with(goodHead(), "typ", "JWT"), with(goodClaims(), "nonce", "n"))
		}, "ID token"},
		"ID token, at_hash": {func() string {
			return signed(rsaKey(), with(goodHead(), "typ", "JWT"), with(goodClaims(), "at_hash", "n"))
		}, "ID token"},
		"ID token, c_hash": {func() string {
			return signed(rsaKey(), with(goodHead(), "typ", "JWT"), with(goodClaims(), "c_hash", "n"))
		}, "ID token"},
		"Keycloak's ID token":   {claims("typ", "ID"), "ID token"},
		"refresh token":         {claims("typ", "Refresh"), "refresh token"},
		"offline token":         {claims("typ", "Offline"), "refresh token"},
		"logout token":          {claims("events", object{"x": object{}}), "event"},
		"Keycloak's logout":     {claims("typ", "Logout"), "event"},
		"bound to a key":        {claims("cnf", object{"jkt": "x"}), "bound to a key"},
		"scope a number":        {claims("scope", 1), "malformed"},
		"scope with a quote":    {claims("scope", `a"b`), "malformed"},
		"scope, backslash":      {claims("scope", `a\b`), "malformed"},
		"scope list with space": {claims("scope", nil, "scp", []string{"a b"}), "malformed"},
		"scope null in a list":  {claims("scope", []any{nil}), "malformed"},
		"encrypted":             {func() string { return strings.Repeat(encode([]byte(`{"alg":"dir","enc":"A256GCM"}`))+".", 4) + "AAAA" }, "not a signed JWT"},
	} {
		bubble(t, name, func(t *testing.T) {
			deny(t, verifier(t, options(publishing(allKeys()...))), tc.token(), tc.reason)
		})
	}
}

func encodeParts(head string, claims object) string {
	return encode([]byte(head)) + "." + encode(must(json.Marshal(claims)))
}

// leftOver changes bits of the signature that a lenient decoder drops: a second
// spelling of the same token.
func leftOver() string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	token := []byte(good())
	last := len(token) - 1
	token[last] = digits[strings.IndexByte(digits, token[last])+1]
	return string(token)
}

// The clock may differ by the skew, and not by more.
func TestJWTClockSkew(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		skew   time.Duration
		claim  string
		offset time.Duration
		reason string
	}{
		"expired, within":       {0, "exp", -59 * time.Second, ""},
		"expired, at the edge":  {0, "exp", -60 * time.Second, "expired"},
		"nbf at the edge":       {0, "nbf", 60 * time.Second, ""},
		"nbf beyond":            {0, "nbf", 61 * time.Second, "not valid yet"},
		"iat at the edge":       {0, "iat", 60 * time.Second, ""},
		"iat beyond":            {0, "iat", 61 * time.Second, "not valid yet"},
		"set, within":           {5 * time.Minute, "exp", -299 * time.Second, ""},
		"set, at the edge":      {5 * time.Minute, "exp", -300 * time.Second, "expired"},
		"as good as none":       {1, "exp", -1 * time.Second, "expired"},
		"as good as none, good": {1, "exp", 1 * time.Second, ""},
	} {
		bubble(t, name, func(t *testing.T) {
			opts := options(publishing(allKeys()...))
			opts.ClockSkew = tc.skew
			v := verifier(t, opts)
			token := signed(rsaKey(), goodHead(), with(goodClaims(), tc.claim, time.Now().Add(tc.offset).Unix()))
			if tc.reason == "" {
				allow(t, v, token)
			} else {
				deny(t, v, token, tc.reason)
			}
		})
	}
}

func TestJWTScopes(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		claims []any
		want   []string
	}{
		"none":               {[]any{"scope", nil}, nil},
		"words":              {[]any{"scope", " a  b "}, []string{"a", "b"}},
		"list":               {[]any{"scope", []string{"a", "b"}}, []string{"a", "b"}},
		"scp, words":         {[]any{"scope", nil, "scp", "a b"}, []string{"a", "b"}},
		"scp, list":          {[]any{"scope", nil, "scp", []string{"a", "b"}}, []string{"a", "b"}},
		"scope goes before":  {[]any{"scope", "a", "scp", "b"}, []string{"a"}},
		"empty scope counts": {[]any{"scope", "", "scp", "b"}, nil},
	} {
		bubble(t, name, func(t *testing.T) {
			p := allow(t, verifier(t, options(publishing(allKeys()...))), signed(rsaKey(), goodHead(), with(goodClaims(), tc.claims...)))
			if !slices.Equal(p.Scopes, tc.want) {
				t.Errorf("got %q, want %q", p.Scopes, tc.want)
			}
		})
	}
}

// What the options narrow is narrower.
func TestJWTOptionsNarrow(t *testing.T) {
	t.Parallel()
	bubble(t, "algorithms", func(t *testing.T) {
		opts := options(publishing(allKeys()...))
		opts.Algorithms = []string{"ES256"}
		v := verifier(t, opts)
		opts.Algorithms[0] = "RS256" // a copy is kept
		deny(t, v, good(), "algorithm is not allowed")
	})
	bubble(t, "types", func(t *testing.T) {
		opts := options(publishing(allKeys()...))
		opts.Types = []string{"at+jwt"}
		v := verifier(t, opts)
		allow(t, v, good())
		deny(t, v, signed(rsaKey(), with(goodHead(), "typ", "JWT"), goodClaims()), "not that of an access token")
		deny(t, v, signed(rsaKey(), with(goodHead(), "typ", nil), goodClaims()), "not that of an access token")
	})
}

func TestJWTRefusesOptions(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*auth.JWTOptions)
		want   string
	}{
		"no issuer":          {func(o *auth.JWTOptions) { o.Issuer = "" }, "Issuer is required"},
		"plain issuer":       {func(o *auth.JWTOptions) { o.Issuer = "http://login.example.com" }, "must begin with https"},
		"issuer with query":  {func(o *auth.JWTOptions) { o.Issuer += "?a=b" }, "no query"},
		"empty query":        {func(o *auth.JWTOptions) { o.Issuer += "?" }, "no query"},
		"issuer with a bar":  {func(o *auth.JWTOptions) { o.Issuer += "/a|b" }, "no |"},
		"issuer with a user": {func(o *auth.JWTOptions) { o.Issuer = "https://u:hunter2@login.example.com" }, "without user"},
		"issuer no URL":      {func(o *auth.JWTOptions) { o.Issuer = "login" }, "absolute URL"},
		"long issuer":        {func(o *auth.JWTOptions) { o.Issuer += "/" + strings.Repeat("a", 128) }, "at most 128"},
		"no audience":        {func(o *auth.JWTOptions) { o.Audience = "" }, "Audience is required"},
		"bare audience":      {func(o *auth.JWTOptions) { o.Audience = "orders" }, "absolute URI"},
		"audience no host":   {func(o *auth.JWTOptions) { o.Audience = "urn:orders" }, "absolute URI"},
		"keys' fragment":     {func(o *auth.JWTOptions) { o.KeysURL += "#x" }, "without user and fragment"},
		"fragment":           {func(o *auth.JWTOptions) { o.Audience += "#x" }, "without fragment"},
		"plain keys":         {func(o *auth.JWTOptions) { o.KeysURL = "http://10.0.0.1/keys" }, "KeysURL must begin with https"},
		"type's case":        {func(o *auth.JWTOptions) { o.Types = []string{"at+JWT"} }, "lower case"},
		"type in full":       {func(o *auth.JWTOptions) { o.Types = []string{"jwt", "application/at+jwt"} }, "without application/"},
		"none":               {func(o *auth.JWTOptions) { o.Algorithms = []string{"none"} }, "Algorithms may hold"},
		"HMAC":               {func(o *auth.JWTOptions) { o.Algorithms = []string{"RS256", "HS256"} }, "Algorithms may hold"},
		"too much skew":      {func(o *auth.JWTOptions) { o.ClockSkew = 5*time.Minute + 1 }, "ClockSkew"},
		"negative skew":      {func(o *auth.JWTOptions) { o.ClockSkew = -1 }, "ClockSkew"},
	} {
		opts := options(publishing())
		tc.change(&opts)
		v, err := auth.JWT(opts)
		if v != nil || err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want %q in it", name, err, tc.want)
		}
	}
}

func TestThisMachineNeedsNoTLS(t *testing.T) {
	t.Parallel()
	for _, issuer := range []string{"http://localhost:8080", "http://127.0.0.1:8080/realms/x", "http://[::1]:80"} {
		if _, err := auth.JWT(auth.JWTOptions{Issuer: issuer, Audience: resource}); err != nil {
			t.Errorf("%s: %v", issuer, err)
		}
	}
	for _, issuer := range []string{"http://localhost.evil.example.com", "http://127.0.0.1.evil.example.com", "http://0.0.0.0", "ftp://localhost"} {
		if _, err := auth.JWT(auth.JWTOptions{Issuer: issuer, Audience: resource}); err == nil {
			t.Errorf("%s: accepted", issuer)
		}
	}
}
