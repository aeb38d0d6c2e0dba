package pbtool

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// A schemaOp is one change of the schema. Which members each has, opMembers says.
type schemaOp struct {
	Op         string    `json:"op" validate:"required,max=20"`
	Collection string    `json:"collection" validate:"max=100"`
	Type       string    `json:"type" validate:"omitempty,oneof=base auth"`
	Fields     []values  `json:"fields" validate:"max=100,dive,max=20,dive,keys,max=100,endkeys" mcpsec:"any"`
	Field      values    `json:"field" validate:"max=20,dive,keys,max=100,endkeys" mcpsec:"any"`
	Name       string    `json:"name" validate:"max=100"`
	To         string    `json:"to" validate:"max=100"`
	Rules      values    `json:"rules" validate:"max=7,dive,keys,max=20,endkeys" mcpsec:"any"`
	Index      *indexIn  `json:"index"`
	Indexes    []indexIn `json:"indexes" validate:"max=20"`
	Export     []values  `json:"export" validate:"max=20,dive,max=60,dive,keys,max=100,endkeys" mcpsec:"any"`
}

// An indexIn is an index. Its SQL is written here: a caller's is never used.
type indexIn struct {
	Name   string   `json:"name" validate:"required,max=64"`
	Fields []string `json:"fields" validate:"min=1,max=10,dive,max=101"`
	Unique bool     `json:"unique"`
}

// opMembers are the members that each operation needs, and, behind a ?, may have.
var opMembers = map[string]string{
	"import": "export", "create_collection": "collection fields ?type ?rules ?indexes", "delete_collection": "collection", "truncate": "collection", "rename_collection": "collection to", "add_field": "collection field", "alter_field": "collection field name",
	"rename_field": "collection name to", "remove_field": "collection name", "set_rules": "collection rules", "add_index": "collection index", "remove_index": "collection name",
}

func (o schemaOp) check() error {
	members, ok := opMembers[o.Op]
	if !ok {
		return badArgument(fmt.Errorf("op must be one of %s", strings.Join(slices.Sorted(maps.Keys(opMembers)), ", ")))
	}
	has := map[string]bool{"export": o.Export != nil, "collection": o.Collection != "", "type": o.Type != "", "fields": o.Fields != nil, "field": o.Field != nil, "name": o.Name != "", "to": o.To != "", "rules": o.Rules != nil, "index": o.Index != nil, "indexes": o.Indexes != nil}
	for _, m := range strings.Fields(members) {
		name, optional := strings.CutPrefix(m, "?")
		if !optional && !has[name] {
			return badArgument(fmt.Errorf("%s needs %s", o.Op, name))
		}
		delete(has, name)
	}
	for name, given := range has {
		if given {
			return badArgument(fmt.Errorf("%s has no %s", o.Op, name))
		}
	}
	return nil
}

// A draft is a schema that is being changed.
type draft struct {
	c        *Client
	all      []*table
	diff     []string
	warnings []string
	counts   []string // collections whose number of records a person should see
	imported bool
	lone     string // the operation that needs a request of its own
}

// A table is a collection in a draft.
type table struct {
	live    schema // as it is, but for what operations have changed
	raw     []byte // as PocketBase has told it, nil of a new one
	changed map[string]bool
	lossy   bool // PocketBase's import would not do it
	was     string
	ids     map[string]string // its fields' ids as they were, by their names in lower case
}

func (d *draft) noted(format string, args ...any) {
	d.diff = append(d.diff, fmt.Sprintf(format, args...))
}
func (d *draft) warn(format string, args ...any) {
	d.warnings = append(d.warnings, fmt.Sprintf(format, args...))
}

// find returns a collection that operations may change.
func (d *draft) find(name string) (*table, error) {
	if _, err := d.c.collection(name); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(d.all, func(t *table) bool { return t.live.Name == name })
	switch {
	case i < 0:
		return nil, denied("there is no such collection: %s", name)
	case isSystem(name) || d.all[i].live.System:
		return nil, denied("PocketBase's own collections may not be changed")
	case d.c.isHistory(name):
		return nil, denied("the history of changes is an operator's to change")
	}
	return d.all[i], nil
}

func (t *table) field(name string) map[string]any {
	i := slices.IndexFunc(t.live.Fields, func(f map[string]any) bool { return strings.EqualFold(nameOf(f), name) })
	if i < 0 {
		return nil
	}
	return t.live.Fields[i]
}

func nameOf(f map[string]any) string { s, _ := f["name"].(string); return s }

func fieldNames(fields []map[string]any) (names []string) {
	for _, f := range fields {
		names = append(names, nameOf(f))
	}
	return names
}

// own returns a field that operations may change.
func (t *table) own(name string) (map[string]any, error) {
	f := t.field(name)
	switch {
	case f == nil || nameOf(f) != name:
		return nil, denied("%s has no such field", t.live.Name)
	case f["system"] == true || isSecret(name):
		return nil, denied("PocketBase's own fields may not be changed")
	case t.live.Type == "view":
		return nil, errView
	}
	return f, nil
}

var errView = &mcpsec.Error{Message: "a view's fields, indexes and query cannot be changed: its query is SQL that reads anything; an operator writes it in PocketBase's dashboard", Rule: "collection"}

// apply changes the draft.
func (d *draft) apply(o schemaOp) error {
	if err := o.check(); err != nil {
		return err
	}
	switch o.Op {
	case "import":
		return d.imports(o.Export)
	case "create_collection":
		return d.create(o)
	}
	t, err := d.find(o.Collection)
	if err != nil {
		return err
	}
	switch o.Op {
	case "delete_collection", "truncate":
		return d.empty(o, t)
	case "rename_collection":
		return d.rename(t, o.To)
	case "set_rules":
		return d.setRules(t, o.Rules)
	}
	if t.live.Type == "view" {
		return errView
	}
	switch o.Op {
	case "add_field":
		return d.addField(t, o.Field)
	case "alter_field":
		return d.alterField(t, o.Name, o.Field)
	case "rename_field":
		return d.renameField(t, o.Name, o.To)
	case "remove_field":
		return d.removeField(t, o.Name)
	case "add_index":
		return d.addIndex(t, *o.Index)
	}
	return d.removeIndex(t, o.Name)
}

func (d *draft) newName(name string) error {
	if _, err := d.c.collection(name); err != nil {
		return err
	}
	if d.c.isHistory(name) {
		return denied("the history of changes is an operator's to make")
	}
	if isSystem(name) || strings.Contains(strings.ToLower(name), "_via_") {
		return denied("a collection's name must not be like those of PocketBase's own")
	}
	if slices.ContainsFunc(d.all, func(t *table) bool { return strings.EqualFold(t.live.Name, name) || t.live.ID == name }) {
		return denied("there already is a collection %s", name)
	}
	return nil
}

func (d *draft) create(o schemaOp) error {
	if err := d.newName(o.Collection); err != nil {
		return err
	}
	t := &table{live: schema{Name: o.Collection, Type: or2(o.Type, "base")}, changed: map[string]bool{"type": true, "name": true, "fields": true}}
	t.live.ID = d.newID(t.live.Type + t.live.Name)
	t.live.Fields = systemFields(t.live.Type)
	d.all = append(d.all, t)
	d.noted("creates the %s collection %s", t.live.Type, t.live.Name)
	for _, f := range o.Fields {
		if err := d.addField(t, f); err != nil {
			return err
		}
	}
	for _, i := range o.Indexes {
		if err := d.addIndex(t, i); err != nil {
			return err
		}
	}
	return d.setRules(t, o.Rules)
}

// systemFields stand for those that PocketBase makes, so that rules and indexes
// can name them. They are not sent.
func systemFields(kind string) (out []map[string]any) {
	names := []string{"id"}
	if kind == "auth" {
		names = append(names, "password", "tokenKey", "email", "emailVisibility", "verified")
	}
	for _, n := range names {
		out = append(out, map[string]any{"name": n, "system": true})
	}
	return out
}

// newID is the id that PocketBase itself would give, so that relations between new
// collections can name it.
func (d *draft) newID(of string) string {
	base := fmt.Sprintf("pbc_%d", crc32.ChecksumIEEE([]byte(of)))
	for i, id := 2, base; ; i++ {
		if !slices.ContainsFunc(d.all, func(t *table) bool { return t.live.ID == id }) {
			return id
		}
		id = fmt.Sprintf("%s%d", base, i)
	}
}

// empty plans what takes all records.
func (d *draft) empty(o schemaOp, t *table) error {
	if t.raw == nil {
		return badArgument(errors.New("a collection that is created by the same call cannot be deleted or truncated"))
	}
	if t.live.Type == "view" && o.Op == "truncate" {
		return badArgument(errors.New("a view has no records of its own"))
	}
	if d.c.o.History.Collection != "" && o.Op == "truncate" {
		return denied("the history would lack what is deleted so: pb_delete_records deletes records with their entries")
	}
	d.lone = o.Op
	d.counts = append(d.counts, t.live.Name)
	t.changed[o.Op] = true
	if o.Op == "truncate" {
		d.noted("deletes ALL records of %s, and what cascades from them", t.live.Name)
		return nil
	}
	d.noted("deletes the collection %s with ALL its records and files", t.live.Name)
	d.dependents(t, t.live.Name)
	return nil
}

func (d *draft) rename(t *table, to string) error {
	if err := d.newName(to); err != nil {
		return err
	}
	if slices.Contains(d.c.o.Public, to) {
		return denied("a collection cannot be given the name of one that may be opened to everyone")
	}
	if err := d.mayBecome(t.live.Name, to); err != nil {
		return err
	}
	d.noted("renames the collection %s to %s: programs that ask for the old name fail", t.live.Name, to)
	d.dependents(t, t.live.Name)
	t.live.Name = to
	t.changed["name"] = true
	return nil
}

// dependents warns of rules and views elsewhere that name a thing: PocketBase does
// not rewrite them.
func (d *draft) dependents(of *table, name string) {
	word := regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(name) + `\b`)
	for _, t := range d.all {
		if t.live.Type == "view" && word.MatchString(t.live.ViewQuery) {
			d.warn("the view %s may name %s in its query, and fail afterwards", d.c.shownName(t.live.Name), name)
		}
		for key, r := range t.live.ruleSet() {
			if *r != nil && (t != of || name != of.live.Name) && word.MatchString(**r) {
				d.warn("the %s rule of %s may name %s", key, d.c.shownName(t.live.Name), name)
			}
		}
	}
}

// ruleSet are the rules by the names that callers use.
func (s *schema) ruleSet() map[string]**string {
	out := map[string]**string{"list": &s.ListRule, "view": &s.ViewRule}
	if s.Type != "view" {
		out["create"], out["update"], out["delete"] = &s.CreateRule, &s.UpdateRule, &s.DeleteRule
	}
	if s.Type == "auth" {
		out["auth"], out["manage"] = &s.AuthRule, &s.ManageRule
	}
	return out
}

func (d *draft) setRules(t *table, rules values) error {
	set := t.live.ruleSet()
	for _, key := range slices.Sorted(maps.Keys(rules)) {
		at := set[key]
		if at == nil {
			return badArgument(fmt.Errorf("rules of %s are %s", t.live.Name, strings.Join(slices.Sorted(maps.Keys(set)), ", ")))
		}
		var rule *string
		if json.Unmarshal(rules[key], &rule) != nil {
			return badArgument(errors.New("a rule is a text, or null for superusers only"))
		}
		if err := d.setRule(t, key, rule); err != nil {
			return err
		}
		*at, t.changed[key+"Rule"] = rule, true
	}
	return nil
}

func (d *draft) setRule(t *table, key string, rule *string) error {
	if rule != nil {
		if err := d.mayShow(t); err != nil {
			return err
		}
		ws, err := words(*rule)
		if err != nil {
			return badArgument(err)
		}
		for _, w := range ws {
			if err := d.mayJudgeBy(w); err != nil {
				return err
			}
		}
	}
	old := *t.live.ruleSet()[key]
	d.noted("sets the %s rule of %s to %s; it was %s", key, t.live.Name, shownRule(rule), shownRule(old))
	if key == "auth" {
		if t.raw != nil {
			d.warn("a new auth rule ends all sessions of %s", t.live.Name)
		}
		return nil
	}
	if key == "manage" && rule != nil {
		d.warn("whom the manage rule of %s lets in changes passwords and e-mail addresses of others without the old password", t.live.Name)
	}
	d.letsAll(t, key, rule)
	return d.opens(t, key, rule)
}

// letsAll warns of a rule that only asks whether somebody has signed in.
func (d *draft) letsAll(t *table, key string, rule *string) {
	if key == "create" || judge(rule, asker{}, nil, true) == always {
		return
	}
	for _, accounts := range d.all {
		v := asker{accounts.live.Name, accounts.live.ID}
		if accounts.live.Type != "auth" || accounts.live.System || judge(rule, v, fieldNames(t.live.Fields), t.live.Type == "view") != always {
			continue
		}
		text := "every account of %s may %s ALL of %s, also what is others'"
		if judge(accounts.live.CreateRule, asker{}, nil, true) != never {
			text += ", and anybody can sign up for one"
		}
		d.warn(text, d.c.shownName(v.collection), key, t.live.Name)
	}
}

// shownName is the name of a collection that may be used, or none.
func (c *Client) shownName(name string) string {
	if _, err := c.collection(name); err != nil {
		return "another collection"
	}
	return name
}

// opens refuses a rule that lets guests in, if the operator has not said that the
// collection may be public.
func (d *draft) opens(t *table, key string, rule *string) error {
	v := judge(rule, asker{}, fieldNames(t.live.Fields), key == "create" || t.live.Type == "view")
	switch {
	case v == never:
		return nil
	case !slices.Contains(d.c.o.Public, t.live.Name):
		return denied(`the %s rule would let in guests who have not signed in, always or for some records: put @request.auth.id != "" && before it, in brackets what follows; an operator can list the collection in Options.Public`, key)
	case v == always:
		d.warn("OPEN TO EVERYONE: anybody on the network may %s all of %s without signing in", key, t.live.Name)
	default:
		d.warn("OPEN TO GUESTS: anybody on the network may %s records of %s for which the rule holds", key, t.live.Name)
	}
	return nil
}

// mayJudgeBy refuses a rule that would tell secrets by what it lets in: rules see
// all fields of all collections.
func (d *draft) mayJudgeBy(word string) error {
	path := strings.Split(word, ".")
	for i := range path {
		path[i], _, _ = strings.Cut(path[i], ":") // a modifier, or a collection's alias
	}
	if path[0] == "@request" && (len(path) == 2 || len(path) == 3 && path[1] != "auth") { // what the caller has sent, and no relation's fields
		return nil
	}
	for i, s := range path {
		switch {
		case isSecret(s):
			return denied("a rule must not compare with passwords and token keys: it would tell them")
		case isSystem(s):
			return denied("a rule must not lead to PocketBase's own collections, and names collections by their names, not ids")
		case i == 1 && path[0] == "@collection":
			if _, err := d.c.collection(s); err != nil {
				return err
			}
			if d.c.isHistory(s) {
				return denied("a rule must not lead to the history of changes")
			}
		}
	}
	return nil
}

func shownRule(rule *string) string {
	switch {
	case rule == nil:
		return "null (superusers only)"
	case *rule == "":
		return `"" (everyone)`
	}
	return fmt.Sprintf("%q", *rule)
}
