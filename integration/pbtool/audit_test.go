//go:build !race

package pbtool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

type audited struct {
	Findings []struct{ Severity, Collection, What, Evidence, Remedy string }
	Access   map[string]map[string]string
	Untold   []string `json:"cannot_be_told"`
}

func (a audited) has(severity, collection, what string) bool {
	for _, f := range a.Findings {
		if f.Severity == severity && f.Collection == collection && strings.Contains(f.What, what) && f.Remedy != "" {
			return true
		}
	}
	return false
}

func TestPbAuditRules(t *testing.T) {
	t.Parallel()
	s := start(t)
	p := types.Pointer[string]
	save := func(k *core.Collection, change func(k *core.Collection)) {
		t.Helper()
		change(k)
		if err := s.app.Save(k); err != nil {
			t.Fatal(err)
		}
	}
	save(core.NewBaseCollection("open"), func(k *core.Collection) {
		k.Fields.Add(&core.TextField{Name: "role"}, &core.FileField{Name: "pic"}, &core.RelationField{Name: "who", CollectionId: s.ann.Collection().Id})
		k.ListRule, k.ViewRule, k.CreateRule, k.UpdateRule, k.DeleteRule = p("1=1"), p("who = @request.auth.id"), p("@request.auth.id != ''"), p("@request.auth.id != ''"), p("@request.auth.verified != true")
	})
	save(core.NewBaseCollection("closed"), func(k *core.Collection) {
		k.Fields.Add(&core.TextField{Name: "role"}, &core.FileField{Name: "pic", Protected: true})
		k.CreateRule, k.UpdateRule = p("@request.auth.id != '' && @request.body.role:isset = false"), nil
	})
	save(s.collection("users"), func(k *core.Collection) {
		k.ListRule, k.ViewRule, k.CreateRule, k.ManageRule = p(""), p("id = @request.auth.id"), p(""), p("@request.auth.id != ''")
		k.AuthToken.Duration, k.FileToken.Duration, k.OTP.Enabled, k.OTP.Length = 90*24*3600, 7200, true, 4
		k.Fields.GetByName("password").(*core.PasswordField).Min = 4
	})
	save(core.NewViewCollection("leak"), func(k *core.Collection) {
		k.ViewQuery, k.ListRule = "SELECT id, note FROM vault", p("@request.auth.id != ''")
	})
	save(core.NewViewCollection("worse"), func(k *core.Collection) { k.ViewQuery = "SELECT id, tokenKey AS t FROM _superusers" })
	c := serve(t, open(t, s.anyCollection()))
	var a audited
	c.ok("pb_audit_rules", `{}`, &a)
	for _, want := range [][3]string{
		{"high", "open", "guests included, may delete any record"}, {"high", "open", "every account of users may update ALL records"}, {"medium", "open", "may list all records"}, {"low", "open", "guests may view some records, such as those whose field is empty"},
		{"medium", "open", "who may create a record sets its role"}, {"medium", "open", "files are given to anybody"}, {"high", "users", "may list all accounts"}, {"low", "users", "anybody can sign up"}, {"high", "users", "the manage rule"},
		{"medium", "users", "a stolen token is good for long"}, {"low", "users", "a link to a protected file"}, {"medium", "users", "can be guessed"}, {"medium", "users", "short passwords"}, {"low", "users", "a password alone"}, {"low", "users", "verified can sign in"},
		{"medium", "leak", "shows accounts of users what the rules of vault do not"}, {"high", "worse", "PocketBase's own tables"}, {"medium", "_superusers", "a password alone"}, {"high", "comments", "guests included, may update any record"},
	} {
		if !a.has(want[0], want[1], want[2]) {
			t.Errorf("no finding %q in %+v", want, a.Findings)
		}
	}
	for _, f := range a.Findings {
		if f.Collection == "closed" || f.Collection == "vault" || f.Collection == "open" && strings.Contains(f.What, "update a record sets its pic") {
			t.Errorf("found %+v", f)
		}
	}
	if a.Findings[0].Severity != "high" || a.Findings[len(a.Findings)-1].Severity != "low" {
		t.Errorf("findings are not in order of severity: %+v", a.Findings)
	}
	if got := fmt.Sprint(a.Access["open"]); got != "map[guests:list all, view some, delete all users:list all, view some, create all, update all, delete some]" {
		t.Errorf("access to open: %s", got)
	}
	if a.Access["vault"]["users"] != "nothing" || a.Access["_superusers"] != nil {
		t.Errorf("got %v", a.Access)
	}
	a = audited{}
	c.ok("pb_audit_rules", `{"collection":"vault"}`, &a)
	if len(a.Access) != 1 {
		t.Errorf("got %v", a.Access)
	}
	save(s.collection("posts"), func(k *core.Collection) { k.DeleteRule = p("@request.auth.id != ''") })
	few := serve(t, open(t, s.options()))
	few.deny("may not be used", "pb_audit_rules", `{"collection":"vault"}`)
	a = audited{}
	few.ok("pb_audit_rules", `{}`, &a)
	if !a.has("high", "posts", "every account of another collection may delete ALL") || a.Access["posts"]["users"] != "" {
		t.Errorf("got %+v", a)
	}
	for _, f := range a.Findings {
		if strings.Contains(f.What, "users") || f.Collection != "posts" && f.Collection != "comments" && f.Collection != "_superusers" {
			t.Errorf("not listed, and found: %+v", f)
		}
	}
}

// A hidden field that a rule compares with what callers send, or that a view shows by
// another name, can be guessed: the finding is one where the server lets it be done,
// and none where it does not.
func TestPbAuditHidden(t *testing.T) {
	t.Parallel()
	s := start(t)
	secret := "hidden-" + "canary"
	p := types.Pointer[string]
	s.save("posts", map[string]any{"title": "one", "secret": secret})
	for name, rule := range map[string]string{
		"byquery": `mine = @request.query.guess`, "byheader": `@request.auth.id != "" && @request.headers.x_guess = mine:lower`, "byrelation": `post.secret = @request.query.guess`, "bycollection": `@collection.posts:x.secret ?= @request.query.guess`,
		"notsent": `mine != "" && @request.auth.id != ""`, "nothidden": `@request.query.guess = shown`, "notcompared": `mine != "" && @request.query.guess = "x"`, "closed": ``,
	} {
		k := core.NewBaseCollection(name)
		k.Fields.Add(&core.TextField{Name: "mine", Hidden: true}, &core.TextField{Name: "shown"}, &core.RelationField{Name: "post", CollectionId: s.collection("posts").Id}, &core.RelationField{Name: "remark", CollectionId: s.collection("comments").Id})
		if rule != "" {
			k.ListRule = p(rule)
		}
		if err := s.app.Save(k); err != nil {
			t.Fatal(err)
		}
		post, err := s.app.FindFirstRecordByFilter("posts", "id != ''")
		if err != nil {
			t.Fatal(err)
		}
		s.save(name, map[string]any{"mine": secret, "shown": "x", "post": post.Id})
	}
	k := s.collection("nothidden")
	k.ViewRule = p(`post.byquery_via_post.mine ?= @request.query.guess`)
	if err := s.app.Save(k); err != nil {
		t.Fatal(err)
	}
	for name, query := range map[string]string{"asitis": "SELECT id, secret FROM posts", "renamed": "SELECT id, secret AS s FROM posts", "computed": "SELECT id, (secret || '') AS s FROM posts", "both": "SELECT id, secret, (secret || '') AS s FROM posts", "without": "SELECT id, title FROM posts", "shut": "SELECT id, (secret || '') AS s FROM posts"} {
		k := core.NewViewCollection(name)
		if k.ViewQuery = query; name != "shut" {
			k.ListRule = p(`@request.auth.id != ""`)
		}
		if err := s.app.Save(k); err != nil {
			t.Fatal(err)
		}
	}
	c := serve(t, open(t, s.anyCollection()))
	var a audited
	c.ok("pb_audit_rules", `{}`, &a)
	token, err := s.ann.NewAuthToken()
	if err != nil {
		t.Fatal(err)
	}
	items := func(collection, query, header string) int {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "/api/collections/"+collection+"/records?"+query, nil)
		r.Header.Set("Authorization", token)
		r.Header.Set("X-Guess", header)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		var out struct{ Items []any }
		_ = json.Unmarshal(w.Body.Bytes(), &out)
		return len(out.Items)
	}
	for name, want := range map[string]string{"byquery": "byquery.mine", "byheader": "byheader.mine", "byrelation": "posts.secret", "bycollection": "posts.secret", "notsent": "", "nothidden": "", "notcompared": "", "closed": ""} {
		guessed := items(name, "guess="+secret, secret) == 1 && items(name, "guess=wrong", "wrong") == 0
		found := a.has("medium", name, "the rule to list tells whether a guess at the hidden field "+want+" is right")
		if want == "" {
			found = a.has("medium", name, "rule to list tells whether a guess at the hidden field")
		}
		if (guessed && name != "nothidden" && name != "notcompared") != (want != "") || found != (want != "") {
			t.Errorf("%s: guessed %v, found %v, want %q", name, guessed, found, want)
		}
	}
	for name, want := range map[string]bool{"asitis": false, "renamed": false, "computed": true, "both": true, "without": false, "shut": false} {
		guessed := items(name, "filter=s='"+secret+"'", "") == 1 || items(name, "filter=secret='"+secret+"'", "") == 1
		if found := a.has("medium", name, "the hidden field posts.secret"); guessed != want || found != want {
			t.Errorf("%s: guessed %v, found %v, want %v", name, guessed, found, want)
		}
	}
	if !a.has("medium", "nothidden", "the rule to view tells whether a guess at the hidden field byquery.mine") {
		t.Error("a back-relation leads to a hidden field, and nothing is found")
	}
	untold := strings.Join(a.Untold, "\n")
	for _, want := range []string{"hooks and routes", "how long", "before 0.32", "posts.author", "byquery.post"} {
		if !strings.Contains(untold, want) {
			t.Errorf("%q lacks %q", untold, want)
		}
	}
	for _, not := range []string{"not understood", "closed.post", "byquery.remark"} {
		if strings.Contains(untold, not) {
			t.Errorf("%q has %q", untold, not)
		}
	}
	k = s.collection("closed")
	k.ListRule = p(`shown = 'it\'s'`)
	if err := s.app.Save(k); err != nil {
		t.Fatal(err)
	}
	a = audited{}
	c.ok("pb_audit_rules", `{"collection":"closed"}`, &a)
	if !strings.Contains(strings.Join(a.Untold, "\n"), "not understood and said as some: closed list") {
		t.Errorf("got %q", a.Untold)
	}
}

// terms are pieces of rules: those that can be told and those that cannot, which
// some records, requests or accounts fulfil.
var terms = []string{
	"1=1", "1=2", "'a'='a'", "'a'='b'", "''=null", "null!=''", "true=1", "false=0", "true=false", "2>1", "2<=1", "-1<0", "'1'=1", "'a'~'b'", "id!=''", "id=''", "id=null", "title!=''", "title=''", "title='one'", "title~'o'", "total>=0", "total=null", "on=true", "on!=true", "title=title",
	"@request.auth.id!=''", "@request.auth.id=''", "''=@request.auth.id", "@request.auth.id=null", "null!=@request.auth.id", "@request.auth.id?!=''", "@request.auth.id='x'", "@request.auth.id!='x'", "@request.auth.verified=true", "@request.auth.verified=false", "@request.auth.verified!=true",
	"@request.auth.collectionName='users'", "@request.auth.collectionName!='users'", "@request.auth.collectionName='staff'", "@request.auth.collectionId='_pb_users_auth_'", "@request.auth.level>1", "@request.auth.level<=1", "@request.auth.level=0", "@request.auth.nothere=''", "@request.auth.email!=''", "@request.auth.email~'a'", "@request.auth.email!~'a'",
	"who=@request.auth.id", "who!=@request.auth.id", "@request.auth.id=who", "who.id=@request.auth.id", "who.verified=true", "many.id?=@request.auth.id", "many.id=@request.auth.id", "many:length=0", "many!=''", "@request.query.a='1'", "@request.query.a=''", "@request.body.title='one'", "@request.body.title:isset=true",
	"@request.body.title:isset=false", "@request.body.many:length>0", "@request.body.title:changed=false", "@request.headers.x_a='1'", "@request.method='GET'", "@request.context='default'", "@collection.empty.title=''", "@collection.empty.title!=''", "@collection.items.title?='one'", "@collection.items.id=id", "@now>'2020-01-01'", "data=null", "data!=''", "data.a=1",
	"title<null", "null~title", "title!~null", "''~title", "@request.auth.id>null", "@request.auth.id~'a'", "@request.auth.id!~''", "title?~@request.auth.id", "many:each=@request.auth.id", "many:each?!=@request.auth.id", "@request.auth.id:lower!=''", "title:lower='one'", "@request.auth.many.id=''", "@request.auth.many.title!='q'", "@request.auth.collectionName:lower='users'",
	"geoDistance(1,2,3,4)>0", "strftime('%Y','2020-01-01')='2020'", "items_via_self.title=''", "self.title='one'", "self.title!='one'", "self.self.who=@request.auth.id",
}

func randomRule(r *rand.Rand, depth int) string {
	if depth == 0 || r.IntN(3) == 0 {
		return terms[r.IntN(len(terms))]
	}
	var b strings.Builder
	for i := range 1 + r.IntN(3) {
		if i > 0 {
			b.WriteString([]string{" && ", " || ", "&&", "||"}[r.IntN(4)])
		}
		s := randomRule(r, depth-1)
		if r.IntN(3) == 0 {
			s = "(" + s + ")"
		}
		b.WriteString(s)
	}
	return b.String()
}

// What the auditor says that guests and accounts may do is what the server lets
// them do: what it says nobody may, nobody can with any record or request that is
// tried, and what it says all may, all can.
func TestAuditIsWhatTheServerDoes(t *testing.T) {
	t.Parallel()
	s := start(t)
	staff, empty, items := core.NewAuthCollection("staff"), core.NewBaseCollection("empty"), core.NewBaseCollection("items")
	empty.Fields.Add(&core.TextField{Name: "title"})
	users := s.collection("users")
	items.Fields.Add(&core.TextField{Name: "title"}, &core.NumberField{Name: "total"}, &core.BoolField{Name: "on"}, &core.RelationField{Name: "who", CollectionId: users.Id, MaxSelect: 1}, &core.RelationField{Name: "many", CollectionId: users.Id, MaxSelect: 9}, &core.JSONField{Name: "data"})
	for _, k := range []*core.Collection{staff, empty, items} {
		if err := s.app.Save(k); err != nil {
			t.Fatal(err)
		}
	}
	items.Fields.Add(&core.RelationField{Name: "self", CollectionId: items.Id, MaxSelect: 1})
	users.Fields.Add(&core.NumberField{Name: "level"}, &core.RelationField{Name: "many", CollectionId: items.Id, MaxSelect: 9})
	for _, k := range []*core.Collection{users, items} {
		if err := s.app.Save(k); err != nil {
			t.Fatal(err)
		}
	}
	eve := s.newRecord("staff", map[string]any{"email": "eve@example.com", "verified": true})
	eve.SetPassword(password)
	if err := s.app.Save(eve); err != nil {
		t.Fatal(err)
	}
	one := s.save("items", map[string]any{"title": "one", "total": 3, "on": true, "who": s.ann.Id, "many": []string{s.ann.Id, s.bob.Id}, "data": map[string]any{"a": 1}})
	s.save("items", map[string]any{"self": one.Id, "many": []string{s.bob.Id}}, map[string]any{"title": "two", "who": s.bob.Id, "self": one.Id})
	s.ann, _ = s.app.FindRecordById("users", s.ann.Id)
	s.ann.Set("level", 5)
	s.ann.Set("many", []string{one.Id})
	s.ann.SetVerified(true)
	if err := s.app.Save(s.ann); err != nil {
		t.Fatal(err)
	}
	tokens := map[string][]string{"guests": {""}}
	for _, r := range []*core.Record{s.ann, s.bob, eve} {
		r, err := s.app.FindRecordById(r.Collection().Id, r.Id)
		if err != nil {
			t.Fatal(err)
		}
		token, err := r.NewAuthToken()
		if err != nil {
			t.Fatal(err)
		}
		tokens[r.Collection().Name] = append(tokens[r.Collection().Name], token)
	}
	c := serve(t, open(t, s.anyCollection()))
	random := rand.New(rand.NewPCG(1, 2))
	said := map[string]int{}
	for i := range len(terms) + 80 {
		rule := randomRule(random, 2)
		if i < len(terms) {
			rule = terms[i]
		}
		k := s.collection("items")
		k.ListRule, k.ViewRule, k.CreateRule, k.UpdateRule, k.DeleteRule = &rule, &rule, &rule, &rule, &rule
		if err := s.app.Save(k); err != nil {
			t.Fatalf("%s: %v", rule, err)
		}
		var a audited
		c.ok("pb_audit_rules", `{"collection":"items"}`, &a)
		for who, all := range tokens {
			for _, action := range []string{"list", "view", "create", "update", "delete"} {
				claim := "none"
				for p := range strings.SplitSeq(a.Access["items"][who], ", ") {
					if v, ok := strings.CutPrefix(p, action+" "); ok {
						claim = v
					}
				}
				said[claim]++
				for _, token := range all {
					can, tried := s.try(t, action, token)
					if claim == "none" && can > 0 || claim == "all" && can < tried {
						t.Errorf("%s: %s may %s %s, says the auditor, and the server lets them %d times of %d", rule, who, action, claim, can, tried)
					}
				}
			}
		}
	}
	t.Logf("said %v", said)
	if said["none"] < 100 || said["all"] < 100 {
		t.Errorf("the auditor says too little: %v", said)
	}
}

// try does what a rule is about, with all records and with several requests, and
// tells how often that worked. Nothing is kept.
func (s *server) try(t *testing.T, action, token string) (can, tried int) {
	t.Helper()
	ids, err := s.app.FindAllRecords("items")
	if err != nil {
		t.Fatal(err)
	}
	base := "/api/collections/items/records"
	send := func(method, path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, bytes.NewBufferString(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", token)
		if len(path)%2 == 0 {
			r.Header.Set("X-A", "1")
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w
	}
	switch action {
	case "list":
		for _, q := range []string{"", "?a=1"} {
			var out struct{ Items []any }
			if w := send(http.MethodGet, base+q, ""); w.Code != http.StatusOK || json.Unmarshal(w.Body.Bytes(), &out) != nil {
				return can, tried + len(ids)
			}
			can, tried = can+len(out.Items), tried+len(ids)
		}
	case "create":
		for _, body := range []string{`{}`, `{"title":"one","total":1}`} {
			tried++
			var out struct{ ID string }
			if w := send(http.MethodPost, base, body); w.Code == http.StatusOK && json.Unmarshal(w.Body.Bytes(), &out) == nil {
				can++
				r, err := s.app.FindRecordById("items", out.ID)
				if err != nil || s.app.Delete(r) != nil {
					t.Fatal(err)
				}
			}
		}
	case "view":
		for _, r := range ids {
			tried++
			if w := send(http.MethodGet, base+"/"+r.Id, ""); w.Code == http.StatusOK {
				can++
			}
		}
	case "update":
		for _, r := range ids {
			for _, body := range []string{`{}`, `{"title":"` + r.GetString("title") + `"}`} {
				tried++
				if w := send(http.MethodPatch, base+"/"+r.Id, body); w.Code == http.StatusOK {
					can++
				}
			}
		}
	case "delete":
		r := s.save("items", map[string]any{"title": "gone"})
		tried++
		if w := send(http.MethodDelete, base+"/"+r.Id, ""); w.Code == http.StatusNoContent {
			return 1, 1
		}
		if err := s.app.Delete(r); err != nil {
			t.Fatal(err)
		}
	}
	return can, tried
}
