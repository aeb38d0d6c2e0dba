package pbtool

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// SchemaReadTools returns the tools that show collections, as Options.Superuser
// sees them: pb_list_collections, pb_describe_collection and pb_audit_rules. They
// show no records, and no collections but those that tools for records may use, but
// for how superusers sign in. It panics if
// Options.Superuser is missing.
func SchemaReadTools(c *Client) []*mcpsec.Tool {
	c.needSuperuser("SchemaReadTools")
	return []*mcpsec.Tool{collectionsTool(c), describeTool(c), auditTool(c)}
}

func (c *Client) needSuperuser(set string) {
	if c.super == nil {
		panic("pbtool: " + set + ": " + strings.TrimPrefix(errNoSuperuser.Error(), "pbtool: "))
	}
}

// asSuperuser makes a request of a set that needs it. What comes back does not hold the
// history's key, which stands in a rule.
func (c *Client) asSuperuser(ctx context.Context, rq request) ([]byte, error) {
	as, err := c.superuser()
	if err != nil {
		return nil, err
	}
	body, err := c.do(ctx, as, rq)
	if key := c.o.History.Key.Reveal(); key != "" {
		body = bytes.ReplaceAll(body, []byte(key), []byte(keptKey))
	}
	return body, err
}

type collectionsIn struct {
	Page int `json:"page" validate:"min=0,max=1000"`
}

type collectionsOut struct {
	Collections []string `json:"collections"`
	More        bool     `json:"more,omitempty"`
}

const collectionsPage = 200

func collectionsTool(c *Client) *mcpsec.Tool {
	return mcpsec.NewTool(shown(c.spec("pb_list_collections", "List PocketBase's collections: name and type (base, auth, view). PocketBase's own are left out.", mcpsec.Read), ``, pageProperty),
		func(ctx context.Context, in collectionsIn) (mcpsec.Content, error) {
			v := url.Values{"perPage": {strconv.Itoa(collectionsPage)}, "page": {strconv.Itoa(max(in.Page, 1))}, "sort": {"name"}, "fields": {"name,type,system"}, "skipTotal": {"1"}}
			body, err := c.asSuperuser(ctx, request{method: http.MethodGet, path: []string{"collections"}, query: v})
			if err != nil {
				return mcpsec.Content{}, err
			}
			var said struct {
				Items []schema `json:"items"`
			}
			if json.Unmarshal(body, &said) != nil {
				return mcpsec.Content{}, errAnswer
			}
			out := collectionsOut{Collections: []string{}, More: len(said.Items) == collectionsPage}
			for _, k := range said.Items {
				if _, err := c.collection(k.Name); err == nil {
					out.Collections = append(out.Collections, k.Name+": "+k.Type)
				}
			}
			return asText(out, nil)
		})
}

type describeIn struct {
	Collection string `json:"collection" validate:"required,max=100"`
}

// describeOut is what is shown of a schema. Its own schema would say little.
type describeOut struct {
	Collection json.RawMessage `json:"collection" mcpsec:"any"`
}

type description struct {
	Name    string            `json:"name"`
	Type    string            `json:"type"`
	Fields  []json.RawMessage `json:"fields"`
	Rules   map[string]string `json:"rules"`
	Indexes []string          `json:"indexes,omitempty"`
	Query   string            `json:"query,omitempty"`
}

func describeTool(c *Client) *mcpsec.Tool {
	return mcpsec.NewTool(shown(c.spec("pb_describe_collection", "Describe a PocketBase collection: fields, what its API rules allow whom, indexes, a view's query.", mcpsec.Read), `"collection"`, collectionProperty),
		func(ctx context.Context, in describeIn) (describeOut, error) {
			d, err := c.describe(ctx, in.Collection)
			if err != nil {
				return describeOut{}, err
			}
			raw, err := json.Marshal(d)
			return describeOut{raw}, err
		})
}

// A schema is what is read of a collection. Its tokens' secrets, mail templates and
// OAuth2 clients are not.
type schema struct {
	ID         string           `json:"id"`
	Name       string           `json:"name"`
	System     bool             `json:"system"`
	Type       string           `json:"type"`
	Fields     []map[string]any `json:"fields"`
	ListRule   *string          `json:"listRule"`
	ViewRule   *string          `json:"viewRule"`
	CreateRule *string          `json:"createRule"`
	UpdateRule *string          `json:"updateRule"`
	DeleteRule *string          `json:"deleteRule"`
	AuthRule   *string          `json:"authRule"`
	ManageRule *string          `json:"manageRule"`
	Indexes    []string         `json:"indexes"`
	ViewQuery  string           `json:"viewQuery"`
}

func (c *Client) schema(ctx context.Context, name string) (schema, error) {
	k, err := c.collection(name)
	if err != nil {
		return schema{}, err
	}
	body, err := c.asSuperuser(ctx, request{method: http.MethodGet, path: []string{"collections", k.Name}})
	if err != nil {
		return schema{}, err
	}
	var s schema
	if json.Unmarshal(body, &s) != nil || s.Name == "" {
		return schema{}, errAnswer
	}
	if _, err := c.collection(s.Name); err != nil { // an id led to another one
		return schema{}, err
	}
	return s, nil
}

// fieldOptions are what is shown of a field's options, in this order.
var fieldOptions = []string{
	"name", "type", "required", "hidden", "primaryKey", "min", "max", "pattern", "onlyInt", "values", "maxSelect", "minSelect", "collection", "cascadeDelete", "maxSize", "mimeTypes", "protected", "onCreate", "onUpdate",
}

func (c *Client) describe(ctx context.Context, name string) (description, error) {
	s, err := c.schema(ctx, name)
	if err != nil {
		return description{}, err
	}
	out := description{Name: s.Name, Type: s.Type, Fields: []json.RawMessage{}, Rules: s.rules(), Indexes: s.Indexes, Query: s.ViewQuery}
	for _, f := range s.Fields {
		if n, ok := f["name"].(string); !ok || isSecret(n) {
			continue
		}
		if id, ok := f["collectionId"].(string); ok {
			if f["collection"], err = c.nameOf(ctx, id); err != nil {
				return description{}, err
			}
		}
		raw, err := shownField(f)
		if err != nil {
			return description{}, err
		}
		out.Fields = append(out.Fields, raw)
	}
	return out, nil
}

// shownField leaves out what is not set.
func shownField(f map[string]any) (json.RawMessage, error) {
	b := []byte{'{'}
	for _, o := range fieldOptions {
		bound := f["type"] == "number" && (o == "min" || o == "max") // elsewhere 0 is none
		switch v := f[o]; {
		case v == nil, v == false, v == "", v == 0.0 && !bound:
		default:
			raw, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			if s := string(raw); s == "[]" || s == "null" {
				continue
			}
			if len(b) > 1 {
				b = append(b, ',')
			}
			b = append(append(append(append(b, '"'), o...), `":`...), raw...)
		}
	}
	return append(b, '}'), nil
}

// nameOf returns the name of the collection that a relation leads to, or nothing
// if that may not be used.
func (c *Client) nameOf(ctx context.Context, id string) (string, error) {
	if !collectionName().MatchString(id) {
		return "", nil
	}
	body, err := c.asSuperuser(ctx, request{method: http.MethodGet, path: []string{"collections", id}, query: url.Values{"fields": {"name"}}})
	if err != nil {
		return "", err
	}
	var s schema
	if json.Unmarshal(body, &s) != nil {
		return "", errAnswer
	}
	if _, err := c.collection(s.Name); err != nil {
		return "", nil
	}
	return s.Name, nil
}

// rules says whom each rule lets in. A rule that is null is not the same as one
// that is empty, which many have learnt from their data.
func (s schema) rules() map[string]string {
	rules := map[string]*string{"list": s.ListRule, "view": s.ViewRule, "create": s.CreateRule, "update": s.UpdateRule, "delete": s.DeleteRule}
	if s.Type == "auth" {
		rules["auth"], rules["manage"] = s.AuthRule, s.ManageRule
	}
	out := map[string]string{}
	for name, r := range rules {
		switch {
		case s.Type == "view" && name != "list" && name != "view":
		case r == nil && name == "auth":
			out[name] = "nobody can sign in"
		case r == nil && name == "manage":
			out[name] = "nobody but superusers manages others' accounts"
		case r == nil:
			out[name] = "superusers only"
		case *r == "" && name == "auth":
			out[name] = "every account can sign in"
		case *r == "":
			out[name] = "everyone, guests included"
		default:
			out[name] = "who fulfils: " + *r
		}
	}
	return out
}
