package auth

import (
	"encoding/base64"
	"errors"
	"math"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

// A signedToken is a JWS in compact form (RFC 7515, section 3.1), each part read
// once and by one reader.
type signedToken struct {
	header    header
	claims    claims
	signed    string // what the signature is of
	signature []byte
}

func readToken(token string) (*signedToken, error) {
	parts, ok := split(token)
	if !ok {
		return nil, invalid("it is not a signed JWT")
	}
	t := &signedToken{signed: token[:strings.LastIndexByte(token, '.')]}
	if decode(parts[0], &t.header) != nil {
		return nil, invalid("its header is malformed")
	}
	if decode(parts[1], &t.claims) != nil {
		return nil, invalid("it is malformed")
	}
	var err error
	if t.signature, err = base64url.DecodeString(parts[2]); err != nil {
		return nil, invalid("its signature is malformed")
	}
	return t, nil
}

// base64url refuses padding and bits that are left over.
var base64url = base64.RawURLEncoding.Strict()

// split returns the parts of a JWS in compact form. It refuses what the base64
// decoder would overlook, line breaks among them.
func split(token string) (parts []string, ok bool) {
	if len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	}) {
		return nil, false
	}
	parts = strings.Split(token, ".")
	return parts, len(parts) == 3
}

// decode reads one part of a token. Members that occur twice, invalid UTF-8 and
// null documents are errors.
func decode(part string, v any) error {
	doc, err := base64url.DecodeString(part)
	if err != nil {
		return err
	}
	return decodeObject(doc, v)
}

func decodeObject(doc []byte, v any) error {
	if jsontext.Value(doc).Kind() != '{' {
		return errNotJSON
	}
	return json.Unmarshal(doc, v)
}

// A header is the first part of a token. The members that bring a key along, or
// say where to get one, and extensions that must be understood (RFC 7515,
// section 4.1) are looked for to be refused.
type header struct {
	Alg  string         `json:"alg"`
	Kid  string         `json:"kid"`
	Typ  string         `json:"typ"`
	Crit jsontext.Value `json:"crit"`
	JKU  jsontext.Value `json:"jku"`
	JWK  jsontext.Value `json:"jwk"`
	X5U  jsontext.Value `json:"x5u"`
	X5C  jsontext.Value `json:"x5c"`
	B64  jsontext.Value `json:"b64"`
}

// foreign reports whether the header has a member that no token of ours needs.
func (h *header) foreign() bool {
	return h.Crit != nil || h.JKU != nil || h.JWK != nil || h.X5U != nil || h.X5C != nil || h.B64 != nil
}

// typ returns the type in lower case, without the prefix that may be left out
// (RFC 7515, section 4.1.9).
func (h *header) typ() string {
	return strings.TrimPrefix(strings.ToLower(h.Typ), "application/")
}

// A seconds is a NumericDate (RFC 7519, section 2).
type seconds float64

func (s *seconds) date() (*jwt.NumericDate, error) {
	if s == nil {
		return nil, nil
	}
	if v := float64(*s); !(v >= 0 && v < 1<<40) {
		return nil, errors.New("not a date")
	}
	whole, part := math.Modf(float64(*s))
	return jwt.NewNumericDate(time.Unix(int64(whole), int64(part*1e9))), nil
}

// claims is the second part of a token.
type claims struct {
	Iss   string   `json:"iss"`
	Sub   string   `json:"sub"`
	Aud   names    `json:"aud"`
	Exp   *seconds `json:"exp"`
	Nbf   *seconds `json:"nbf"`
	Iat   *seconds `json:"iat"`
	Scope scopes   `json:"scope"`
	Scp   scopes   `json:"scp"`

	Cnf    jsontext.Value `json:"cnf"`
	Nonce  jsontext.Value `json:"nonce"`
	AtHash jsontext.Value `json:"at_hash"`
	CHash  jsontext.Value `json:"c_hash"`
	Events jsontext.Value `json:"events"`
	Typ    jsontext.Value `json:"typ"`
}

// otherUse says what else than an access token this is, or "". ID tokens have
// claims of OIDC Core, sections 2 and 3.3.2.11; logout tokens have events;
// Keycloak tells by typ.
func (c *claims) otherUse(typ string) string {
	switch own := string(c.Typ); {
	case c.Events != nil, own == `"Logout"`:
		return "it is an event"
	case own == `"ID"`, typ != accessTokenType && (c.Nonce != nil || c.AtHash != nil || c.CHash != nil):
		return "it is an ID token"
	case own == `"Refresh"`, own == `"Offline"`:
		return "it is a refresh token"
	}
	return ""
}

// granted returns the scopes: those of scope (RFC 9068, section 2.2.3), and
// where it is missing those of scp, which some servers write instead.
func (c *claims) granted() []string {
	if c.Scope != nil {
		return c.Scope
	}
	return c.Scp
}

// The methods of jwt.Claims, of which the validator uses those of times.

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.Exp.date() }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return c.Iat.date() }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return c.Nbf.date() }
func (c *claims) GetIssuer() (string, error)                   { return c.Iss, nil }
func (c *claims) GetSubject() (string, error)                  { return c.Sub, nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return jwt.ClaimStrings(c.Aud), nil }
