package stripetool

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76/form"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// resource returns a resource that the operator has listed.
func (c *Client) resource(name string) (*resource, error) {
	if !slices.Contains(c.o.Resources, name) {
		return nil, &mcpsec.Error{Message: "the operator has not listed this resource", Rule: "resource"}
	}
	return resources[name], nil
}

type listIn struct {
	Resource    string            `json:"resource" validate:"required,max=40"`
	Filter      map[string]string `json:"filter" validate:"max=8,dive,keys,max=40,endkeys,max=200"`
	CreatedFrom string            `json:"created_from" validate:"max=40"`
	CreatedTo   string            `json:"created_to" validate:"max=40"`
	After       string            `json:"after" validate:"max=500"`
	Limit       *int              `json:"limit" validate:"omitempty,min=1"`
}

type listOut struct {
	Items []json.RawMessage `json:"items"`
	More  bool              `json:"more"`
	Next  string            `json:"next,omitempty"`
}

func listTool(c *Client) *mcpsec.Tool {
	var parts []string
	for _, name := range c.o.Resources {
		if r := resources[name]; len(r.filters) > 0 {
			part := name + ": " + strings.Join(r.filters, " ")
			if r.required != "" {
				part += " (required: " + r.required + ")"
			}
			parts = append(parts, part)
		}
	}
	spec := c.spec("stripe_list", fmt.Sprintf("List objects, the newest first, at most %d. Amounts are in the currency's smallest unit. Filters: %s.", c.o.MaxItems, strings.Join(parts, "; ")), mcpsec.Read)
	spec.InputSchema = schemaOf(`"resource"`, resourceProperty(c.o.Resources),
		`"filter":{"type":"object","maxProperties":8,"additionalProperties":{"type":"string","maxLength":200}}`,
		`"created_from":{"type":"string","maxLength":40,"description":"2026-01-31 or 2026-01-31T12:00:00Z"}`, `"created_to":{"type":"string","maxLength":40,"description":"before this"}`,
		`"after":{"type":"string","maxLength":500,"description":"next of the answer before"}`, `"limit":{"type":"integer","minimum":1}`)
	return mcpsec.NewTool(spec, c.list)
}

func refuse(text, rule string) error { return &mcpsec.Error{Message: text, Rule: rule} }

// filterValue is one of an id, a state, a code, an e-mail address, a word.
var filterValue = lazy.Regexp(`^[A-Za-z0-9_.@+*-]{1,200}$`)

func (c *Client) list(ctx context.Context, in listIn) (listOut, error) {
	r, err := c.resource(in.Resource)
	if err != nil {
		return listOut{}, err
	}
	f := &form.Values{}
	for _, name := range slices.Sorted(maps.Keys(in.Filter)) {
		switch v := in.Filter[name]; {
		case !slices.Contains(r.filters, name):
			return listOut{}, refuse("the resource has no such filter: it has "+strings.Join(r.filters, ", "), "filter")
		case !filterValue().MatchString(v):
			return listOut{}, refuse("a filter's value must be an id, a state, a code or an e-mail address", "filter")
		default:
			f.Add(name, v)
		}
	}
	if r.required != "" && in.Filter[r.required] == "" {
		return listOut{}, refuse("the resource is listed with the filter "+r.required, "filter")
	}
	if err := created(f, r, in); err != nil {
		return listOut{}, err
	}
	if in.After != "" {
		if err := r.id(in.After); err != nil {
			return listOut{}, err
		}
		f.Add("starting_after", in.After)
	}
	return c.page(ctx, r, f, in.Limit, false, r.path...)
}

func created(f *form.Values, r *resource, in listIn) error {
	for name, text := range map[string]string{"created[gte]": in.CreatedFrom, "created[lt]": in.CreatedTo} {
		if text == "" {
			continue
		}
		if r.undated {
			return refuse("the resource cannot be listed by date", "filter")
		}
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t, err = time.Parse(time.DateOnly, text)
		}
		if err != nil {
			return refuse("a date must be as 2026-01-31, or 2026-01-31T12:00:00Z", "filter")
		}
		f.Add(name, strconv.FormatInt(t.Unix(), 10))
	}
	return nil
}

// page reads one page, and trims its objects.
func (c *Client) page(ctx context.Context, r *resource, f *form.Values, limit *int, search bool, path ...string) (listOut, error) {
	n := min(c.o.MaxItems, 10)
	if limit != nil {
		if n = *limit; n > c.o.MaxItems {
			return listOut{}, refuse(fmt.Sprintf("limit must be at most %d", c.o.MaxItems), "limit")
		}
	}
	f.Add("limit", strconv.Itoa(n))
	var said struct {
		Data    []json.RawMessage `json:"data"`
		HasMore bool              `json:"has_more"`
		Next    string            `json:"next_page"`
	}
	if err := c.get(ctx, &said, f, path...); err != nil {
		return listOut{}, err
	}
	if len(said.Data) > n {
		return listOut{}, errAnswer
	}
	out := listOut{Items: []json.RawMessage{}, More: said.HasMore}
	size := 0
	for _, raw := range said.Data {
		o, ok := r.fields.trim(raw)
		if !ok {
			return listOut{}, errAnswer
		}
		if size += len(o) + 1; size > c.o.MaxBytes {
			if out.More = true; search || len(out.Items) == 0 { // the next page of a search begins behind what was left out
				return listOut{}, refuse(fmt.Sprintf("that is more than %d bytes: lower limit", c.o.MaxBytes), "size")
			}
			break
		}
		out.Items = append(out.Items, o)
	}
	switch {
	case !out.More || len(out.Items) == 0:
	case search && pageToken().MatchString(said.Next):
		out.Next = said.Next
	case !search:
		var last struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(out.Items[len(out.Items)-1], &last) == nil && r.id(last.ID) == nil {
			out.Next = last.ID
		}
	}
	return out, nil
}

// pageToken is what Stripe calls next_page.
var pageToken = lazy.Regexp(`^[A-Za-z0-9_=+/-]{1,500}$`)

type searchIn struct {
	Resource string      `json:"resource" validate:"required,max=40"`
	Where    []condition `json:"where" validate:"min=1,max=10"`
	Any      bool        `json:"any"`
	After    string      `json:"after" validate:"max=500"`
	Limit    *int        `json:"limit" validate:"omitempty,min=1"`
}

type condition struct {
	Field string `json:"field" validate:"required,max=60"`
	Op    string `json:"op" validate:"required,oneof=eq ne contains gt ge lt le empty"`
	Value string `json:"value" validate:"max=200"`
}

func (c *Client) searchable() []string {
	return slices.DeleteFunc(slices.Clone(c.o.Resources), func(name string) bool { return resources[name].search == nil })
}

func searchTool(c *Client) *mcpsec.Tool {
	var parts []string
	for _, name := range c.searchable() {
		parts = append(parts, name+": "+strings.Join(resources[name].search, " "))
	}
	spec := c.spec("stripe_search", "Search objects by fields, and by metadata.NAME; what is newer than a minute may be missing. All conditions must hold, or one with any. Dates as 2026-01-31T12:00:00Z; amounts in the smallest unit. Fields: "+strings.Join(parts, "; ")+".", mcpsec.Read)
	spec.InputSchema = schemaOf(`"resource","where"`, resourceProperty(c.searchable()),
		`"where":{"type":"array","minItems":1,"maxItems":10,"items":{"type":"object","required":["field","op"],"properties":{"field":{"type":"string","maxLength":60},`+
			`"op":{"enum":["eq","ne","contains","gt","ge","lt","le","empty"]},"value":{"type":"string","maxLength":200}}}}`,
		`"any":{"type":"boolean"}`, `"after":{"type":"string","maxLength":500}`, `"limit":{"type":"integer","minimum":1}`)
	return mcpsec.NewTool(spec, c.search)
}

func (c *Client) search(ctx context.Context, in searchIn) (listOut, error) {
	r, err := c.resource(in.Resource)
	if err != nil {
		return listOut{}, err
	}
	q, err := r.query(in.Where, in.Any)
	if err != nil {
		return listOut{}, err
	}
	f := &form.Values{}
	f.Add("query", q)
	if in.After != "" {
		if !pageToken().MatchString(in.After) {
			return listOut{}, errID
		}
		f.Add("page", in.After)
	}
	return c.page(ctx, r, f, in.Limit, true, append(r.path[:len(r.path):len(r.path)], "search")...)
}

var (
	metadataName = lazy.Regexp(`^metadata\.[A-Za-z0-9_-]{1,40}$`)
	number       = lazy.Regexp(`^[0-9]{1,15}$`)
)

// query writes Stripe's query language (docs.stripe.com/search). A value stands in
// quotes and holds none, nor a backslash: nothing gets out of it.
func (r *resource) query(where []condition, anyOf bool) (string, error) {
	if len(r.search) == 0 {
		return "", refuse("the resource cannot be searched: use stripe_list", "resource")
	}
	var parts []string
	for _, w := range where {
		part, err := r.condition(w)
		if err != nil {
			return "", err
		}
		parts = append(parts, part)
	}
	if anyOf {
		return strings.Join(parts, " OR "), nil
	}
	return strings.Join(parts, " AND "), nil
}

func (r *resource) condition(w condition) (string, error) {
	field := w.Field
	switch {
	case metadataName().MatchString(w.Field):
		if secretive(w.Field) {
			return "", refuse("that is not searched by", "filter")
		}
		field = `metadata["` + strings.TrimPrefix(w.Field, "metadata.") + `"]`
	case !slices.Contains(r.search, w.Field):
		return "", refuse("the resource cannot be searched by this field: it has metadata.NAME, "+strings.Join(r.search, ", "), "filter")
	}
	if w.Op == "empty" {
		return field + ":null", nil
	}
	if w.Value == "" || strings.ContainsFunc(w.Value, func(c rune) bool { return c == '"' || c == '\\' || c < ' ' || c == 0x7f }) {
		return "", refuse("a value must be there, and have no quotes, backslashes and line breaks", "filter")
	}
	sign := map[string]string{"eq": ":", "ne": ":", "contains": "~", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}[w.Op]
	if w.Op == "ne" {
		field = "-" + field
	}
	if (sign == ":" || sign == "~") && !slices.Contains(numeric, w.Field) {
		return field + sign + `"` + w.Value + `"`, nil
	}
	v := w.Value
	if t, err := time.Parse(time.RFC3339, v); err == nil {
		v = strconv.FormatInt(t.Unix(), 10)
	}
	if !number().MatchString(v) || sign == "~" {
		return "", refuse("numbers, and what gt, ge, lt and le compare with, must be a number, or a date as 2026-01-31T12:00:00Z", "filter")
	}
	return field + sign + v, nil
}

// numeric are the fields whose values stand without quotes.
var numeric = []string{"amount", "created", "total"}
