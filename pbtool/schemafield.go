package pbtool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// fieldKinds are the options of each type of field and what they are: a whole
// number, a number, a text, a list of texts, a boolean, a date or a pattern. All
// types have those of "".
var fieldKinds = map[string]map[string]string{
	"":     {"required": "bool", "hidden": "bool", "presentable": "bool"},
	"text": {"min": "int", "max": "int", "pattern": "pattern"}, "number": {"min": "number", "max": "number", "onlyInt": "bool"}, "bool": {},
	"email": {"onlyDomains": "texts", "exceptDomains": "texts"}, "url": {"onlyDomains": "texts", "exceptDomains": "texts"}, "editor": {"maxSize": "int"},
	"date": {"min": "date", "max": "date"}, "autodate": {"onCreate": "bool", "onUpdate": "bool"}, "select": {"values": "texts", "maxSelect": "int"},
	"file":     {"maxSize": "int", "maxSelect": "int", "mimeTypes": "texts", "protected": "bool"},
	"relation": {"collection": "collection", "cascadeDelete": "bool", "minSelect": "int", "maxSelect": "int"}, "json": {"maxSize": "int"}, "geoPoint": {},
}

var dateText = lazy.Regexp(`^\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d{3})?Z)?$`)

// option reads the value of a field's option.
func option(kind string, raw json.RawMessage) (v any, err error) {
	into := func(p any) (any, error) {
		if bytes.Equal(raw, []byte("null")) || json.Unmarshal(raw, p) != nil {
			return nil, fmt.Errorf("must be a %s", kind)
		}
		return p, nil
	}
	switch kind {
	case "bool":
		return into(new(bool))
	case "int":
		n := new(int64)
		if v, err = into(n); err == nil && (*n < 0 || *n > 1<<40) {
			err = errors.New("must be 0 or more, and not that large")
		}
	case "number":
		return into(new(float64))
	case "texts":
		s := new([]string)
		if v, err = into(s); err == nil && len(*s) > 200 {
			err = errors.New("has more than 200 elements")
		}
	default:
		s := new(string)
		if v, err = into(s); err != nil {
			return nil, err
		}
		if _, bad := regexp.Compile(*s); kind == "pattern" && (bad != nil || len(*s) > 500) {
			err = errors.New("must be a regular expression")
		}
		if kind == "date" && *s != "" && !dateText().MatchString(*s) {
			err = errors.New("must be a date as 2026-01-31 23:59:59.000Z")
		}
	}
	return v, err
}

// options reads those of a field of a type into f.
func (d *draft) options(f map[string]any, kind string, in values) error {
	for _, o := range slices.Sorted(maps.Keys(in)) {
		if o == "name" || o == "type" {
			continue
		}
		is, ok := fieldKinds[kind][o]
		if !ok {
			is, ok = fieldKinds[""][o]
		}
		if !ok {
			return badArgument(fmt.Errorf("a field of type %s has these options: required, hidden, presentable%s", kind, optionList(fieldKinds[kind])))
		}
		v, err := option(is, in[o])
		if err != nil {
			return badArgument(fmt.Errorf("the field's %s %w", o, err))
		}
		if is == "collection" {
			t, err := d.find(*v.(*string))
			if err != nil {
				return err
			}
			f["collectionId"] = t.live.ID
			continue
		}
		f[o] = v
	}
	return nil
}

func optionList(m map[string]string) string {
	if len(m) == 0 {
		return ""
	}
	return ", " + strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

// constants are what PocketBase takes for values in rules, unless a field has that
// name: one that had would change what rules say.
var constants = []string{"null", "true", "false"}

func (t *table) freeName(name string) error {
	switch {
	case !fieldName().MatchString(name) || strings.HasPrefix(name, "_") || strings.Contains(strings.ToLower(name), "_via_"):
		return badArgument(errors.New("a field's name has letters, digits and underscores, and begins with a letter"))
	case isSecret(name) || slices.Contains(constants, strings.ToLower(name)):
		return denied("a field must not be called password, tokenKey, null, true, false or the like")
	case t.field(name) != nil:
		return denied("%s already has a field %s", t.live.Name, name)
	}
	return nil
}

func (d *draft) addField(t *table, in values) error {
	name, err := text(in["name"])
	kind, err2 := text(in["type"])
	if err != nil || err2 != nil || kind == "" || fieldKinds[kind] == nil {
		return badArgument(fmt.Errorf("a field needs a name and a type, which is one of %s", strings.TrimPrefix(strings.Join(slices.Sorted(maps.Keys(fieldKinds)), ", "), ", ")))
	}
	if err := t.freeName(name); err != nil {
		return err
	}
	// Its id is not the one that PocketBase would make of its name, which a field that
	// is removed by the same call may have: it would keep that one's data.
	f := map[string]any{"name": name, "type": kind, "id": kind + digest([]byte(t.live.ID), []byte(name), t.raw)[:12]}
	if kind == "file" {
		f["protected"] = true
	}
	if err := d.options(f, kind, in); err != nil {
		return err
	}
	if kind == "relation" && f["collectionId"] == nil {
		return badArgument(errors.New("a relation needs a collection"))
	}
	d.noted("adds the %s field %s to %s%s", kind, name, t.live.Name, optionText(in))
	d.exposes(t, name, f)
	t.live.Fields = append(t.live.Fields, f)
	t.changed["fields"] = true
	return nil
}

// exposes warns of files that anybody can fetch.
func (d *draft) exposes(t *table, name string, f map[string]any) {
	if v, ok := f["protected"].(*bool); ok && !*v {
		d.warn("files in %s.%s are given to anybody who knows their address, whatever the rules say", t.live.Name, name)
	}
}

func optionText(in values) string {
	in = maps.Clone(in)
	delete(in, "name")
	delete(in, "type")
	if len(in) == 0 {
		return ""
	}
	return " with " + show(in)
}

func (d *draft) alterField(t *table, name string, in values) error {
	f, err := t.own(name)
	if err != nil {
		return err
	}
	if in["name"] != nil || in["type"] != nil || in["collection"] != nil {
		return badArgument(errors.New("a field's type and the collection of a relation cannot be changed; rename_field gives a name"))
	}
	kind, _ := f["type"].(string)
	if fieldKinds[kind] == nil || kind == "" {
		return denied("fields of this type may not be changed")
	}
	old := values{}
	for o := range in {
		if raw, err := json.Marshal(f[o]); err == nil {
			old[o] = raw
		}
	}
	changed := maps.Clone(f)
	if err := d.options(changed, kind, in); err != nil {
		return err
	}
	d.noted("alters the field %s of %s%s; it had %s", name, t.live.Name, optionText(in), show(old))
	if multiple(f) && !multiple(changed) {
		d.warn("DATA IS LOST: of several values in %s.%s only the last is kept", t.live.Name, name)
		d.counts = append(d.counts, t.live.Name)
	}
	if v, ok := changed["hidden"].(*bool); ok && !*v && f["hidden"] == true {
		d.warn("%s.%s is shown from then on to everybody whom the rules let in", t.live.Name, name)
	}
	d.exposes(t, name, changed)
	maps.Copy(f, changed)
	t.changed["fields"] = true
	return nil
}

// multiple reports whether a field holds several values.
func multiple(f map[string]any) bool {
	switch n := f["maxSelect"].(type) {
	case float64:
		return n > 1
	case *int64:
		return *n > 1
	}
	return false
}

func (d *draft) renameField(t *table, name, to string) error {
	f, err := t.own(name)
	if err != nil {
		return err
	}
	if err := t.freeName(to); err != nil {
		return err
	}
	if err := t.unindexed(name); err != nil {
		return err
	}
	if err := d.mayTakeName(t, name, to); err != nil {
		return err
	}
	d.noted("renames the field %s of %s to %s; its data is kept, and programs that ask for the old name fail", name, t.live.Name, to)
	d.dependents(t, name)
	f["name"] = to
	t.changed["fields"] = true
	return nil
}

func (d *draft) removeField(t *table, name string) error {
	f, err := t.own(name)
	if err != nil {
		return err
	}
	if err := t.unindexed(name); err != nil {
		return err
	}
	d.noted("removes the field %s of %s with ALL its data", name, t.live.Name)
	d.warn("DATA IS LOST: what records of %s have in %s; to keep it under another name use rename_field", t.live.Name, name)
	d.dependents(t, name)
	d.counts = append(d.counts, t.live.Name)
	t.live.Fields = slices.DeleteFunc(t.live.Fields, func(g map[string]any) bool { return nameOf(g) == nameOf(f) })
	t.changed["fields"], t.lossy = true, true
	return nil
}

// unindexed refuses a field that an index names: PocketBase would make the index
// again with the old name.
func (t *table) unindexed(name string) error {
	word := regexp.MustCompile(`(?i)\b` + name + `\b`)
	for _, i := range t.live.Indexes {
		if word.MatchString(i) {
			return denied("the index %s may use the field: remove it first, in the same call", indexName(i))
		}
	}
	return nil
}

var (
	indexPattern = lazy.Regexp("(?i)^\\s*CREATE\\s+(?:UNIQUE\\s+)?INDEX\\s+(?:IF\\s+NOT\\s+EXISTS\\s+)?[`\"\\[]?([A-Za-z_][A-Za-z0-9_]*)")
	newIndexName = lazy.Regexp(`^[A-Za-z][A-Za-z0-9_]{0,63}$`)
)

func indexName(sql string) string {
	if m := indexPattern().FindStringSubmatch(sql); m != nil {
		return m[1]
	}
	return ""
}

func (d *draft) addIndex(t *table, in indexIn) error {
	if !newIndexName().MatchString(in.Name) || strings.HasPrefix(strings.ToLower(in.Name), "sqlite_") {
		return badArgument(errors.New("an index's name has letters, digits and underscores, and begins with a letter"))
	}
	for _, other := range d.all {
		if slices.ContainsFunc(other.live.Indexes, func(i string) bool { return strings.EqualFold(indexName(i), in.Name) }) {
			return denied("there already is an index %s, of %s", in.Name, d.c.shownName(other.live.Name))
		}
	}
	var columns []string
	for _, f := range in.Fields {
		name, down := strings.CutPrefix(f, "-")
		if g := t.field(name); g == nil || nameOf(g) != name || !fieldName().MatchString(name) || isSecret(name) {
			return denied("an index of %s names a field that there is not, or that may not be indexed", t.live.Name)
		}
		column := "`" + name + "`"
		if down {
			column += " DESC"
		}
		columns = append(columns, column)
	}
	sql := "CREATE INDEX `"
	if in.Unique {
		sql = "CREATE UNIQUE INDEX `"
	}
	t.live.Indexes = append(t.live.Indexes, sql+in.Name+"` ON `"+t.live.Name+"` ("+strings.Join(columns, ", ")+")")
	t.changed["indexes"] = true
	d.noted("adds to %s: %s", t.live.Name, t.live.Indexes[len(t.live.Indexes)-1])
	return nil
}

func (d *draft) removeIndex(t *table, name string) error {
	n := len(t.live.Indexes)
	t.live.Indexes = slices.DeleteFunc(t.live.Indexes, func(i string) bool { return newIndexName().MatchString(name) && indexName(i) == name })
	if len(t.live.Indexes) == n {
		return denied("%s has no such index", t.live.Name)
	}
	t.changed["indexes"] = true
	d.noted("removes the index %s of %s", name, t.live.Name)
	return nil
}
