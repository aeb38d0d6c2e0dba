package pbtool

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// RecordReadTools returns the tools that read records with the rights of the
// caller's user: pb_health, pb_list_records, pb_get_record, pb_aggregate_records
// and pb_export_records.
//
// A view of PocketBase's is a collection like others: one that groups, listed in
// Options.Collections, makes pb_aggregate_records one request where it would go through
// all records. Its API rules decide who reads it; those of what it selects from do not.
func RecordReadTools(c *Client) []*mcpsec.Tool {
	return []*mcpsec.Tool{healthTool(c), listTool(c), getTool(c), aggregateTool(c), exportTool(c)}
}

// spec is what all tools have in common. What a database says is private, and
// strangers may have written it.
func (c *Client) spec(name, description string, effect mcpsec.Effect) mcpsec.ToolSpec {
	return mcpsec.ToolSpec{
		Name:        name,
		Description: description,
		Effect:      effect,
		Labels:      mcpsec.Private | mcpsec.Untrusted,
		Timeout:     4 * time.Duration(effect) * c.o.Timeout, // what asks a person looks three times
		MaxResult:   c.o.MaxBytes + 16<<10,
		Narrow:      "lower limit or name fewer fields",
		Waive:       c.o.Waive,
	}
}

// collections says in a description which collections there are, as many as it has
// room for.
func (c *Client) collections(may func(*Collection) bool) string {
	if c.known == nil {
		return ""
	}
	const most = 20
	var names []string
	for name, k := range c.known {
		if may(k) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) > most {
		return " Collections: " + strings.Join(names[:most], ", ") + " and more, see pb_health."
	}
	return " Collections: " + strings.Join(names, ", ") + "."
}

func readable(*Collection) bool { return true }

// schemaOf makes an InputSchema that says less than the type's own: the tool that
// is named in a description has said it already, a bound that nobody comes near
// helps nobody, and every tool costs the model's context. The type's own rules are
// enforced, whatever is shown.
func schemaOf(required string, properties ...string) json.RawMessage {
	if required != "" {
		required = `"required":[` + required + `],`
	}
	return json.RawMessage(`{"type":"object","additionalProperties":false,` + required + `"properties":{` + strings.Join(properties, ",") + `}}`)
}

// shown is spec with an InputSchema of schemaOf.
func shown(spec mcpsec.ToolSpec, required string, properties ...string) mcpsec.ToolSpec {
	spec.InputSchema = schemaOf(required, properties...)
	return spec
}

// asText gives an answer as JSON without a schema, which every tool would cost the
// model's context anew. It is for what is short and ours: hidden characters and
// secrets are looked for in the text, where those of a record could hide in escapes.
func asText(v any, err error) (mcpsec.Content, error) {
	if err != nil {
		return mcpsec.Content{}, err
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // a person opens URLs
	err = e.Encode(v)
	return mcpsec.Content{Text: strings.TrimSuffix(b.String(), "\n")}, err
}

const (
	collectionProperty = `"collection":{"type":"string"}`
	idProperty         = `"id":{"type":"string"}`
	pageProperty       = `"page":{"type":"integer"}`
	whereProperty      = `"where":{"type":"array","items":{"type":"object"},"description":"as in pb_list_records"}`
	fieldsProperty     = `"fields":{"type":"array","items":{"type":"string"}}`
	dataDescription    = `"type":"object"`
)

type healthOut struct {
	Healthy     bool     `json:"healthy"`
	Millis      int64    `json:"millis"`
	Collections []string `json:"collections,omitempty"`
}

func healthTool(c *Client) *mcpsec.Tool {
	return mcpsec.NewTool(c.spec("pb_health", "Tell whether PocketBase answers, how fast, and which collections may be used and how.", mcpsec.Read),
		func(ctx context.Context, _ struct{}) (healthOut, error) {
			began := time.Now()
			_, err := c.do(ctx, actor{}, request{method: http.MethodGet, path: []string{"health"}})
			out := healthOut{Healthy: err == nil, Millis: time.Since(began).Milliseconds()}
			for _, k := range c.o.Collections {
				out.Collections = append(out.Collections, k.text())
			}
			return out, ctx.Err()
		})
}

// text says how a collection may be used.
func (k Collection) text() string {
	s := k.Name + ": read "
	if k.Fields == nil {
		s += "all fields"
	} else {
		s += strings.Join(k.Fields, ", ")
	}
	if len(k.Write) > 0 {
		s += "; write " + strings.Join(k.Write, ", ")
	}
	if k.Delete {
		s += "; delete"
	}
	return s
}

type listIn struct {
	Collection string   `json:"collection" validate:"required,max=100"`
	Where      Where    `json:"where" validate:"max=20"`
	Sort       []string `json:"sort" validate:"max=8,dive,max=255"`
	Fields     []string `json:"fields" validate:"max=50,dive,max=130"`
	Expand     []string `json:"expand" validate:"max=20,dive,max=404"`
	Limit      *int     `json:"limit" validate:"omitempty,min=1"`
	Page       int      `json:"page" validate:"min=0,max=10000"`
	After      string   `json:"after" validate:"max=2000"`
	Total      bool     `json:"total"`
}

var listSchema = schemaOf(`"collection"`, collectionProperty,
	`"where":{"type":"array","maxItems":20,"description":"all must hold, or one of its or","items":{"type":"object","required":["field","op"],"properties":{`+
		`"field":{"type":"string","description":"or a path: author.name, comments_via_post.text; :lower behind it; :each or :length if it has several values"},`+
		`"op":{"enum":["eq","ne","lt","le","gt","ge","in","contains","starts","ends","empty"]},`+
		`"value":{"description":"string, number, boolean or null; in: an array. Dates: 2026-01-31 23:59:59.000Z"},`+
		`"any":{"type":"boolean","description":"one of several values fits, not each"},`+
		`"not":{"type":"boolean"},"or":{"type":"array","items":{"type":"object"},"description":"more {field, op, value}"}}}}`,
	`"sort":{"type":"array","items":{"type":"string"},"description":"-created is descending; default id"}`,
	`"fields":{"type":"array","items":{"type":"string"},"description":"body:excerpt(200) shortens"}`,
	`"expand":{"type":"array","items":{"type":"string"},"description":"relations, as author.company"}`,
	`"limit":{"type":"integer","minimum":1}`, pageProperty,
	`"after":{"type":"string","description":"next of the answer before; for long lists, in place of page"}`, `"total":{"type":"boolean","description":"count all, or all behind after"}`)

type listOut struct {
	Items []json.RawMessage `json:"items"`
	Total *int              `json:"total,omitempty"`
	Next  string            `json:"next,omitempty"`
	More  bool              `json:"more"`
}

func listTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_list_records", fmt.Sprintf("List records of a PocketBase collection that a where chooses. At most %d, %d bytes. "+
		"For numbers over many records use pb_aggregate_records.%s", c.o.MaxRecords, c.o.MaxBytes, c.collections(readable)), mcpsec.Read)
	spec.InputSchema = listSchema
	return mcpsec.NewTool(spec, func(ctx context.Context, in listIn) (listOut, error) { return c.runList(ctx, in) })
}

func (c *Client) runList(ctx context.Context, in listIn) (listOut, error) {
	k, err := c.collection(in.Collection)
	if err != nil {
		return listOut{}, err
	}
	q := Query{Sort: in.Sort, Fields: in.Fields, Expand: in.Expand, Page: in.Page, PerPage: c.o.MaxRecords, Total: in.Total}
	if in.Limit != nil {
		q.PerPage = *in.Limit
	}
	if q.Filter, err = c.where(k, in.Where); err != nil {
		return listOut{}, err
	}
	keys, err := c.keyset(k, &q, in)
	if err != nil {
		return listOut{}, err
	}
	p, err := c.list(ctx, k, q, c.o.MaxRecords)
	if err != nil {
		return listOut{}, err
	}
	out := listOut{Items: p.Items, More: p.More}
	if in.Total {
		out.Total = &p.Total
	}
	out.Items, out.More = c.fit(p.Items, p.More)
	cut := len(out.Items) < len(p.Items)
	if cut && len(out.Items) == 0 {
		return listOut{}, &mcpsec.Error{Message: "the first record alone is too large: name fewer fields, or shorten one as in body:excerpt(200)", Rule: "size"}
	}
	if out.More && keys {
		out.Next = next(out.Items[len(out.Items)-1], q.Sort)
	}
	if cut && out.Next == "" { // the next page would begin behind what was left out
		return listOut{}, &mcpsec.Error{Message: fmt.Sprintf("that is more than %d bytes: lower limit or name fewer fields", c.o.MaxBytes), Rule: "size"}
	}
	return out, nil
}

// fit cuts records that are more bytes than an answer may have.
func (c *Client) fit(items []json.RawMessage, more bool) ([]json.RawMessage, bool) {
	size := 0
	for i, r := range items {
		if size += len(r) + 1; size > c.o.MaxBytes {
			return items[:i], true
		}
	}
	return items, more
}

type getIn struct {
	Collection string   `json:"collection" validate:"required,max=100"`
	ID         string   `json:"id" validate:"required,max=100"`
	Fields     []string `json:"fields" validate:"max=50,dive,max=130"`
	Expand     []string `json:"expand" validate:"max=20,dive,max=404"`
}

type recordOut struct {
	Record json.RawMessage `json:"record" mcpsec:"any"`
}

func getTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_get_record", "Get one record of a PocketBase collection by its id. fields and expand are as in pb_list_records.", mcpsec.Read)
	spec.InputSchema = schemaOf(`"collection","id"`, collectionProperty, idProperty, fieldsProperty, `"expand":{"type":"array","items":{"type":"string"}}`)
	return mcpsec.NewTool(spec, func(ctx context.Context, in getIn) (recordOut, error) {
		r, err := c.Get(ctx, in.Collection, in.ID, in.Fields, in.Expand)
		return recordOut{r}, err
	})
}
