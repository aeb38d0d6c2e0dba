//go:build !race

package pbtool

import (
	"encoding/json"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pocketbase/pocketbase/core"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

type planned struct {
	Plan      string
	Diff      []string
	Warnings  []string
	Migration string
}

func (s *session) plan(ops string) (p planned) {
	s.t.Helper()
	s.ok("pb_plan_schema", `{"ops":[`+ops+`]}`, &p)
	return p
}

// change plans and applies.
func (s *session) change(ops string) planned {
	s.t.Helper()
	p := s.plan(ops)
	s.ok("pb_apply_schema", `{"plan":"`+p.Plan+`","ops":[`+ops+`]}`, nil)
	return p
}

// anyCollection lets tools use all collections, and open those that are listed.
func (s *server) anyCollection(public ...string) pbtool.Options {
	o := s.options()
	o.Collections, o.Public = nil, public
	return o
}

func (s *server) collection(name string) *core.Collection {
	s.t.Helper()
	k, err := s.app.FindCollectionByNameOrId(name)
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
	return k
}

func (s *server) has(name string) bool {
	k, err := s.app.FindCollectionByNameOrId(name)
	return err == nil && k != nil
}

func TestPbPlanSchema(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(3)
	c := serve(t, open(t, s.anyCollection("news")))
	was := s.state()
	p := c.plan(`{"op":"create_collection","collection":"news","fields":[{"name":"head","type":"text","required":true,"max":200},{"name":"post","type":"relation","collection":"posts","cascadeDelete":true},{"name":"pic","type":"file","protected":false}],` +
		`"rules":{"list":"","view":"head != 'x'"},"indexes":[{"name":"idx_head","fields":["head","-id"],"unique":true}]},` +
		`{"op":"rename_field","collection":"posts","name":"body","to":"text"},{"op":"alter_field","collection":"posts","name":"secret","field":{"hidden":false}},{"op":"alter_field","collection":"posts","name":"tags","field":{"maxSelect":1}}`)
	for _, want := range []string{
		"creates the base collection news", "adds the text field head to news", `renames the field body of posts to text; its data is kept`, "CREATE UNIQUE INDEX `idx_head` ON `news` (`head`, `id` DESC)",
		`sets the list rule of news to "" (everyone); it was null (superusers only)`,
	} {
		if !strings.Contains(strings.Join(p.Diff, "\n"), want) {
			t.Errorf("diff %q lacks %q", p.Diff, want)
		}
	}
	for _, want := range []string{
		"OPEN TO EVERYONE: anybody on the network may list all of news", "OPEN TO GUESTS: anybody on the network may view records of news", "files in news.pic are given to anybody", "DATA IS LOST: of several values in posts.tags only the last is kept",
		"posts.secret is shown", "posts has 3 records",
	} {
		if !strings.Contains(strings.Join(p.Warnings, "\n"), want) {
			t.Errorf("warnings %q lack %q", p.Warnings, want)
		}
	}
	if s.state() != was || len(c.asked) != 0 {
		t.Error("planning has changed something")
	}
	for _, r := range s.requests() {
		if !strings.HasPrefix(r, "GET ") && !strings.Contains(r, "/auth-with-password") && !strings.Contains(r, "/impersonate/") {
			t.Errorf("planning has made the request %s", r)
		}
	}
	p = c.plan(`{"op":"set_rules","collection":"posts","rules":{"delete":"@request.auth.id != ''","update":"author = @request.auth.id && @request.auth.id != ''"}}`)
	if len(p.Warnings) != 1 || p.Warnings[0] != "every account of users may delete ALL of posts, also what is others', and anybody can sign up for one" {
		t.Errorf("warnings %q", p.Warnings)
	}
	c.change(`{"op":"create_collection","collection":"tree","fields":[{"name":"up","type":"relation","collection":"tree"}]}`)
	if f, ok := s.collection("tree").Fields.GetByName("up").(*core.RelationField); !ok || f.CollectionId != s.collection("tree").Id {
		t.Error("the relation does not lead to its own collection")
	}
	c.change(`{"op":"create_collection","collection":"plain","fields":[{"name":"head","type":"text"}]},{"op":"rename_collection","collection":"comments","to":"remarks"}`)
	if !s.has("plain") || !s.has("remarks") || s.has("comments") {
		t.Error("two collections are not changed by one call")
	}
	p = c.plan(`{"op":"remove_field","collection":"posts","name":"author"}`)
	for _, want := range []string{"DATA IS LOST: what records of posts have in author; to keep it under another name use rename_field", "the update rule of posts may name author"} {
		if !strings.Contains(strings.Join(p.Warnings, "\n"), want) {
			t.Errorf("warnings %q lack %q", p.Warnings, want)
		}
	}
}

// state is all that there is, as far as these tests can change it.
func (s *server) state() string {
	s.t.Helper()
	all, err := s.app.FindAllCollections()
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, k := range all {
		n := 0
		if !k.IsView() {
			n = s.count(k.Name)
		}
		raw, err := json.Marshal(k)
		if err != nil {
			s.t.Fatal(err)
		}
		out = append(out, fmt.Sprint(string(raw), n))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func TestPbApplySchema(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(3)
	c := serve(t, open(t, s.anyCollection()))
	c.change(`{"op":"create_collection","collection":"teams","type":"auth","fields":[{"name":"level","type":"number","min":1,"max":9,"onlyInt":true}],"rules":{"list":"@request.auth.id != ''","auth":"verified = true"}}`)
	k := s.collection("teams")
	if !k.IsAuth() || k.ListRule == nil || *k.ListRule != "@request.auth.id != ''" || *k.AuthRule != "verified = true" || k.Fields.GetByName("level").(*core.NumberField).OnlyInt != true || k.Fields.GetByName("tokenKey") == nil {
		t.Errorf("got %s", k)
	}
	// Names, data and options that no operation names stay what they are.
	c.change(`{"op":"rename_field","collection":"posts","name":"body","to":"words"},{"op":"alter_field","collection":"posts","name":"title","field":{"max":6000}},` +
		`{"op":"add_index","collection":"posts","index":{"name":"idx_words","fields":["words"]}},{"op":"set_rules","collection":"posts","rules":{"delete":null}}`)
	k = s.collection("posts")
	title, _ := k.Fields.GetByName("title").(*core.TextField)
	r, err := s.app.FindFirstRecordByFilter("posts", "total = 1")
	if title.Max != 6000 || !title.Required || k.Fields.GetByName("secret").GetHidden() != true || k.DeleteRule != nil || k.GetIndex("idx_words") == "" || k.GetIndex("idx_title") == "" || err != nil || r.GetString("words") != strings.Repeat("x", 100) {
		t.Errorf("got %s, %v, %v", k, r, err)
	}
	// Removing and adding is not renaming.
	c.change(`{"op":"remove_field","collection":"posts","name":"total"},{"op":"add_field","collection":"posts","field":{"name":"total","type":"number"}}`)
	if found, err := s.app.FindAllRecords("posts"); err != nil || found[1].GetFloat("total") != 0 || found[2].GetFloat("total") != 0 {
		t.Errorf("what a removed field held is in the new one: %v, %v", found, err)
	}
	c.change(`{"op":"remove_index","collection":"posts","name":"idx_words"}`)
	if s.collection("posts").GetIndex("idx_words") != "" {
		t.Error("the index is there")
	}
	c.asked = nil
	c.change(`{"op":"truncate","collection":"posts"}`)
	if s.count("posts") != 0 || len(c.asked) != 1 || !strings.Contains(c.asked[0], "posts has 3 records") || !strings.Contains(c.asked[0], "deletes ALL records of posts") {
		t.Errorf("%d are left, asked %q", s.count("posts"), c.asked)
	}
	c.change(`{"op":"delete_collection","collection":"vault"}`)
	if s.has("vault") {
		t.Error("vault is there")
	}
	// A no is a no, and what PocketBase refuses changes nothing.
	c.approve = func(mcpsec.Question) bool { return false }
	p := c.plan(`{"op":"delete_collection","collection":"comments"}`)
	c.deny("", "pb_apply_schema", `{"plan":"`+p.Plan+`","ops":[{"op":"delete_collection","collection":"comments"}]}`)
	c.approve = nil
	was := s.state()
	p = c.plan(`{"op":"delete_collection","collection":"posts"}`)
	c.deny("changed nothing", "pb_apply_schema", `{"plan":"`+p.Plan+`","ops":[{"op":"delete_collection","collection":"posts"}]}`)
	many := `{"op":"add_field","collection":"comments","field":{"name":"fine","type":"text"}},{"op":"set_rules","collection":"posts","rules":{"list":"nothere = @request.auth.id && @request.auth.id != ''"}}`
	p = c.plan(many)
	c.deny("changed nothing", "pb_apply_schema", `{"plan":"`+p.Plan+`","ops":[`+many+`]}`)
	if s.state() != was {
		t.Error("a part of what was refused was kept")
	}
}

// What is wrong with a change is named by path and code, and nothing is quoted.
func TestPbApplySchemaErrors(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.save("posts", map[string]any{"title": "twin", "body": "same"}, map[string]any{"title": "twin", "body": "same"})
	c := serve(t, open(t, s.anyCollection()))
	for ops, want := range map[string]string{
		`{"op":"add_field","collection":"comments","field":{"name":"kind","type":"select"}}`:                              "fields.3.values: is required",
		`{"op":"add_field","collection":"comments","field":{"name":"kind","type":"number","min":9,"max":1}}`:              "fields.3.max: is not valid (validation_min_number_constraint)",
		`{"op":"set_rules","collection":"posts","rules":{"list":"nothere = @request.auth.id && @request.auth.id != ''"}}`: "listRule: is not valid (validation_invalid_rule)",
		`{"op":"add_index","collection":"posts","index":{"name":"idx_once","unique":true,"fields":["body"]}}`:             "indexes.1: is not valid (validation_invalid_index_expression)",
		`{"op":"create_collection","collection":"wrong","fields":[{"name":"kind","type":"select"}]}`:                      "collections: is not valid (validation_collections_import_failure)", // an import says no more
	} {
		plan := c.plan(ops).Plan
		c.deny("changed nothing; "+want, "pb_apply_schema", `{"plan":"`+plan+`","ops":[`+ops+`]}`)
	}
}

// What was confirmed is what is done: not other operations, not another plan, not
// with a schema or a number of records that has changed since.
func TestPbApplySchemaIsWhatWasPlanned(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(3)
	c := serve(t, open(t, s.anyCollection()))
	ops := `{"op":"remove_field","collection":"posts","name":"data"}`
	touch := func() {
		k := s.collection("comments")
		k.Fields.Add(&core.TextField{Name: fmt.Sprintf("extra%d", len(k.Fields))})
		if err := s.app.Save(k); err != nil {
			t.Error(err)
		}
	}
	apply := func(plan, ops string) string { return `{"plan":"` + plan + `","ops":[` + ops + `]}` }
	has := func() bool { return s.collection("posts").Fields.GetByName("data") != nil }
	p := c.plan(ops)
	c.deny("others than those that were planned", "pb_apply_schema", apply(p.Plan, `{"op":"remove_field","collection":"posts","name":"body"}`))
	c.deny("", "pb_apply_schema", apply("", ops))
	c.deny("others than those", "pb_apply_schema", apply(strings.Repeat("0", 32), ops))
	touch()
	c.deny("others than those", "pb_apply_schema", apply(p.Plan, ops))
	p = c.plan(ops)
	s.save("posts", map[string]any{"title": "another"})
	c.deny("others than those", "pb_apply_schema", apply(p.Plan, ops))
	// While a person thinks.
	p = c.plan(ops)
	c.approve = func(mcpsec.Question) bool { touch(); return true }
	c.deny("others than those", "pb_apply_schema", apply(p.Plan, ops))
	// Between the question and the change.
	c.approve = nil
	p = c.plan(ops)
	reads := 0
	s.hook(func(r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Path == "/api/collections" {
			if reads++; reads == 3 {
				touch()
			}
		}
	})
	c.deny("others than those", "pb_apply_schema", apply(p.Plan, ops))
	s.hook(nil)
	if reads != 3 || !has() {
		t.Errorf("%d reads, the field is there: %v", reads, has())
	}
	p = c.plan(ops)
	c.ok("pb_apply_schema", apply(p.Plan, ops), nil)
	if has() {
		t.Error("the field is there")
	}
}

// What opens data to guests needs the operator.
func TestPbSchemaOpens(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := serve(t, open(t, s.anyCollection("comments")))
	for _, rule := range []string{
		"", "1=1", "1 = 1 || @request.auth.id != ''", "id != ''", "'a' = 'a'", "@request.auth.id = ''", "@request.auth.id = null", "@request.auth.role != 'banned'", "@request.auth.verified != true", "title != 'xyz'", "author = @request.auth.id",
		"@request.query.key = 'x'", "@request.headers.x_key = 'x'", "@request.method = 'GET'", "@request.auth.id != '' && 1=1 || 2=2", "title ~ '%'", "id ~ ''", "@now > '2020'", "null = ''", "TRUE = true", "1 < 2", "total >= 0", "@collection.posts.id != ''",
		"((1=1))", "@request.auth.id != '' || open = true",
	} {
		raw, err := json.Marshal(rule)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"list", "view", "create", "update", "delete"} {
			c.deny("would let in guests", "pb_plan_schema", `{"ops":[{"op":"set_rules","collection":"posts","rules":{"`+key+`":`+string(raw)+`}}]}`)
		}
	}
	c.deny("would let in guests", "pb_plan_schema", `{"ops":[{"op":"create_collection","collection":"new","fields":[],"rules":{"list":""}}]}`)
	c.deny("would let in guests", "pb_plan_schema", `{"ops":[{"op":"set_rules","collection":"users","rules":{"manage":"name = @request.auth.id"}}]}`)
	for _, rule := range []string{"@request.auth.id != '' // x", `title = 'a\' || 1=1 //'`, "@request.auth.id != (1=1)", "1=2 (1=1)", "@request.auth.id != '' ||", "title =", "title", "()", "#x = 1", "1=1 & 2=2", "title ?? 1", strings.Repeat("(", 30) + "1=1" + strings.Repeat(")", 30), "x = \x00"} {
		raw, err := json.Marshal(rule)
		if err != nil {
			t.Fatal(err)
		}
		c.deny("the rule is not one that can be told the meaning of", "pb_plan_schema", `{"ops":[{"op":"set_rules","collection":"posts","rules":{"list":`+string(raw)+`}}]}`)
	}
	// A collection cannot be put in the place of one that is public.
	c.change(`{"op":"rename_collection","collection":"comments","to":"old"}`)
	c.deny("may be opened", "pb_plan_schema", `{"ops":[{"op":"rename_collection","collection":"vault","to":"comments"}]}`)
	c.deny("would let in guests", "pb_plan_schema", `{"ops":[{"op":"set_rules","collection":"old","rules":{"list":""}}]}`)
	for _, rule := range []string{`null`, `"@request.auth.id != ''"`, `"@request.auth.id != '' && (author = @request.auth.id || 1=1)"`, `"@request.auth.collectionName = 'users' && open = true"`, `"@request.auth.role = 'admin'"`} {
		c.change(`{"op":"set_rules","collection":"posts","rules":{"list":` + rule + `}}`)
	}
}

// Rules that tell secrets, PocketBase's own, and SQL of the caller's.
func TestPbSchemaRefuses(t *testing.T) {
	t.Parallel()
	s := start(t)
	view := core.NewViewCollection("seen")
	view.ViewQuery = "SELECT id, title FROM posts"
	if err := s.app.Save(view); err != nil {
		t.Fatal(err)
	}
	s.posts(1)
	c := serve(t, open(t, s.anyCollection()))
	was := s.state()
	for _, rule := range []string{
		"@collection._superusers.tokenKey ?~ 'a'", "@collection.pbc_3142635823.email ?~ 'a'", "@collection.users.tokenKey ?~ 'a'", "@collection.users:a.tokenKey ?~ 'a'", "@collection.users.password:lower ?~ 'a'", "author.tokenKey ~ 'a'", "@request.auth.tokenKey ~ 'a'",
		"@request.body.author.tokenKey ~ 'a'", "strftime('%Y', author.tokenKey) = 'a'", "@request.auth.id != '' && (1=2 || author.TOKENKEY ~ 'a')", "author._externalAuths_via_recordRef.providerId = 'a'", "@collection._SUPERUSERS:x.email ?= 'a'", "@request.body.author._mfas_via_recordRef.id != ''",
	} {
		raw, err := json.Marshal("@request.auth.id != '' && " + rule)
		if err != nil {
			t.Fatal(err)
		}
		c.deny("must not", "pb_plan_schema", `{"ops":[{"op":"set_rules","collection":"posts","rules":{"list":`+string(raw)+`}}]}`)
	}
	for _, ops := range []string{
		`{"op":"create_collection","collection":"v","type":"view","fields":[]}`, `{"op":"create_collection","collection":"v","fields":[],"viewQuery":"SELECT * FROM _superusers"}`, `{"op":"add_field","collection":"seen","field":{"name":"x","type":"text"}}`,
		`{"op":"alter_field","collection":"seen","name":"title","field":{"hidden":true}}`, `{"op":"truncate","collection":"seen"}`, `{"op":"add_index","collection":"seen","index":{"name":"i","fields":["title"]}}`, `{"op":"set_rules","collection":"seen","rules":{"create":null}}`,
		`{"op":"delete_collection","collection":"_superusers"}`, `{"op":"set_rules","collection":"_otps","rules":{"list":"@request.auth.id != ''"}}`, `{"op":"truncate","collection":"_mfas"}`, `{"op":"rename_collection","collection":"posts","to":"_posts"}`, `{"op":"rename_collection","collection":"posts","to":"pbc_1"}`,
		`{"op":"create_collection","collection":"_own","fields":[]}`, `{"op":"delete_collection","collection":"_pb_users_auth_"}`, `{"op":"create_collection","collection":"POSTS","fields":[]}`, `{"op":"delete_collection","collection":"` + s.collection("posts").Id + `"}`,
		`{"op":"alter_field","collection":"users","name":"tokenKey","field":{"hidden":false}}`, `{"op":"alter_field","collection":"users","name":"email","field":{"hidden":false}}`, `{"op":"remove_field","collection":"users","name":"password"}`, `{"op":"rename_field","collection":"posts","name":"id","to":"key"}`,
		`{"op":"add_field","collection":"posts","field":{"name":"password","type":"text"}}`, `{"op":"add_field","collection":"posts","field":{"name":"true","type":"bool"}}`, `{"op":"add_field","collection":"posts","field":{"name":"NULL","type":"bool"}}`, `{"op":"add_field","collection":"posts","field":{"name":"Title","type":"text"}}`,
		`{"op":"add_field","collection":"posts","field":{"name":"p","type":"password"}}`, `{"op":"add_field","collection":"posts","field":{"name":"x","type":"text","system":true}}`, `{"op":"add_field","collection":"posts","field":{"name":"x","type":"text","primaryKey":true}}`, `{"op":"add_field","collection":"posts","field":{"name":"x","type":"text","id":"text1"}}`,
		`{"op":"add_field","collection":"posts","field":{"name":"x","type":"relation"}}`, `{"op":"add_field","collection":"posts","field":{"name":"x","type":"relation","collection":"_superusers"}}`, `{"op":"add_field","collection":"posts","field":{"name":"x","type":"text","pattern":"("}}`, `{"op":"add_field","collection":"posts","field":{"name":"x","type":"text","max":"9"}}`,
		`{"op":"add_field","collection":"posts","field":{"name":"x","type":"text","max":-1}}`, `{"op":"add_field","collection":"posts","field":{"name":"x_via_y","type":"text"}}`, `{"op":"rename_field","collection":"posts","name":"title","to":"x"}`, `{"op":"remove_field","collection":"posts","name":"title"}`,
		"{\"op\":\"add_index\",\"collection\":\"posts\",\"index\":{\"name\":\"i` ON vault(note); --\",\"fields\":[\"body\"]}}", "{\"op\":\"add_index\",\"collection\":\"posts\",\"index\":{\"name\":\"i\",\"fields\":[\"body`) WHERE (1=1\"]}}", `{"op":"add_index","collection":"posts","index":{"name":"i","fields":["lower(body)"]}}`,
		`{"op":"add_index","collection":"posts","index":{"name":"i","fields":["nothere"]}}`, `{"op":"add_index","collection":"users","index":{"name":"i","fields":["tokenKey"]}}`, `{"op":"add_index","collection":"comments","index":{"name":"IDX_title","fields":["text"]}}`, `{"op":"add_index","collection":"posts","index":{"name":"sqlite_x","fields":["body"]}}`,
		`{"op":"remove_index","collection":"posts","name":"' OR 1=1"}`, `{"op":"sql","collection":"posts"}`, `{"op":"truncate","collection":"posts","name":"x"}`, `{"op":"add_field","collection":"posts"}`, `{"op":"set_rules","collection":"posts","rules":{"auth":""}}`, `{"op":"set_rules","collection":"posts","rules":{"list":1}}`,
		`{"op":"set_rules","collection":"posts","rules":{"tokenKey":"x"}}`, `{"op":"truncate","collection":"posts"},{"op":"add_field","collection":"posts","field":{"name":"x","type":"text"}}`, `{"op":"truncate","collection":"posts"},{"op":"truncate","collection":"comments"}`,
		`{"op":"remove_field","collection":"posts","name":"body"},{"op":"add_field","collection":"comments","field":{"name":"x","type":"text"}}`,
		`{"op":"create_collection","collection":"a","fields":[]},{"op":"delete_collection","collection":"a"}`,
	} {
		c.deny("", "pb_plan_schema", `{"ops":[`+ops+`]}`)
	}
	// Nor what the operator has not listed.
	few := serve(t, open(t, s.options()))
	for _, ops := range []string{
		`{"op":"truncate","collection":"vault"}`, `{"op":"create_collection","collection":"new","fields":[]}`, `{"op":"rename_collection","collection":"posts","to":"new"}`, `{"op":"add_field","collection":"posts","field":{"name":"x","type":"relation","collection":"vault"}}`,
		`{"op":"set_rules","collection":"posts","rules":{"list":"@request.auth.id != '' && @collection.vault.note ?~ 'a'"}}`,
	} {
		few.deny("may not be used", "pb_plan_schema", `{"ops":[`+ops+`]}`)
	}
	if s.state() != was {
		t.Error("something was changed")
	}
}

// A migration does what was planned when another PocketBase runs it.
func TestPbPlanSchemaMigrations(t *testing.T) {
	t.Parallel()
	s, other := start(t), start(t)
	s.posts(1)
	other.posts(1)
	c := serve(t, open(t, s.anyCollection()))
	quoted := regexp.MustCompile(`\[\]byte\(("(?:[^"\\]|\\.)*")\)`)
	for ops, do := range map[string]func(data []byte) error{
		`{"op":"create_collection","collection":"new","fields":[{"name":"a","type":"select","values":["\u2028</script>","${x}` + "`" + `"]}]},{"op":"create_collection","collection":"more","fields":[{"name":"new","type":"relation","collection":"new"}]}`: func(data []byte) error {
			return other.app.ImportCollectionsByMarshaledJSON(data, false)
		},
		`{"op":"create_collection","collection":"third","fields":[]}`: func(data []byte) error { return other.app.ImportCollectionsByMarshaledJSON(data, false) },
		`{"op":"remove_field","collection":"posts","name":"body"}`: func(data []byte) error {
			k := other.collection("posts")
			if err := json.Unmarshal(data, k); err != nil {
				return err
			}
			return other.app.Save(k)
		},
		`{"op":"truncate","collection":"comments"}`:       nil,
		`{"op":"delete_collection","collection":"vault"}`: nil,
	} {
		var p planned
		for _, language := range []string{"js", "go"} {
			c.ok("pb_plan_schema", `{"migration":"`+language+`","ops":[`+ops+`]}`, &p)
			if language == "js" && (!strings.HasPrefix(p.Migration, "migrate((app) => {") || strings.ContainsAny(p.Migration, "\u2028") || strings.Contains(p.Migration, "</script>")) {
				t.Errorf("%s: got %s", ops, p.Migration)
			}
		}
		if _, err := parser.ParseFile(token.NewFileSet(), "m.go", p.Migration, 0); err != nil {
			t.Errorf("%s: %v", p.Migration, err)
		}
		if formatted, err := format.Source([]byte(p.Migration)); err != nil || string(formatted) != p.Migration {
			t.Errorf("%s: got %s, want %s (%v)", ops, p.Migration, formatted, err)
		}
		if do == nil {
			continue
		}
		m := quoted.FindStringSubmatch(p.Migration)
		if m == nil {
			t.Fatalf("no data in %s", p.Migration)
		}
		data, err := strconv.Unquote(m[1])
		if err == nil {
			err = do([]byte(data))
		}
		if err != nil {
			t.Errorf("%s: %v", p.Migration, err)
		}
	}
	k := other.collection("new")
	if r, ok := other.collection("more").Fields.GetByName("new").(*core.RelationField); !ok || r.CollectionId != k.Id || !other.has("third") || other.collection("posts").Fields.GetByName("body") != nil {
		t.Error("the migration has not made what was planned")
	}
}

// What an operator lets tools read of PocketBase's own collections they do not
// change, and files are protected unless a caller says otherwise.
func TestPbSchemaProtects(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.anyCollection()
	o.Collections = []pbtool.Collection{{Name: "posts"}, {Name: "_otps"}, {Name: "_externalAuths"}}
	c := serve(t, open(t, o))
	for _, ops := range []string{`{"op":"truncate","collection":"_otps"}`, `{"op":"set_rules","collection":"_externalAuths","rules":{"view":"@request.auth.id != ''"}}`, `{"op":"add_field","collection":"posts","field":{"name":"x","type":"relation","collection":"_otps"}}`} {
		c.deny("PocketBase's own collections may not be changed", "pb_plan_schema", `{"ops":[`+ops+`]}`)
	}
	c.change(`{"op":"add_field","collection":"posts","field":{"name":"pic","type":"file"}}`)
	if f, ok := s.collection("posts").Fields.GetByName("pic").(*core.FileField); !ok || !f.Protected {
		t.Error("the file is not protected")
	}
}
