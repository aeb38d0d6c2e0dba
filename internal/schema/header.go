package schema

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

const (
	headerLabel   = "header="
	headerKeyword = "x-mcp-header" // MCP 2026-07-28, Streamable HTTP, custom headers
)

// headerName is a token of RFC 9110 that is readable, too.
var headerName = lazy.Regexp(`^[A-Za-z0-9-]{1,64}$`)

// header has a member repeated in a header of that name, where every proxy and
// its logs see it: not one that holds a secret.
func (b *builder) header(f strictjson.Field, s *jsonschema.Schema, name string) error {
	lower := strings.ToLower(name)
	switch k := f.Type.Kind(); {
	case !headerName().MatchString(name):
		return errors.New("the name of a header is 1 to 64 letters, digits and hyphens")
	case k != reflect.String && k != reflect.Bool && (k < reflect.Int || k > reflect.Uint64) || ownForm(f.Type):
		return errors.New("only a string, an integer or a boolean can stand in a header")
	case Secretive(f.JSON) || Secretive(name):
		return errors.New("its name speaks of a secret, which must not stand in a header")
	case slices.Contains(b.headers, lower):
		return errors.New("another member stands in a header of that name")
	}
	b.headers = append(b.headers, lower)
	s.Extra = map[string]any{headerKeyword: name}
	return nil
}

// Headers are the names of the headers that members of the type stand in, by
// member.
func (p *Plan) Headers() map[string]string {
	out := map[string]string{}
	for member, s := range p.Schema.Properties {
		if name, ok := s.Extra[headerKeyword].(string); ok {
			out[member] = name
		}
	}
	return out
}
