package pbtool

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// An imported is a collection as PocketBase's dashboard exports it. Its id says which
// relations of the same export lead to it, and nothing else: names decide.
type imported struct {
	raw     values
	name    string
	kind    string
	id      string
	system  bool
	fields  []values
	indexes []string
	query   string
	t       *table
}

const (
	maxImportedFields  = 100 // of a collection
	maxImportedIndexes = 20
	maxImportedOptions = 60 // of a field
)

// imports plans what an export says that is different here. It does so by the other
// operations, and so refuses what they refuse. Nothing that the export lacks is removed.
func (d *draft) imports(in []values) error {
	all, byID, err := readExport(in)
	switch {
	case err != nil:
		return err
	case d.imported:
		return badArgument(errors.New("one import a call: it can have several collections"))
	}
	d.imported = true
	for _, m := range all { // all that relations can lead to, first
		if err := d.importCollection(m); err != nil {
			return err
		}
	}
	for _, step := range []func(*imported) error{
		func(m *imported) error { return d.importFields(m, byID) }, d.importIndexes, d.importRules,
	} {
		for _, m := range all {
			if err := step(m); err != nil {
				return err
			}
		}
	}
	return nil
}

func readExport(in []values) (all []*imported, byID map[string]string, err error) {
	byID = map[string]string{}
	seen := map[string]bool{}
	for _, raw := range in {
		m := &imported{raw: raw}
		if err := m.read(); err != nil {
			return nil, nil, err
		}
		if seen[strings.ToLower(m.name)] || m.id != "" && byID[m.id] != "" {
			return nil, nil, badArgument(errors.New("two collections of the import have the same name or id"))
		}
		seen[strings.ToLower(m.name)], byID[m.id] = true, m.name
		all = append(all, m)
	}
	delete(byID, "")
	return all, byID, nil
}

func (m *imported) read() error {
	for _, member := range []struct {
		name string
		into any
	}{{"name", &m.name}, {"type", &m.kind}, {"id", &m.id}, {"system", &m.system}, {"fields", &m.fields}, {"indexes", &m.indexes}, {"viewQuery", &m.query}} {
		if raw := m.raw[member.name]; raw != nil && json.Unmarshal(raw, member.into) != nil {
			return badArgument(fmt.Errorf("the %s of a collection is not what PocketBase exports", member.name))
		}
	}
	switch {
	case m.name == "" || m.kind == "" || m.fields == nil:
		return badArgument(errors.New("a collection to import has a name, a type and fields, as PocketBase 0.23 and later export it"))
	case len(m.fields) > maxImportedFields || len(m.indexes) > maxImportedIndexes:
		return badArgument(fmt.Errorf("a collection to import has at most %d fields and %d indexes", maxImportedFields, maxImportedIndexes))
	case m.system:
		return denied("PocketBase's own collections may not be changed: leave them out of the import")
	}
	return nil
}

// importCollection finds the collection, or makes it.
func (d *draft) importCollection(m *imported) error {
	if _, err := d.c.collection(m.name); err != nil {
		return err
	}
	if !slices.ContainsFunc(d.all, func(t *table) bool { return t.live.Name == m.name }) {
		if m.kind == "view" {
			return errView
		}
		if m.kind != "base" && m.kind != "auth" {
			return badArgument(errors.New("a collection's type is base, auth or view"))
		}
		if err := d.apply(schemaOp{Op: "create_collection", Collection: m.name, Type: m.kind, Fields: []values{}}); err != nil {
			return err
		}
	}
	t, err := d.find(m.name)
	switch {
	case err != nil:
		return err
	case t.live.Type != m.kind:
		return denied("the type of %s cannot be changed", m.name)
	case t.live.Type == "view" && t.live.ViewQuery != m.query:
		return errView
	}
	m.t = t
	for key := range m.raw {
		if !slices.Contains(exportedMembers, key) {
			d.warn("of %s only fields, indexes and rules are imported: how accounts sign in, mails and other settings are not", m.name)
		}
	}
	return nil
}

var exportedMembers = []string{"id", "name", "type", "system", "fields", "indexes", "viewQuery", "created", "updated", "listRule", "viewRule", "createRule", "updateRule", "deleteRule", "authRule", "manageRule"}

func (d *draft) importFields(m *imported, byID map[string]string) error {
	if m.kind == "view" { // they are the query's
		return nil
	}
	seen := map[string]bool{}
	for _, in := range m.fields {
		name, err := text(in["name"])
		kind, err2 := text(in["type"])
		if err != nil || err2 != nil || seen[strings.ToLower(name)] || len(in) > maxImportedOptions {
			return badArgument(fmt.Errorf("each field of %s needs a name of its own and a type, and has at most %d options", m.name, maxImportedOptions))
		}
		seen[strings.ToLower(name)] = true
		f := m.t.field(name)
		switch {
		case f["system"] == true: // PocketBase makes it
			continue
		case string(in["system"]) == "true":
			return denied("a field of %s would be one of PocketBase's own, which it makes itself", m.name)
		case f != nil && f["type"] != kind:
			return denied("the type of %s.%s cannot be changed", m.name, nameOf(f))
		}
		if err := d.importField(m, f, name, kind, in, byID); err != nil {
			return err
		}
	}
	return nil
}

// importField adds a field, or alters what is different.
func (d *draft) importField(m *imported, f map[string]any, name, kind string, in values, byID map[string]string) error {
	op := values{}
	for o, raw := range in {
		known := o != "collection" && fieldKinds[kind][o] != "" || fieldKinds[""][o] != ""
		switch {
		case slices.Contains([]string{"id", "name", "type", "system", "collectionId"}, o):
		case sameOption(kind, f[o], raw) && (f != nil || o != "protected"): // which is not false of new fields
		case known:
			op[o] = raw
		default:
			d.warn("options of %s.%s that tools do not set are not imported", m.name, name)
		}
	}
	if kind == "relation" {
		if err := d.importRelation(f, op, in, byID); err != nil {
			return err
		}
	}
	switch {
	case f == nil || nameOf(f) != name: // another case is another name, and refused
		op["name"], op["type"] = in["name"], in["type"]
		return d.apply(schemaOp{Op: "add_field", Collection: m.name, Field: op})
	case len(op) > 0:
		return d.apply(schemaOp{Op: "alter_field", Collection: m.name, Name: name, Field: op})
	}
	return nil
}

// importRelation names the collection that an id stands for: one of the import first,
// since ids differ between servers.
func (d *draft) importRelation(f map[string]any, op, in values, byID map[string]string) error {
	id, err := text(in["collectionId"])
	if err != nil {
		return badArgument(errors.New("a relation needs a collectionId"))
	}
	i := slices.IndexFunc(d.all, func(t *table) bool { return t.live.Name == byID[id] || byID[id] == "" && t.live.ID == id })
	if i < 0 {
		return denied("a relation leads to a collection that is neither in the import nor one that may be used")
	}
	to := d.all[i].live
	if f != nil && f["collectionId"] == to.ID { // as it is
		return nil
	}
	if _, err := d.c.collection(to.Name); err != nil { // which does not tell its name
		return denied("a relation leads to a collection that is neither in the import nor one that may be used")
	}
	op["collection"], err = json.Marshal(to.Name)
	return err
}

// sameOption reports whether an option says what the field has: what is null, false, 0
// or empty is not set, but for the bounds of numbers.
func sameOption(kind string, live any, raw json.RawMessage) bool {
	was, err := json.Marshal(live)
	return err == nil && reflect.DeepEqual(plain(kind, was), plain(kind, raw))
}

func plain(kind string, raw []byte) any {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return raw
	}
	if list, ok := v.([]any); v == false || v == "" || ok && len(list) == 0 || v == 0.0 && kind != "number" {
		return nil
	}
	return v
}

var (
	exportedIndex  = lazy.Regexp("(?is)^\\s*CREATE\\s+(UNIQUE\\s+)?INDEX\\s+(?:IF\\s+NOT\\s+EXISTS\\s+)?[`\"\\[]?(\\w+)[`\"\\]]?\\s+ON\\s+[`\"\\[]?(\\w+)[`\"\\]]?\\s*\\(([^()]*)\\)\\s*;?\\s*$")
	exportedColumn = lazy.Regexp("(?is)^\\s*[`\"\\[]?(\\w+)[`\"\\]]?(?:\\s+(?:ASC|(DESC)))?\\s*$")
	ownIndex       = lazy.Regexp(`(?i)^idx_(tokenKey|email)_`) // of accounts, by PocketBase
)

func (d *draft) importIndexes(m *imported) error {
	for _, sql := range m.indexes {
		if m.kind == "view" || slices.Contains(m.t.live.Indexes, sql) || m.kind == "auth" && ownIndex().MatchString(indexName(sql)) {
			continue
		}
		index, ok := readIndex(sql, m.name)
		switch {
		case ok && slices.ContainsFunc(m.t.live.Indexes, func(live string) bool { // which may be written otherwise
			other, ok := readIndex(live, m.name)
			return ok && reflect.DeepEqual(index, other)
		}):
			continue
		case !ok:
			return denied("an index of %s is not one of columns only, or of another collection: leave it out, an operator can make it", m.name)
		}
		if err := d.apply(schemaOp{Op: "add_index", Collection: m.name, Index: &index}); err != nil {
			return err
		}
	}
	return nil
}

// readIndex reads what can be said without SQL.
func readIndex(sql, table string) (indexIn, bool) {
	p := exportedIndex().FindStringSubmatch(sql)
	if p == nil || p[3] != table {
		return indexIn{}, false
	}
	index := indexIn{Name: p[2], Unique: p[1] != ""}
	for column := range strings.SplitSeq(p[4], ",") {
		c := exportedColumn().FindStringSubmatch(column)
		if c == nil || len(index.Fields) == 10 {
			return indexIn{}, false
		}
		if c[2] != "" {
			c[1] = "-" + c[1]
		}
		index.Fields = append(index.Fields, c[1])
	}
	return index, true
}

func (d *draft) importRules(m *imported) error {
	rules, live := values{}, m.t.live.ruleSet()
	for _, key := range []string{"list", "view", "create", "update", "delete", "auth", "manage"} {
		raw, ok := m.raw[key+"Rule"]
		if !ok {
			continue
		}
		var rule, was *string
		err := json.Unmarshal(raw, &rule)
		if at := live[key]; at != nil {
			was = *at
		}
		made := m.t.raw == nil && key == "auth" && m.kind == "auth" // lets all sign in if nothing is said
		if err != nil || made || !reflect.DeepEqual(rule, was) {
			rules[key] = raw
		}
	}
	if len(rules) == 0 {
		return nil
	}
	return d.apply(schemaOp{Op: "set_rules", Collection: m.name, Rules: rules})
}
