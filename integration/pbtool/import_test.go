//go:build !race

package pbtool

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"

	"github.com/mcpsec/mcpsec-go/pbtool"
)

// export is what PocketBase's dashboard exports: what its API says of collections.
func (s *server) export(names ...string) string {
	s.t.Helper()
	var out []string
	for _, name := range names {
		raw, err := json.Marshal(s.collection(name))
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, string(raw))
	}
	return "[" + strings.Join(out, ",") + "]"
}

func imports(export string) string { return `{"op":"import","export":` + export + `}` }

// with says something else of an exported collection.
func with(t *testing.T, export string, change func(k map[string]any, fields []any)) string {
	t.Helper()
	var ks []map[string]any
	if err := json.Unmarshal([]byte(export), &ks); err != nil {
		t.Fatal(err)
	}
	fields, _ := ks[0]["fields"].([]any)
	change(ks[0], fields)
	raw, err := json.Marshal(ks)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// What one server's dashboard exports another one gets, by names, and nothing that it
// has besides is lost.
func TestPbPlanSchemaImport(t *testing.T) {
	t.Parallel()
	s, other := start(t), start(t)
	s.posts(3)
	teams, news := core.NewAuthCollection("teams"), core.NewBaseCollection("news")
	teams.Id, news.Id = "teamsfromthere1", s.collection("vault").Id // which is another's here
	teams.AuthRule, teams.ListRule, teams.OAuth2.Enabled = nil, types.Pointer("@request.auth.id != '' && id = @request.auth.id"), true
	teams.Fields.Add(&core.NumberField{Name: "level", Min: types.Pointer(0.0), Max: types.Pointer(9.0), OnlyInt: true}, &core.TextField{Name: "note", Hidden: true, Max: 30})
	if err := other.app.Delete(other.collection("vault")); err != nil {
		t.Fatal(err)
	}
	if err := other.app.Save(teams); err != nil {
		t.Fatal(err)
	}
	news.Fields.Add(&core.RelationField{Name: "team", CollectionId: teams.Id, CascadeDelete: true, MaxSelect: 1}, &core.FileField{Name: "pic", Protected: true, MaxSelect: 1, Thumbs: []string{"10x10"}}, &core.FileField{Name: "cover", MaxSelect: 1},
		&core.SelectField{Name: "kind", Values: []string{"a", "b"}, MaxSelect: 2}, &core.RelationField{Name: "post", CollectionId: other.collection("posts").Id, MaxSelect: 1}, &core.AutodateField{Name: "made", OnCreate: true})
	news.AddIndex("idx_news", true, "kind, made DESC", "")
	if err := other.app.Save(news); err != nil {
		t.Fatal(err)
	}
	posts := other.collection("posts")
	posts.Fields.RemoveByName("body")
	posts.Fields.Add(&core.URLField{Name: "source"}, &core.RelationField{Name: "item", CollectionId: news.Id, MaxSelect: 1})
	posts.Fields.GetByName("title").(*core.TextField).Max = 6000
	posts.DeleteRule = types.Pointer("@request.auth.id != '' && author = @request.auth.id")
	if err := other.app.Save(posts); err != nil {
		t.Fatal(err)
	}
	c := serve(t, open(t, s.anyCollection()))
	ops := imports(other.export("news", "posts", "teams", "users"))
	p := c.change(ops)
	if len(c.asked) != 1 {
		t.Errorf("asked %q", c.asked)
	}
	for _, want := range []string{"creates the auth collection teams", "sets the auth rule of teams to null (superusers only)", `alters the field title of posts with max = "6000"`, `adds the text field note to teams with hidden = "true"`, "adds the url field source to posts"} {
		if !strings.Contains(strings.Join(p.Diff, "\n"), want) {
			t.Errorf("diff %q lacks %q", p.Diff, want)
		}
	}
	for _, want := range []string{"of teams only fields, indexes and rules are imported", "options of news.pic that tools do not set", "files in news.cover are given to anybody"} {
		if !strings.Contains(strings.Join(p.Warnings, "\n"), want) {
			t.Errorf("warnings %q lack %q", p.Warnings, want)
		}
	}
	for _, name := range []string{"teams", "news", "posts", "users"} {
		if got, want := said(t, s, name), said(t, other, name); got != want && name != "posts" {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	k := s.collection("posts")
	if k.Fields.GetByName("body") == nil || k.Fields.GetByName("source") == nil || k.DeleteRule == nil || s.count("posts") != 3 || !s.has("vault") || s.collection("teams").OAuth2.Enabled {
		t.Errorf("something is lost, or not imported: %s", k)
	}
	for _, path := range [][3]string{{"news", "team", "teams"}, {"news", "post", "posts"}, {"posts", "item", "news"}} {
		if r, ok := s.collection(path[0]).Fields.GetByName(path[1]).(*core.RelationField); !ok || r.CollectionId != s.collection(path[2]).Id {
			t.Errorf("%v: it leads elsewhere", path)
		}
	}
	c.deny("nothing would change", "pb_plan_schema", `{"ops":[`+ops+`]}`)
	c.deny("nothing would change", "pb_plan_schema", `{"ops":[`+imports(s.export("posts", "users", "vault", "comments", "news", "teams"))+`]}`)
}

// said is what an export says of a collection's fields and rules, without ids.
func said(t *testing.T, s *server, name string) string {
	t.Helper()
	k := s.collection(name)
	var out []string
	for _, f := range k.Fields {
		raw, err := json.Marshal(f)
		var m map[string]any
		if err != nil || json.Unmarshal(raw, &m) != nil {
			t.Fatal(err)
		}
		delete(m, "id")
		delete(m, "thumbs")
		delete(m, "collectionId")
		out = append(out, fmt.Sprint(m))
	}
	slices.Sort(out)
	rules := []string{}
	for _, r := range []*string{k.ListRule, k.ViewRule, k.CreateRule, k.UpdateRule, k.DeleteRule, k.AuthRule, k.ManageRule} {
		text := "null"
		if r != nil {
			text = fmt.Sprintf("%q", *r)
		}
		rules = append(rules, text)
	}
	return strings.Join(out, "\n") + strings.Join(rules, ",") + fmt.Sprint(len(k.Indexes))
}

// An import is held to what other operations are held to.
func TestPbPlanSchemaImportRefuses(t *testing.T) {
	t.Parallel()
	s := start(t)
	view := core.NewViewCollection("seen")
	view.ViewQuery = "SELECT id, title FROM posts"
	if err := s.app.Save(view); err != nil {
		t.Fatal(err)
	}
	s.posts(2)
	c := serve(t, open(t, s.anyCollection()))
	was := s.state()
	posts, seen, users := s.export("posts"), s.export("seen"), s.export("users")
	set := func(export, key string, v any) string {
		return with(t, export, func(k map[string]any, _ []any) { k[key] = v })
	}
	field := func(export, name, key string, v any) string {
		return with(t, export, func(_ map[string]any, fields []any) {
			for _, f := range fields {
				if f := f.(map[string]any); f["name"] == name {
					f[key] = v
				}
			}
		})
	}
	add := func(export string, more ...any) string {
		return with(t, export, func(k map[string]any, fields []any) { k["fields"] = append(fields, more...) })
	}
	many := make([]any, 10_000)
	for i := range many {
		many[i] = map[string]any{"name": fmt.Sprint("f", i), "type": "text"}
	}
	wide := map[string]any{"name": "x", "type": "text"}
	for i := range 10_000 {
		wide[fmt.Sprint("o", i)] = i
	}
	base := func(more string) string { return `[{"name":"new","type":"base","fields":[]` + more + `}]` }
	for _, is := range []struct{ why, export string }{
		{"would let in guests", set(posts, "listRule", "")},
		{"would let in guests", base(`,"listRule":""`)},
		{"would let in guests", set(users, "manageRule", "name = @request.auth.id")},
		{"must not compare with passwords", set(posts, "listRule", "@request.auth.id != '' && author.tokenKey ~ 'a'")},
		{"must not lead to PocketBase's own", set(posts, "viewRule", "@request.auth.id != '' && @collection._superusers.email ?~ 'a'")},
		{"rules of posts are", set(posts, "authRule", "@request.auth.id != ''")},
		{"rules of seen are", set(seen, "createRule", "@request.auth.id != ''")},
		{"a rule is a text", set(posts, "listRule", 1)},
		{"own collections", set(s.export("_superusers"), "authRule", "")},
		{"own collections", set(s.export("_superusers"), "system", false)},
		{"own collections", s.export("_otps")},
		{"own collections", set(set(posts, "name", "pbc_3142635823"), "system", false)},
		{"own collections", set(posts, "name", s.collection("posts").Id)},
		{"own collections", set(posts, "system", true)},
		{"a view's", set(seen, "viewQuery", "SELECT id, tokenKey AS title FROM _superusers")},
		{"a view's", set(set(seen, "name", "another"), "viewQuery", "SELECT * FROM _superusers")},
		{"type of posts cannot be changed", set(set(posts, "type", "view"), "viewQuery", "SELECT * FROM _superusers")},
		{"type of posts cannot be changed", set(posts, "type", "auth")},
		{"type is base", set(set(posts, "name", "new"), "type", "other")},
		{"already", set(posts, "name", "POSTS")},
		{"at most 100 fields", add(posts, many...)},
		{"at most 100 fields", `[{"name":"new","type":"base","fields":[` + strings.Repeat(`{"name":"a","type":"text"},`, 10_000) + `{}]}]`},
		{"at most 100 fields", set(posts, "indexes", make([]string, 1_000))},
		{"type of posts.body cannot be changed", field(posts, "body", "type", "number")},
		{"already has a field", field(posts, "body", "name", "Body")},
		{"must not be called password", add(posts, map[string]any{"name": "password", "type": "text"})},
		{"must not be called password", field(posts, "body", "name", "tokenKey")},
		{"one of PocketBase's own", add(posts, map[string]any{"name": "x", "type": "text", "system": true})},
		{"needs a name and a type", add(posts, map[string]any{"name": "x", "type": "password"})},
		{"name of its own", add(posts, map[string]any{"name": "title", "type": "text", "hidden": false})},
		{"name of its own", `[{"name":"new","type":"base","fields":[{"type":"text"}]}]`},
		{"neither in the import nor", add(posts, map[string]any{"name": "x", "type": "relation", "collectionId": s.collection("_superusers").Id})},
		{"neither in the import nor", add(posts, map[string]any{"name": "x", "type": "relation", "collectionId": "nothere"})},
		{"cannot be changed", field(posts, "author", "collectionId", s.collection("vault").Id)},
		{"columns only", set(posts, "indexes", []string{"CREATE INDEX i ON posts (lower(body))"})},
		{"columns only", set(posts, "indexes", []string{"CREATE INDEX i ON posts (body) WHERE body != (SELECT 1 FROM _superusers)"})},
		{"columns only", set(posts, "indexes", []string{"CREATE INDEX i ON vault (note)"})},
		{"columns only", set(posts, "indexes", []string{"CREATE INDEX i ON posts (body); DROP TABLE vault"})},
		{"not be indexed", set(users, "indexes", []string{"CREATE INDEX i ON users (tokenKey)"})},
		{"already is an index", set(posts, "indexes", []string{"CREATE UNIQUE INDEX idx_title ON posts (body)"})},
		{"same name or id", `[{"name":"a","type":"base","fields":[]},{"name":"A","type":"base","fields":[]}]`},
		{"same name or id", posts[:len(posts)-1] + "," + posts[1:]},
		{"one import a call", posts + "}," + strings.TrimSuffix(imports(base("")), "}")},
		{"at most 60 options", add(posts, wide)},
		{"", `[]`}, {"", `[null]`}, {"", `[1]`}, {"", `{}`}, {"", `"[]"`}, {"as PocketBase 0.23", `[{"name":"new","type":"base","schema":[]}]`},
		{"", "[" + strings.Repeat(base("")[1:len(base(""))-1]+",", 30) + base("")[1:]},
	} {
		if a := c.call("pb_plan_schema", `{"ops":[`+imports(is.export)+`]}`); !a.refused || !strings.Contains(a.text, is.why) {
			t.Errorf("%.300s: got %q, want a refusal with %q", is.export, a.text, is.why)
		}
	}
	// An id renames nothing: what has another name is another collection and another field.
	moved := with(t, posts, func(k map[string]any, _ []any) {
		k["name"], k["indexes"], k["deleteRule"], k["updateRule"] = "posts2", nil, nil, nil
	})
	p := c.change(imports(field(field(moved, "body", "name", "text"), "text", "hidden", true)))
	if p := strings.Join(p.Diff, "\n"); !strings.Contains(p, "creates the base collection posts2") || s.count("posts") != 2 || s.collection("posts2").Id == s.collection("posts").Id {
		t.Errorf("got %s", p)
	}
	c.change(`{"op":"delete_collection","collection":"posts2"}`)
	p = c.plan(imports(field(posts, "body", "name", "text")))
	if p := strings.Join(p.Diff, "\n"); p != `adds the text field text to posts with max = "100000"` {
		t.Errorf("got %s", p)
	}
	// A secret field that is shown from then on is what a person is told.
	p = c.plan(imports(field(posts, "secret", "hidden", false)))
	if !strings.Contains(strings.Join(p.Warnings, "\n"), "posts.secret is shown") {
		t.Errorf("warnings %q", p.Warnings)
	}
	// What is more than a person reads is not confirmed: nothing hides in it.
	fields := make([]any, 80)
	for i := range fields {
		fields[i] = map[string]any{"name": fmt.Sprint("another_innocent_field_", i), "type": "text"}
	}
	long := imports(add(posts, fields...))
	c.deny("too long to be shown", "pb_apply_schema", `{"plan":"`+c.plan(long).Plan+`","ops":[`+long+`]}`)
	few := serve(t, open(t, s.options()))
	for _, export := range []string{s.export("vault"), set(posts, "name", "new"), add(posts, map[string]any{"name": "x", "type": "relation", "collectionId": s.collection("vault").Id})} {
		few.deny("be used", "pb_plan_schema", `{"ops":[`+imports(export)+`]}`)
	}
	for _, name := range []string{"vault", "nothere"} { // which of them there is, is not told
		for _, kind := range []string{"base", "view", "other"} {
			few.deny("may not be used", "pb_plan_schema", `{"ops":[`+imports(`[{"name":"`+name+`","type":"`+kind+`","fields":[]}]`)+`]}`)
		}
	}
	o := s.options()
	o.Collections = []pbtool.Collection{{Name: "posts"}, {Name: "_otps"}}
	serve(t, open(t, o)).deny("own collections", "pb_plan_schema", `{"ops":[`+imports(set(s.export("_otps"), "system", false))+`]}`)
	if s.state() != was {
		t.Error("something was changed")
	}
	c.deny("nothing would change", "pb_plan_schema", `{"ops":[{"op":"set_rules","collection":"posts","rules":{}}]}`)
}
