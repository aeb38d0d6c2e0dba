package pbtool

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type deleteManyIn struct {
	Collection string `json:"collection" validate:"required,max=100"`
	Where      Where  `json:"where" validate:"min=1,max=20"`
}

func deleteManyTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_delete_records", fmt.Sprintf("Delete the records that a where chooses, %d at most, all or none. They are counted first.", c.o.MaxAffected), mcpsec.Destroy)
	spec.InputSchema = schemaOf(`"collection","where"`, collectionProperty, whereProperty)
	return changeTool(c, spec, c.planDeleteMany, func(ctx context.Context, _ deleteManyIn, p plan) (mcpsec.Content, error) {
		if len(p.ops) == 0 {
			return asText(deletedOut{}, nil)
		}
		ids, err := c.all(ctx, p.ops)
		return asText(deletedOut{len(ids)}, err)
	})
}

func (c *Client) planDeleteMany(ctx context.Context, in deleteManyIn) (plan, error) {
	k, err := c.deletable(in.Collection)
	if err != nil {
		return plan{}, err
	}
	if len(in.Where) == 0 {
		return plan{}, badArgument(errors.New("where needs a condition"))
	}
	f, err := c.where(k, in.Where)
	if err != nil {
		return plan{}, err
	}
	page, err := c.list(ctx, k, Query{Filter: f, Fields: []string{"id"}, Total: true}, c.o.MaxAffected)
	if err != nil {
		return plan{}, err
	}
	if page.Total > c.o.MaxAffected {
		return plan{}, c.tooMany(page.Total)
	}
	var p plan
	var ids []string
	for _, r := range page.Items {
		var rec struct {
			ID string `json:"id"`
		}
		if json.Unmarshal(r, &rec) != nil || !recordID().MatchString(rec.ID) {
			return plan{}, errAnswer
		}
		ids = append(ids, rec.ID)
		p.ops = append(p.ops, op{method: http.MethodDelete, k: k, id: rec.ID})
	}
	p.digest = digest([]byte(strings.Join(ids, "\n")))
	p.text = fmt.Sprintf("deletes %d records of %s, and what cascades from them, where %s: %s", len(ids), k.Name, in.Where.text(), some(ids))
	return p, nil
}

// text writes the Where for a person.
func (w Where) text() string {
	var terms []string
	for i, t := range w {
		if len(strings.Join(terms, " and ")) > maxDetails {
			return strings.Join(terms, " and ") + fmt.Sprintf(" and %d more conditions", len(w)-i)
		}
		var parts []string
		for _, c := range append([]Condition{t.Condition}, t.Or...) {
			s := c.Field + " " + c.Op
			if c.Not {
				s = c.Field + " not " + c.Op
			}
			if len(c.Value) > 0 {
				s += " " + shorten(c.Value)
			}
			parts = append(parts, s)
		}
		terms = append(terms, some([]string{join(parts, "or")}))
	}
	return strings.Join(terms, " and ")
}

type importIn struct {
	Collection string `json:"collection" validate:"required,max=100"`
	Format     string `json:"format" validate:"required,oneof=csv json ndjson"`
	Text       string `json:"text" validate:"required,max=262144"`
}

type importOut struct {
	Created int      `json:"created"`
	IDs     []string `json:"ids"`
}

func importTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_import_records", fmt.Sprintf("Create records from CSV with a header, a JSON array of objects, or NDJSON: %d at most, all or none. Empty cells are left out.%s", c.o.MaxAffected, c.collections(mayWrite)), mcpsec.Write)
	spec.InputSchema = schemaOf(`"collection","format","text"`, collectionProperty, `"format":{"enum":["csv","json","ndjson"]}`, `"text":{"type":"string","maxLength":262144}`)
	return mcpsec.NewTool(spec, func(ctx context.Context, in importIn) (mcpsec.Content, error) {
		k, err := c.writable(in.Collection)
		if err != nil {
			return mcpsec.Content{}, err
		}
		rows, err := parseRows(in.Format, in.Text, c.o.MaxAffected)
		if err != nil {
			return mcpsec.Content{}, badArgument(err)
		}
		ops := make([]op, len(rows))
		for i, r := range rows {
			if ops[i], err = createOp(k, r); err != nil {
				return mcpsec.Content{}, err
			}
		}
		ids, err := c.all(ctx, ops)
		return asText(importOut{len(ids), ids}, err)
	})
}

// parseRows reads a document of at most most records. Errors name a line and quote
// nothing.
func parseRows(format, text string, most int) ([]values, error) {
	var rows []values
	var err error
	switch format {
	case "csv":
		rows, err = parseCSV(text, most)
	case "json":
		rows, err = parseJSON(text, most)
	default:
		d := jsontext.NewDecoder(strings.NewReader(text))
		if rows, err = objects(d, most); err == nil {
			err = ended(d)
		}
	}
	if err == nil && len(rows) == 0 {
		err = errors.New("text holds no records")
	}
	if err != nil {
		return nil, err
	}
	return rows, nil
}

var errRows = errors.New("text must be objects whose members are the record's fields: in a JSON array, or one a line as NDJSON")

func parseJSON(text string, most int) ([]values, error) {
	d := jsontext.NewDecoder(strings.NewReader(text))
	if tok, err := d.ReadToken(); err != nil || tok.Kind() != '[' {
		return nil, errRows
	}
	rows, err := objects(d, most)
	if err != nil {
		return nil, err
	}
	if tok, err := d.ReadToken(); err != nil || tok.Kind() != ']' {
		return nil, errRows
	}
	return rows, ended(d)
}

func ended(d *jsontext.Decoder) error {
	if _, err := d.ReadToken(); err != io.EOF {
		return errRows
	}
	return nil
}

func objects(d *jsontext.Decoder, most int) ([]values, error) {
	var rows []values
	for d.PeekKind() == '{' {
		raw, err := d.ReadValue()
		if err != nil {
			return nil, errRows
		}
		var r values
		if json.Unmarshal(raw, &r) != nil {
			return nil, errRows
		}
		if rows = append(rows, r); len(rows) > most {
			return nil, fmt.Errorf("text has more than %d records: import it in parts", most)
		}
	}
	return rows, nil
}

func parseCSV(text string, most int) ([]values, error) {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	head, err := r.Read()
	if err != nil {
		return nil, errors.New("text has no header")
	}
	seen := map[string]bool{}
	for _, f := range head {
		if seen[f] {
			return nil, errors.New("the header names a field twice")
		}
		seen[f] = true
	}
	var rows []values
	for {
		line, err := r.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("record %d is no CSV, or has not as many cells as the header", len(rows)+1)
		}
		row := values{}
		for i, s := range line {
			if s == "" {
				continue
			}
			if row[head[i]], err = json.Marshal(uncell(s)); err != nil {
				return nil, errRows
			}
		}
		if rows = append(rows, row); len(rows) > most {
			return nil, fmt.Errorf("text has more than %d records: import it in parts", most)
		}
	}
}
