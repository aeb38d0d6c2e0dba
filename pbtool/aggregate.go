package pbtool

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

type aggregateIn struct {
	Collection string      `json:"collection" validate:"required,max=100"`
	Where      Where       `json:"where" validate:"max=20"`
	GroupBy    []string    `json:"group_by" validate:"max=3,dive,max=100"`
	Aggregates []aggregate `json:"aggregates" validate:"max=10"`
}

type aggregate struct {
	Fn    string `json:"fn" validate:"required,oneof=count distinct sum avg min max"`
	Field string `json:"field" validate:"max=100"`
}

type aggregateOut struct {
	Groups    []json.RawMessage `json:"groups"`
	Records   int               `json:"records"`
	Truncated bool              `json:"truncated,omitempty"`
}

func aggregateTool(c *Client) *mcpsec.Tool {
	spec := c.spec("pb_aggregate_records", fmt.Sprintf("Count records, or group them and compute distinct values, sum, avg, min and max. "+
		"Goes through %d records at most; a count alone has no such limit. Null and values of another kind do not count. To group more, use a view that does, as a collection.", c.o.MaxScan), mcpsec.Read)
	spec.InputSchema = schemaOf(`"collection"`, collectionProperty, whereProperty, `"group_by":{"type":"array","maxItems":3,"items":{"type":"string"}}`,
		`"aggregates":{"type":"array","description":"default count","items":{"type":"object","required":["fn"],"properties":{"fn":{"enum":["count","distinct","sum","avg","min","max"]},"field":{"type":"string"}}}}`)
	spec.Timeout, spec.MaxConcurrent, spec.Narrow = 12*c.o.Timeout, maxScans, "narrow where, or group by a field with fewer values"
	return mcpsec.NewTool(spec, func(ctx context.Context, in aggregateIn) (aggregateOut, error) { return c.aggregate(ctx, in) })
}

func (c *Client) aggregate(ctx context.Context, in aggregateIn) (aggregateOut, error) {
	k, err := c.collection(in.Collection)
	if err != nil {
		return aggregateOut{}, err
	}
	filter, err := c.where(k, in.Where)
	if err != nil {
		return aggregateOut{}, err
	}
	if len(in.Aggregates) == 0 {
		in.Aggregates = []aggregate{{Fn: "count"}}
	}
	fields, err := in.fields()
	if err != nil {
		return aggregateOut{}, err
	}
	if fields == nil { // counts only
		p, err := c.list(ctx, k, Query{Filter: filter, Fields: []string{"id"}, PerPage: 1, Total: true}, 1)
		if err != nil {
			return aggregateOut{}, err
		}
		g := group{count: p.Total}
		return aggregateOut{Groups: []json.RawMessage{g.json(in)}, Records: p.Total}, nil
	}
	all := groups{by: map[string]*group{}}
	n, err := c.scan(ctx, k, filter, fields, perPage, c.o.MaxScan, func(raw json.RawMessage) error { return in.add(&all, raw) })
	if err != nil {
		return aggregateOut{}, err
	}
	out := aggregateOut{Records: n}
	out.Groups, out.Truncated = c.fit(in.sorted(all.by), false)
	return out, nil
}

// fields are those that are needed, if any.
func (in aggregateIn) fields() ([]string, error) {
	fields := slices.Clone(in.GroupBy)
	for _, a := range in.Aggregates {
		if (a.Fn == "count") != (a.Field == "") {
			return nil, badArgument(errors.New("count has no field, and the other functions need one"))
		}
		if a.Field != "" {
			fields = append(fields, a.Field)
		}
	}
	for _, f := range fields {
		if !fieldName().MatchString(f) { // whether it may be read is asked with the first page
			return nil, badArgument(errField)
		}
	}
	slices.Sort(fields)
	return slices.Compact(fields), nil
}

// A group is what is known of the records with the same values.
type group struct {
	by    []json.RawMessage
	count int
	each  []tally // one for each aggregate
}

// groups are all that there are. Their size is that of the values, which whoever
// writes records chooses.
type groups struct {
	by   map[string]*group
	size int
}

const maxGroups = 4 << 20 // bytes of values

// A tally is what is known of one field's values.
type tally struct {
	count    int
	sum      big.Float
	min, max json.RawMessage
	distinct map[[sha256.Size]byte]struct{}
}

func (in aggregateIn) add(all *groups, raw json.RawMessage) error {
	var r map[string]json.RawMessage
	if json.Unmarshal(raw, &r) != nil {
		return errAnswer
	}
	by := make([]json.RawMessage, len(in.GroupBy))
	var key strings.Builder
	for i, f := range in.GroupBy {
		by[i] = r[f]
		fmt.Fprintf(&key, "%d:%s", len(r[f]), r[f])
	}
	g := all.by[key.String()]
	if g == nil {
		if all.size += key.Len(); all.size > maxGroups {
			return &mcpsec.Error{Message: "the values to group by are too large together: group by another field, or narrow where", Rule: "size"}
		}
		g = &group{by: by, each: make([]tally, len(in.Aggregates))}
		all.by[key.String()] = g
	}
	g.count++
	for i, a := range in.Aggregates {
		if a.Field != "" {
			g.each[i].add(a.Fn, r[a.Field])
		}
	}
	return nil
}

// sumBits hold the sum of as many float64 as a scan has, exactly but for extremes.
const sumBits = 256

func (t *tally) add(fn string, v json.RawMessage) {
	if len(v) == 0 || string(v) == "null" {
		return
	}
	switch fn {
	case "distinct":
		if t.distinct == nil {
			t.distinct = map[[sha256.Size]byte]struct{}{}
		}
		t.distinct[sha256.Sum256(v)] = struct{}{}
	case "sum", "avg":
		if x, ok := numberOf(v); ok {
			t.count++
			t.sum.SetPrec(sumBits).Add(&t.sum, big.NewFloat(x))
		}
	case "min", "max":
		if string(v) == `""` { // an empty date or text is no value
			return
		}
		if t.min == nil || compare(v, t.min) < 0 {
			t.min = v
		}
		if t.max == nil || compare(v, t.max) > 0 {
			t.max = v
		}
	}
}

func numberOf(v json.RawMessage) (float64, bool) {
	var x float64
	return x, json.Unmarshal(v, &x) == nil
}

// compare orders numbers by value and before all else, which is ordered as texts.
func compare(a, b json.RawMessage) int {
	x, isX := numberOf(a)
	y, isY := numberOf(b)
	switch {
	case isX && isY:
		return compareFloat(x, y)
	case isX != isY:
		if isX {
			return -1
		}
		return 1
	}
	s, errA := text(a)
	u, errB := text(b)
	if errA != nil || errB != nil {
		return strings.Compare(string(a), string(b))
	}
	return strings.Compare(s, u)
}

func compareFloat(x, y float64) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// sorted writes the groups, the largest first.
func (in aggregateIn) sorted(groups map[string]*group) []json.RawMessage {
	if len(groups) == 0 && len(in.GroupBy) == 0 {
		groups[""] = &group{each: make([]tally, len(in.Aggregates))}
	}
	all := make([]*group, 0, len(groups))
	for _, g := range groups {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *group) int {
		if a.count != b.count {
			return b.count - a.count
		}
		return slices.CompareFunc(a.by, b.by, compare)
	})
	out := make([]json.RawMessage, len(all))
	for i, g := range all {
		out[i] = g.json(in)
	}
	return out
}

func (g *group) json(in aggregateIn) json.RawMessage {
	var out struct {
		By     map[string]json.RawMessage `json:"by,omitempty"`
		Values map[string]any             `json:"values"`
	}
	out.By, out.Values = map[string]json.RawMessage{}, map[string]any{}
	for i, f := range in.GroupBy {
		if out.By[f] = g.by[i]; g.by[i] == nil {
			out.By[f] = json.RawMessage("null")
		}
	}
	for i, a := range in.Aggregates {
		if a.Fn == "count" {
			out.Values["count"] = g.count
			continue
		}
		out.Values[a.Fn+" "+a.Field] = g.each[i].value(a.Fn)
	}
	raw, err := json.Marshal(out)
	if err != nil {
		return json.RawMessage("{}")
	}
	return raw
}

func (t *tally) value(fn string) any {
	switch fn {
	case "distinct":
		return len(t.distinct)
	case "sum":
		x, _ := t.sum.Float64()
		return x
	case "avg":
		if t.count == 0 {
			return nil
		}
		x, _ := new(big.Float).Quo(&t.sum, big.NewFloat(float64(t.count))).Float64()
		return x
	case "min":
		return t.min
	}
	return t.max
}
