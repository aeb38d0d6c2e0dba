//go:build !race

package pbtool

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"

	"github.com/mcpsec/mcpsec-go/pbtool"
)

func setRule(t *testing.T, collection, rule string) string {
	t.Helper()
	raw, err := json.Marshal("@request.auth.id != '' && " + rule)
	if err != nil {
		t.Fatal(err)
	}
	return `{"op":"set_rules","collection":"` + collection + `","rules":{"list":` + string(raw) + `}}`
}

// A rule that is set does not lead through relations to collections that may not be
// used: what it lets in would tell what is in them.
func TestPbSchemaRulePaths(t *testing.T) {
	t.Parallel()
	s := start(t)
	vault := s.collection("vault")
	vault.Fields.Add(&core.RelationField{Name: "post", CollectionId: s.collection("posts").Id})
	if err := s.app.Save(vault); err != nil {
		t.Fatal(err)
	}
	for name, to := range map[string]string{"comments": "vault", "users": "vault", "posts": "comments"} {
		k := s.collection(name)
		k.Fields.Add(&core.RelationField{Name: "kept", CollectionId: s.collection(to).Id})
		if err := s.app.Save(k); err != nil {
			t.Fatal(err)
		}
	}
	o := s.options()
	o.Collections = []pbtool.Collection{{Name: "posts"}, {Name: "comments"}}
	c := serve(t, open(t, o))
	for _, rule := range []string{
		"kept.note ~ @request.query.g", "KEPT.note:lower = 'x'", "post.vault_via_post.note ~ 'x'", "post.vault_via_post.id != ''", "post.kept.kept.note = 'x'", "@collection.comments:x.kept.note ?= 'x'", "@request.auth.kept.note ~ 'x'", "@request.body.kept.note ~ 'x'",
		"post.author.verified = true", "strftime('%Y', kept.note) = '2020'",
	} {
		c.deny("may not be used", "pb_plan_schema", `{"ops":[`+setRule(t, "comments", rule)+`]}`)
	}
	c.deny("may not be used", "pb_plan_schema", `{"ops":[`+setRule(t, "comments", "link.note = 'x'")+`,{"op":"rename_field","collection":"comments","name":"kept","to":"link"}]}`)
	for _, rule := range []string{"kept != ''", "kept = @request.auth.kept", "post.title = 'x'", "post.comments_via_post.text ?= 'x'", "post.author = @request.auth.id", "post.author.id = @request.auth.id", "@request.auth.verified = true", "post.data.a.b = 1"} {
		c.plan(setRule(t, "comments", rule))
	}
}

// What rules name is not exchanged beneath them.
func TestPbSchemaRulesMean(t *testing.T) {
	t.Parallel()
	s := start(t)
	posts := s.collection("posts")
	posts.Fields.Add(&core.TextField{Name: "note"})
	if err := s.app.Save(posts); err != nil {
		t.Fatal(err)
	}
	for name, query := range map[string]string{"seen": "SELECT id, body FROM posts", "watched": "SELECT id FROM vault"} {
		view := core.NewViewCollection(name)
		view.ViewQuery = query
		if err := s.app.Save(view); err != nil {
			t.Fatal(err)
		}
	}
	teams := core.NewBaseCollection("teams")
	teams.Fields.Add(&core.TextField{Name: "name"})
	if err := s.app.Save(teams); err != nil {
		t.Fatal(err)
	}
	for name, rule := range map[string]string{"comments": "@collection.posts:x.note ?= text || @collection.teams.name ?= text", "posts": "comments_via_post.text ?= 'x'"} {
		k := s.collection(name)
		k.ViewRule = types.Pointer("@request.auth.id != '' && (" + rule + ")")
		if err := s.app.Save(k); err != nil {
			t.Fatal(err)
		}
	}
	c := serve(t, open(t, s.anyCollection()))
	author := `{"op":"add_field","collection":"posts","field":{"name":"author","type":"text"}}`
	for _, ops := range []string{
		`{"op":"rename_field","collection":"posts","name":"author","to":"was"},` + author, `{"op":"remove_field","collection":"posts","name":"author"},` + author,
		`{"op":"rename_field","collection":"posts","name":"author","to":"was"},{"op":"rename_field","collection":"posts","name":"body","to":"author"}`,
		`{"op":"rename_field","collection":"posts","name":"note","to":"was"},{"op":"rename_field","collection":"posts","name":"data","to":"note"}`,
		`{"op":"rename_field","collection":"posts","name":"body","to":"was"},{"op":"rename_field","collection":"posts","name":"data","to":"body"}`,
		`{"op":"rename_collection","collection":"teams","to":"old"},{"op":"create_collection","collection":"teams","fields":[{"name":"name","type":"text"}]}`,
		`{"op":"rename_field","collection":"comments","name":"post","to":"was"},{"op":"add_field","collection":"comments","field":{"name":"post","type":"relation","collection":"posts"}}`,
		`{"op":"rename_collection","collection":"vault","to":"old"},{"op":"create_collection","collection":"vault","fields":[]}`,
		`{"op":"rename_collection","collection":"posts","to":"old"},{"op":"rename_collection","collection":"vault","to":"posts"}`,
		`{"op":"rename_collection","collection":"posts","to":"old"},{"op":"create_collection","collection":"posts","fields":[{"name":"note","type":"text"}]}`,
	} {
		c.deny("of that name", "pb_plan_schema", `{"ops":[`+ops+`]}`)
	}
	c.plan(`{"op":"rename_field","collection":"posts","name":"author","to":"was"},` + author + `,{"op":"set_rules","collection":"posts","rules":{"update":"@request.auth.id != '' && author = @request.auth.id","delete":null}}`)
	c.change(`{"op":"set_rules","collection":"posts","rules":{"view":null}}`)
	// Nor in two calls.
	c.change(`{"op":"rename_collection","collection":"comments","to":"remarks"}`)
	c.change(`{"op":"set_rules","collection":"posts","rules":{"list":"@request.auth.id != '' && remarks_via_post.text ?= 'x'"}}`)
	c.change(`{"op":"rename_collection","collection":"remarks","to":"notes"}`)
	c.deny("of that name", "pb_plan_schema", `{"ops":[{"op":"create_collection","collection":"remarks","fields":[{"name":"post","type":"relation","collection":"posts"}]}]}`)
}

// A rule that tells whether a guess was right is said to.
func TestPbSchemaRuleGuesses(t *testing.T) {
	t.Parallel()
	c := serve(t, open(t, start(t).anyCollection()))
	for ops, want := range map[string]string{
		setRule(t, "comments", "post.title ~ @request.query.g"): "posts.title", setRule(t, "posts", "@request.headers.x_g:lower = secret"): "posts.secret", setRule(t, "posts", "@collection.vault.note ?= @request.body.title"): "vault.note",
		setRule(t, "posts", "comments_via_post.text ?= @request.query.g"): "comments.text", `{"op":"add_field","collection":"posts","field":{"name":"pin","type":"text","hidden":true}},` + setRule(t, "posts", "pin = @request.query.pin"): "posts.pin",
		setRule(t, "comments", "post.title = 'x'"): "", setRule(t, "posts", "title = @request.query.g && author.id = @request.body.author"): "", setRule(t, "posts", "(secret = 'x' || @request.query.g = title)"): "",
	} {
		warnings := strings.Join(c.plan(ops).Warnings, "\n")
		if guess := strings.Contains(warnings, "can guess at "+want+": "); guess != (want != "") || want == "" && strings.Contains(warnings, "guess") {
			t.Errorf("%s: warnings %q, want %q", ops, warnings, want)
		}
	}
}

// Nobody is let into a view of what may not be used.
func TestPbSchemaViewRules(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.keeps(false)
	queries := map[string]string{"fine": "SELECT id, title FROM posts", "roots": "SELECT id, email FROM _superusers", "keys": "SELECT id, (tokenKey) AS t FROM users", "kept": "SELECT id, record FROM changes", "outer": "SELECT id, t FROM keys", "plain": "SELECT id FROM fine", "unlisted": "SELECT p.id, v.note FROM posts p, Vault v"}
	for _, name := range slices.Sorted(maps.Keys(queries)) {
		view := core.NewViewCollection(name)
		view.ViewQuery = queries[name]
		if err := s.app.Save(view); err != nil {
			t.Fatal(name, err)
		}
	}
	o.Collections = []pbtool.Collection{{Name: "posts"}, {Name: "users"}, {Name: "changes"}}
	for name := range queries {
		o.Collections = append(o.Collections, pbtool.Collection{Name: name})
	}
	listed := serve(t, open(t, o))
	o.Collections = nil
	all := serve(t, open(t, o))
	for name := range queries {
		for _, ops := range []string{setRule(t, name, "1=1"), setRule(t, "posts", "@collection."+name+".id ?= id"), setRule(t, "posts", "@collection."+name+":x.t ?~ 'a'")} {
			for _, c := range []*session{listed, all} {
				if name == "fine" || name == "plain" || name == "unlisted" && c == all {
					c.ok("pb_plan_schema", `{"ops":[`+ops+`]}`, nil)
				} else {
					c.deny("an operator's to say", "pb_plan_schema", `{"ops":[`+ops+`]}`)
				}
			}
		}
		listed.ok("pb_plan_schema", `{"ops":[{"op":"set_rules","collection":"`+name+`","rules":{"view":null}}]}`, nil)
	}
}

// What tools may do by a name is not got for something else by renaming it.
func TestPbSchemaRenames(t *testing.T) {
	t.Parallel()
	o := start(t).options()
	o.Collections = []pbtool.Collection{
		{Name: "posts", Fields: []string{"body", "open", "author.name", "data"}, Write: []string{"body", "total"}}, {Name: "comments", Fields: []string{"text", "post.due"}},
		{Name: "notes", Fields: []string{"text", "post.due"}}, {Name: "more"}, {Name: "vault", Fields: []string{}}, {Name: "none", Fields: []string{}}, {Name: "written", Fields: []string{"text", "post.due"}, Write: []string{"text"}}, {Name: "deleted", Fields: []string{"text", "post.due"}, Delete: true},
	}
	c := serve(t, open(t, o))
	free := func(name string) string {
		return `{"op":"rename_field","collection":"posts","name":"` + name + `","to":"was_` + name + `"},`
	}
	rename := func(name, to string) string {
		return `{"ops":[` + free(to) + `{"op":"rename_field","collection":"posts","name":"` + name + `","to":"` + to + `"}]}`
	}
	for name, to := range map[string]string{"secret": "body", "data": "body", "tags": "total", "papers": "author", "photo": "due", "due": "open", "open": "author"} {
		c.deny("an operator has to rename it", "pb_plan_schema", strings.ReplaceAll(rename(name, to), free("author"), `{"op":"set_rules","collection":"posts","rules":{"update":null,"delete":null}},`+free("author")))
	}
	for name, to := range map[string]string{"open": "data", "body": "open", "secret": "tags", "total": "papers"} {
		c.ok("pb_plan_schema", rename(name, to), nil)
	}
	c.deny("an operator has to rename it", "pb_plan_schema", `{"ops":[{"op":"rename_collection","collection":"vault","to":"more"}]}`)
	for to, may := range map[string]bool{"notes": true, "more": false, "none": false, "written": false, "deleted": false} {
		if args := `{"ops":[{"op":"rename_collection","collection":"comments","to":"` + to + `"}]}`; may {
			c.ok("pb_plan_schema", args, nil)
		} else {
			c.deny("an operator has to rename it", "pb_plan_schema", args)
		}
	}
}
