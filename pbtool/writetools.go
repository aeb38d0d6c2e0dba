package pbtool

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// RecordWriteTools returns the tools that write records with the rights of the
// caller's user: pb_create_record, pb_update_record, pb_delete_record,
// pb_validate_record, pb_batch, pb_delete_records and pb_import_records. Only what
// Options.Collections lists as Write or Delete can be written.
//
// What deletes or overwrites asks a person: the question shows the records or
// their number, read just before, and if they are others after the yes nothing is
// done. Options.Overwrite says when overwriting is no loss. It panics if no
// collection may be written.
func RecordWriteTools(c *Client) []*mcpsec.Tool {
	write, del := false, false
	for _, k := range c.known {
		write, del = write || len(k.Write) > 0, del || k.Delete
	}
	var tools []*mcpsec.Tool
	if write {
		tools = append(tools, createTool(c), updateTool(c), validateTool(c), importTool(c))
	}
	if del {
		tools = append(tools, deleteTool(c), deleteManyTool(c))
	}
	if len(tools) == 0 {
		panic("pbtool: RecordWriteTools: Options.Collections lists nothing as Write or Delete")
	}
	return append(tools, batchTool(c))
}

// changeTool makes a tool of a plan and what carries it out.
func changeTool[In, Out any](c *Client, spec mcpsec.ToolSpec, build func(context.Context, In) (plan, error), run func(context.Context, In, plan) (Out, error)) *mcpsec.Tool {
	if spec.Effect == mcpsec.Destroy {
		spec.Guards = []mcpsec.Guard{preview(c, build)}
	}
	return mcpsec.NewTool(spec, func(ctx context.Context, in In) (Out, error) {
		var none Out
		p, err := build(ctx, in)
		if err != nil {
			return none, err
		}
		if err := c.confirmed(ctx, spec.Effect, p); err != nil {
			return none, err
		}
		return run(ctx, in, p)
	})
}

type createIn struct {
	Collection string `json:"collection" validate:"required,max=100"`
	Data       values `json:"data" validate:"max=100,dive,keys,max=100,endkeys" mcpsec:"any"`
	CopyOf     string `json:"copy_of" validate:"max=100"`
}

func createTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_create_record", "Create a record, or a duplicate of another with some fields changed; files are not duplicated."+c.collections(mayWrite), mcpsec.Write)
	spec.InputSchema = schemaOf(`"collection","data"`, collectionProperty, `"data":{`+dataDescription+`,"description":"fields and values"}`, `"copy_of":{"type":"string","description":"id to duplicate"}`)
	return mcpsec.NewTool(spec, func(ctx context.Context, in createIn) (recordOut, error) {
		k, err := c.writable(in.Collection)
		if err != nil {
			return recordOut{}, err
		}
		if in.CopyOf != "" {
			if in.Data, err = c.copied(ctx, k, in.CopyOf, in.Data); err != nil {
				return recordOut{}, err
			}
		}
		o, err := createOp(k, in.Data)
		if err != nil {
			return recordOut{}, err
		}
		r, err := c.one(ctx, o)
		return recordOut{r}, err
	})
}

// copied is a record's data as far as it may be both read and set, with changes.
func (c *Client) copied(ctx context.Context, k *Collection, id string, changes values) (values, error) {
	r, err := c.fields(ctx, k, id)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(r, func(f string, _ json.RawMessage) bool { return !slices.Contains(k.Write, f) || f == "id" })
	maps.Copy(r, changes)
	return r, nil
}

func (c *Client) fields(ctx context.Context, k *Collection, id string) (values, error) {
	raw, err := c.get(ctx, k, id, nil, nil)
	if err != nil {
		return nil, err
	}
	var r values
	if json.Unmarshal(raw, &r) != nil {
		return nil, errAnswer
	}
	return r, nil
}

type updateIn struct {
	Collection string `json:"collection" validate:"required,max=100"`
	ID         string `json:"id" validate:"required,max=100"`
	Set        values `json:"set" validate:"max=100,dive,keys,max=100,endkeys" mcpsec:"any"`
	Add        values `json:"add" validate:"max=100,dive,keys,max=100,endkeys" mcpsec:"any"`
	Remove     values `json:"remove" validate:"max=100,dive,keys,max=100,endkeys" mcpsec:"any"`
	IfUpdated  string `json:"if_updated" validate:"max=40"`
}

func updateTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_update_record", "Change fields of a record. add and remove are for relations and other fields of several values; add on a number is added."+c.collections(mayWrite), c.o.Overwrite)
	spec.InputSchema = schemaOf(`"collection","id"`, collectionProperty, idProperty, `"set":{`+dataDescription+`}`, `"add":{`+dataDescription+`,"description":"as {tags: [id]}"}`, `"remove":{`+dataDescription+`}`,
		`"if_updated":{"type":"string","description":"the updated value as it was read; if it is another now, nothing is changed"}`)
	return changeTool(c, spec, c.planUpdate, func(ctx context.Context, _ updateIn, p plan) (recordOut, error) {
		r, err := c.one(ctx, p.ops[0])
		return recordOut{r}, err
	})
}

var errStale = &mcpsec.Error{Message: "the record was changed since it was read: read it again", Rule: "expect"}

func (c *Client) planUpdate(ctx context.Context, in updateIn) (plan, error) {
	k, err := c.writable(in.Collection)
	if err != nil {
		return plan{}, err
	}
	o, err := updateOp(k, in.ID, in.Set, in.Add, in.Remove)
	if err != nil {
		return plan{}, err
	}
	r, err := c.fields(ctx, k, in.ID)
	if err != nil {
		return plan{}, err
	}
	if err := expect(r, in.IfUpdated); err != nil {
		return plan{}, err
	}
	old := values{}
	for f := range o.data {
		if v, ok := r[strings.TrimRight(f, "+-")]; ok {
			old[strings.TrimRight(f, "+-")] = v
		}
	}
	text := fmt.Sprintf("updates record %s of %s: %s; it has %s", in.ID, k.Name, show(o.data), show(old))
	return plan{text, digest([]byte(canonical(r))), []op{o}}, nil
}

// expect compares what a caller has read with what there is.
func expect(r values, updated string) error {
	if updated == "" {
		return nil
	}
	switch now, err := text(r["updated"]); {
	case err != nil:
		return &mcpsec.Error{Message: "the record has no field updated to compare with, or it may not be read", Rule: "expect"}
	case now != updated:
		return errStale
	}
	return nil
}

// canonical writes a record in one way.
func canonical(r values) string {
	b, err := json.Marshal(r)
	if err != nil {
		return ""
	}
	return string(b)
}

type deleteIn struct {
	Collection string `json:"collection" validate:"required,max=100"`
	ID         string `json:"id" validate:"required,max=100"`
	IfUpdated  string `json:"if_updated" validate:"max=40"`
}

type deletedOut struct {
	Deleted int `json:"deleted"`
}

func deleteTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_delete_record", "Delete a record, and what cascades from it."+c.collections(mayDelete), mcpsec.Destroy)
	spec.InputSchema = schemaOf(`"collection","id"`, collectionProperty, idProperty, `"if_updated":{"type":"string"}`)
	return changeTool(c, spec, c.planDelete, func(ctx context.Context, _ deleteIn, p plan) (mcpsec.Content, error) {
		_, err := c.one(ctx, p.ops[0])
		return asText(deletedOut{1}, err)
	})
}

func (c *Client) planDelete(ctx context.Context, in deleteIn) (plan, error) {
	k, err := c.deletable(in.Collection)
	if err != nil {
		return plan{}, err
	}
	r, err := c.fields(ctx, k, in.ID)
	if err != nil {
		return plan{}, err
	}
	if err := expect(r, in.IfUpdated); err != nil {
		return plan{}, err
	}
	text := fmt.Sprintf("deletes record %s of %s, and what cascades from it; it has %s", in.ID, k.Name, show(r))
	return plan{text, digest([]byte(canonical(r))), []op{{method: http.MethodDelete, k: k, id: in.ID}}}, nil
}

type validateIn struct {
	Collection string `json:"collection" validate:"required,max=100"`
	ID         string `json:"id" validate:"max=100"`
	Data       values `json:"data" validate:"min=1,max=100,dive,keys,max=100,endkeys" mcpsec:"any"`
}

type validateOut struct {
	Valid  bool     `json:"valid"`
	Errors []string `json:"errors,omitempty"`
}

// validateTool returns pb_validate_record. It is no Read: hooks of the server's run.
func validateTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_validate_record", "Tell whether PocketBase would take a new record or, with id, a change of one: schema, unique indexes and API rules. Nothing is kept.", mcpsec.Write)
	spec.InputSchema = schemaOf(`"collection","data"`, collectionProperty, idProperty, `"data":{`+dataDescription+`}`)
	return mcpsec.NewTool(spec, func(ctx context.Context, in validateIn) (validateOut, error) {
		k, err := c.writable(in.Collection)
		if err != nil {
			return validateOut{}, err
		}
		o, err := createOp(k, in.Data)
		if in.ID != "" {
			o, err = updateOp(k, in.ID, in.Data, nil, nil)
		}
		if err != nil {
			return validateOut{}, err
		}
		fields, err := c.try(ctx, o)
		out := validateOut{Valid: err == nil && len(fields) == 0}
		for _, f := range slices.Sorted(maps.Keys(fields)) {
			out.Errors = append(out.Errors, f+" "+fields[f])
		}
		return out, err
	})
}
