package pbtool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// SchemaWriteTools returns the tools that change collections as Options.Superuser:
// pb_plan_schema, which shows what would happen, and pb_apply_schema, which does
// what was planned after a person's yes, if neither the operations nor any
// collection has changed since. What one call applies is one request to PocketBase,
// and so all or nothing.
//
// Collections that Options.Collections does not let tools use are left alone, as
// are PocketBase's own and the queries of views. No rule is set that would let
// guests in, unless Options.Public lists the collection, or that would tell
// passwords and token keys, or lead through relations to other collections. No field
// or collection gets a name by which rules or views mean another. The SQL of indexes is never a caller's. An
// import of what PocketBase's dashboard exports is made into other operations and held to
// all of this; it goes by names, and removes nothing. It panics if Options.Superuser is
// missing.
func SchemaWriteTools(c *Client) []*mcpsec.Tool {
	c.needSuperuser("SchemaWriteTools")
	return []*mcpsec.Tool{planSchemaTool(c), applySchemaTool(c)}
}

// A schemaPlan is what a call would do.
type schemaPlan struct {
	plan
	diff, warnings []string
	rq             request
	kind           string // what migrations call it
	collection     string
}

const maxCollections = 1_000

// everything reads all collections: what is planned is true of this state.
func (c *Client) everything(ctx context.Context) ([]*table, string, error) {
	v := url.Values{"perPage": {strconv.Itoa(maxCollections)}, "sort": {"id"}}
	body, err := c.asSuperuser(ctx, request{method: http.MethodGet, path: []string{"collections"}, query: v})
	if err != nil {
		return nil, "", err
	}
	var said struct {
		Items []json.RawMessage `json:"items"`
		Total int               `json:"totalItems"`
	}
	if json.Unmarshal(body, &said) != nil || len(said.Items) == 0 || said.Total != len(said.Items) {
		return nil, "", errAnswer
	}
	var all []*table
	for _, raw := range said.Items {
		t := &table{raw: raw, changed: map[string]bool{}}
		if json.Unmarshal(raw, &t.live) != nil || !segmentName().MatchString(t.live.ID) || t.live.Name == "" {
			return nil, "", errAnswer
		}
		t.was, t.ids = t.live.Name, map[string]string{}
		for _, f := range t.live.Fields {
			t.ids[strings.ToLower(nameOf(f))], _ = f["id"].(string)
		}
		all = append(all, t)
	}
	return all, digest(body), nil
}

type schemaIn struct {
	Ops       []schemaOp `json:"ops" validate:"min=1,max=50"`
	Migration string     `json:"migration" validate:"omitempty,oneof=go js"`
}

func (c *Client) planSchema(ctx context.Context, in schemaIn) (schemaPlan, error) {
	all, state, err := c.everything(ctx)
	if err != nil {
		return schemaPlan{}, err
	}
	d := &draft{c: c, all: all}
	for i, o := range in.Ops {
		if err := d.apply(o); err != nil {
			var e *mcpsec.Error
			if errors.As(err, &e) {
				return schemaPlan{}, &mcpsec.Error{Message: fmt.Sprintf("operation %d: %s", i+1, e.Message), Rule: e.Rule, Err: e.Err}
			}
			return schemaPlan{}, err
		}
	}
	if err := d.settle(); err != nil {
		return schemaPlan{}, err
	}
	p, err := d.request(len(in.Ops))
	if err != nil {
		return schemaPlan{}, err
	}
	var numbers []string
	slices.Sort(d.counts)
	for _, k := range slices.Compact(d.counts) {
		n, err := c.countAll(ctx, all, k)
		if err != nil {
			return schemaPlan{}, err
		}
		numbers = append(numbers, fmt.Sprintf("%s has %d records", k, n))
	}
	slices.Sort(d.warnings)
	p.diff, p.warnings = d.diff, append(slices.Compact(d.warnings), numbers...)
	p.digest = digest([]byte(state), []byte(p.rq.method), []byte(strings.Join(p.rq.path, "/")), p.rq.body, []byte(strings.Join(numbers, "\n")))
	p.text = strings.Join(p.diff, "; ")
	if len(p.warnings) > 0 {
		p.text = strings.Join(p.warnings, "; ") + ". It " + p.text
	}
	return p, nil
}

// countAll is how many records a collection has.
func (c *Client) countAll(ctx context.Context, all []*table, name string) (int, error) {
	for _, t := range all {
		if t.live.Name != name && t.was != name || t.raw == nil {
			continue
		}
		body, err := c.asSuperuser(ctx, request{method: http.MethodGet, path: []string{"collections", t.was, "records"}, query: url.Values{"perPage": {"1"}, "fields": {"id"}}})
		var said struct {
			Total *int `json:"totalItems"`
		}
		if err == nil && (json.Unmarshal(body, &said) != nil || said.Total == nil) {
			err = errAnswer
		}
		if err != nil {
			return 0, err
		}
		return *said.Total, nil
	}
	return 0, nil
}

var errParts = &mcpsec.Error{Message: "that is more than PocketBase does in one transaction: a deletion, a truncation, or what removes fields of one collection, each needs a call of its own", Rule: "transaction"}

// request makes one request of what has changed.
func (d *draft) request(ops int) (schemaPlan, error) {
	touched := slices.DeleteFunc(slices.Clone(d.all), func(t *table) bool { return len(t.changed) == 0 })
	if len(touched) == 0 {
		return schemaPlan{}, badArgument(errors.New("nothing would change"))
	}
	lossy := slices.ContainsFunc(touched, func(t *table) bool { return t.lossy })
	if d.lone != "" && ops > 1 || len(touched) > 1 && lossy {
		return schemaPlan{}, errParts
	}
	p := schemaPlan{collection: touched[0].was}
	path := []string{"collections", touched[0].live.ID}
	switch d.lone {
	case "delete_collection":
		p.kind, p.rq = "delete", request{method: http.MethodDelete, path: path}
		return p, nil
	case "truncate":
		p.kind, p.rq = "truncate", request{method: http.MethodDelete, path: append(path, "truncate")}
		return p, nil
	}
	var body any
	switch {
	case len(touched) > 1 || touched[0].raw == nil: // an import checks relations after it has made what they lead to
		var many []map[string]any
		for _, t := range touched {
			m := t.body()
			m["id"] = t.live.ID
			many = append(many, m)
		}
		p.kind, p.rq, body = "import", request{method: http.MethodPut, path: []string{"collections", "import"}}, map[string]any{"collections": many, "deleteMissing": false}
	default:
		p.kind, p.rq, body = "update", request{method: http.MethodPatch, path: path}, touched[0].body()
	}
	var err error
	p.rq.body, err = json.Marshal(body)
	return p, err
}

// body is what PocketBase is sent of a collection: what has changed.
func (t *table) body() map[string]any {
	m := map[string]any{}
	for what := range t.changed {
		switch what {
		case "name":
			m["name"] = t.live.Name
		case "type":
			m["type"] = t.live.Type
		case "indexes":
			m["indexes"] = t.live.Indexes
		case "fields":
			m["fields"] = t.sent()
		default:
			m[what] = *t.live.ruleSet()[strings.TrimSuffix(what, "Rule")]
		}
	}
	return m
}

// sent are all fields, for PocketBase takes what is missing for removed; those that
// it makes itself of a new collection are left to it.
func (t *table) sent() []map[string]any {
	out := []map[string]any{}
	for _, f := range t.live.Fields {
		if t.raw != nil || f["system"] != true {
			out = append(out, f)
		}
	}
	return out
}

type planOut struct {
	Plan      string   `json:"plan"`
	Diff      []string `json:"diff"`
	Warnings  []string `json:"warnings,omitempty"`
	Migration string   `json:"migration,omitempty"`
}

// shortPlan is the name by which a plan is applied.
func (p plan) short() string { return p.digest[:32] }

var planSchemaSchema = schemaOf(`"ops"`, `"ops":{"type":"array","maxItems":50,"items":{"type":"object","required":["op"],"properties":{`+
	`"op":{"enum":["import","create_collection","delete_collection","truncate","rename_collection","add_field","alter_field","rename_field","remove_field","set_rules","add_index","remove_index"]},`+
	collectionProperty+`,"type":{"enum":["base","auth"]},"field":{"type":"object","description":"{name, type, required, hidden, max, values, maxSelect, collection, ...}; to alter: what changes"},`+
	`"fields":{"type":"array","items":{"type":"object"},"description":"to create"},"name":{"type":"string","description":"of the field or index"},"to":{"type":"string","description":"new name"},`+
	`"rules":{"type":"object","description":"list, view, create, update, delete, of auth: auth, manage. null: superusers only"},`+
	`"index":{"type":"object","description":"{name, fields, unique}"},"indexes":{"type":"array","items":{"type":"object"}},"export":{"type":"array","items":{"type":"object"},"description":"to import: the dashboard's JSON. Removes nothing"}}}}`,
	`"migration":{"enum":["go","js"],"description":"print it as one, too"}`)

func planSchemaTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_plan_schema", "Show what changes of the schema would do: the difference, warnings, and the plan that pb_apply_schema needs. Changes nothing.", mcpsec.Read)
	spec.InputSchema = planSchemaSchema
	return mcpsec.NewTool(spec, func(ctx context.Context, in schemaIn) (planOut, error) {
		p, err := c.planSchema(ctx, in)
		if err != nil {
			return planOut{}, err
		}
		out := planOut{Plan: p.short(), Diff: p.diff, Warnings: p.warnings}
		if in.Migration != "" {
			out.Migration, err = p.migration(in.Migration)
		}
		return out, err
	})
}

type applyIn struct {
	Plan string     `json:"plan" validate:"required,max=64"`
	Ops  []schemaOp `json:"ops" validate:"min=1,max=50"`
}

type applyOut struct {
	Applied []string `json:"applied"`
}

var errPlan = &mcpsec.Error{Message: "the schema, the records or the operations are others than those that were planned: call pb_plan_schema again", Rule: "plan"}

// planned builds what a call would do, if that is what was planned. It is asked before
// the question and, since a schema may have changed meanwhile, after it.
func (c *Client) planned(ctx context.Context, in applyIn) (schemaPlan, error) {
	p, err := c.planSchema(ctx, schemaIn{Ops: in.Ops})
	if err == nil && p.short() != in.Plan {
		err = errPlan
	}
	return p, err
}

func applySchemaTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_apply_schema", "Do what pb_plan_schema has planned, all or nothing, after a person's yes. If the schema has changed since, nothing is done.", mcpsec.Destroy)
	spec.InputSchema = schemaOf(`"plan","ops"`, `"plan":{"type":"string"}`, `"ops":{"type":"array","items":{"type":"object"},"description":"the same"}`)
	spec.Labels |= mcpsec.Egress // a rule can open records to everybody
	spec.Guards = []mcpsec.Guard{preview(c, func(ctx context.Context, in applyIn) (plan, error) {
		p, err := c.planned(ctx, in)
		return p.plan, err
	})}
	return mcpsec.NewTool(spec, func(ctx context.Context, in applyIn) (applyOut, error) {
		p, err := c.planned(ctx, in)
		if err != nil {
			return applyOut{}, err
		}
		if _, err := c.asSuperuser(ctx, p.rq); err != nil {
			return applyOut{}, schemaError(err)
		}
		return applyOut{p.diff}, nil
	})
}

// schemaError tells what has become of a change that PocketBase did not take.
func schemaError(err error) error {
	if s := statusOf(err); s != nil && s.status == http.StatusBadRequest {
		return &mcpsec.Error{Message: "PocketBase refuses it and has changed nothing" + s.fieldList() + ": a relation, a view, a rule or an index may need what would go, or a value may not fit", Rule: "pocketbase", Err: s}
	}
	return err
}

// migration writes the plan as a migration file. It is a text: nobody runs it here.
func (p schemaPlan) migration(language string) (string, error) {
	var body bytes.Buffer
	if len(p.rq.body) > 0 {
		if err := json.Indent(&body, p.rq.body, "  ", "  "); err != nil {
			return "", err
		}
	}
	if language == "js" {
		return p.script(body.String()), nil
	}
	load := fmt.Sprintf("\t\tk, err := app.FindCollectionByNameOrId(%q)\n\t\tif err != nil {\n\t\t\treturn err\n\t\t}\n", p.collection)
	data := strconv.Quote(string(p.rq.body))
	var do, imports string
	switch p.kind {
	case "delete":
		do = load + "\t\treturn app.Delete(k)\n"
	case "truncate":
		do = load + "\t\treturn app.TruncateCollection(k)\n"
	case "update":
		imports = "\t\"encoding/json\"\n\n"
		do = load + "\t\tif err := json.Unmarshal([]byte(" + data + "), k); err != nil {\n\t\t\treturn err\n\t\t}\n\t\treturn app.Save(k)\n"
	default:
		var said struct {
			Collections json.RawMessage `json:"collections"`
		}
		if err := json.Unmarshal(p.rq.body, &said); err != nil {
			return "", err
		}
		do = "\t\treturn app.ImportCollectionsByMarshaledJSON([]byte(" + strconv.Quote(string(said.Collections)) + "), false)\n"
	}
	return "package migrations\n\nimport (\n" + imports + "\t\"github.com/pocketbase/pocketbase/core\"\n\tm \"github.com/pocketbase/pocketbase/migrations\"\n)\n\n" +
		"func init() {\n\tm.Register(func(app core.App) error {\n" + do + "\t}, nil)\n}\n", nil
}

// script is a migration in JavaScript, of which JSON is a part.
func (p schemaPlan) script(body string) string {
	do := fmt.Sprintf("  const k = app.findCollectionByNameOrId(%q);\n", p.collection)
	switch p.kind {
	case "delete":
		do += "  app.delete(k);\n"
	case "truncate":
		do += "  app.truncateCollection(k);\n"
	case "update":
		do += "  unmarshal(" + body + ", k);\n  app.save(k);\n"
	default:
		do = "  const all = " + body + ";\n  app.importCollections(all.collections, false);\n"
	}
	return "migrate((app) => {\n" + do + "}, null);\n"
}
