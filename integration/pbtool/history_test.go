//go:build !race

package pbtool

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

var historyKey = "k" + strings.Repeat("9Z", 12)

// keeps makes the history's collection of what Import returns, and options with it.
func (s *server) keeps(all bool) pbtool.Options {
	s.t.Helper()
	o := s.options()
	o.History = pbtool.History{Collection: "changes", Key: redact.NewSecret(historyKey), Values: all}
	if !s.has("changes") {
		with := strings.Replace(string(o.History.Import()), `"name": "changes"`, `"id": "thechanges00001", "name": "changes"`, 1) // by which PocketBase finds it, too
		if err := s.app.ImportCollectionsByMarshaledJSON([]byte(with), false); err != nil {
			s.t.Fatal(err)
		}
	}
	return o
}

// entries are those of the history, from the first on, as action, collection, record
// and fields.
func (s *server) entries() (out []string, last *core.Record) {
	s.t.Helper()
	found, err := s.app.FindRecordsByFilter("changes", "id != ''", "@rowid", 0, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range found {
		var fields []string
		if r.UnmarshalJSONField("fields", &fields) != nil || r.GetString("principal") != "local" || r.GetString("call") == "" || time.Since(r.GetDateTime("created").Time()) > time.Minute {
			s.t.Errorf("the entry %v", r)
		}
		out = append(out, fmt.Sprint(r.GetString("action"), " ", r.GetString("collection"), " ", r.GetString("record"), " ", fields))
		last = r
	}
	return out, last
}

// Every tool that changes records leaves an entry for each.
func TestPbHistory(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.keeps(false)
	c := serve(t, open(t, o))
	var made recorded
	c.ok("pb_create_record", `{"collection":"posts","data":{"title":"one","tags":["red"]}}`, &made)
	id := fmt.Sprint(made.Record["id"])
	if made.Record["title"] != "one" || made.Record["collectionId"] != nil {
		t.Errorf("got %v", made)
	}
	r, err := s.app.FindRecordById("posts", id)
	if err != nil {
		t.Fatal(err)
	}
	r.Set("author", s.ann.Id)
	if err := s.app.Save(r); err != nil {
		t.Fatal(err)
	}
	c.ok("pb_update_record", `{"collection":"posts","id":"`+id+`","set":{"title":"two"},"add":{"tags":["blue"]}}`, &made)
	if fmt.Sprint(made.Record["title"], " ", made.Record["tags"]) != "two [red blue]" {
		t.Errorf("got %v", made)
	}
	file := upload(t, c, "papers", id, "a.txt", "one")
	if len(file.Files) != 1 || file.ID != id {
		t.Fatalf("got %+v", file)
	}
	var deed uploaded
	c.ok("pb_upload_file", `{"collection":"posts","field":"deed","name":"d.txt","content":"`+b64("deed")+`","data":{"title":"with a deed","author":"`+s.ann.Id+`"}}`, &deed)
	c.ok("pb_delete_file", `{"collection":"posts","id":"`+id+`","field":"papers"}`, nil)
	var ids struct{ IDs []string }
	c.ok("pb_batch", `{"requests":[{"op":"create","collection":"comments","data":{"text":"new"}},{"op":"update","collection":"posts","id":"`+id+`","data":{"body":"x"}},{"op":"upsert","collection":"comments","id":"abcdefghijklmno","data":{"text":"put"}},{"op":"delete","collection":"posts","id":"`+deed.ID+`"}]}`, &ids)
	c.ok("pb_validate_record", `{"collection":"posts","data":{"title":"fine"}}`, nil)
	var rows struct{ IDs []string }
	c.ok("pb_import_records", `{"collection":"comments","format":"csv","text":"text\nfirst\nsecond\n"}`, &rows)
	c.ok("pb_delete_records", `{"collection":"comments","where":[{"field":"text","op":"eq","value":"first"}]}`, nil)
	c.ok("pb_delete_record", `{"collection":"posts","id":"`+id+`"}`, nil)
	got, last := s.entries()
	want := []string{
		"create posts " + id + " [tags title]", "update posts " + id + " [tags title]", "update posts " + id + " [papers]", "create posts " + deed.ID + " [author deed title]", "update posts " + id + " [papers]",
		"create comments " + ids.IDs[0] + " [text]", "update posts " + id + " [body]", "upsert comments abcdefghijklmno [text]", "delete posts " + deed.ID + " []",
		"create comments " + rows.IDs[0] + " [text]", "create comments " + rows.IDs[1] + " [text]", "delete comments " + rows.IDs[0] + " []", "delete posts " + id + " []",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !strings.Contains(c.log.String(), last.GetString("call")) {
		t.Error("the entry's call is not the audit log's")
	}
	for _, at := range []string{"before", "after"} {
		if v := last.GetString(at); v != "null" && v != "" {
			t.Errorf("values that nobody has asked for: %s", v)
		}
	}
	if strings.Contains(c.said.String()+c.log.String(), historyKey) {
		t.Error("the key has left")
	}
}

// What was refused leaves no entry, and what leaves no entry is refused.
func TestPbHistoryIsTrue(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := serve(t, open(t, s.keeps(false)))
	s.posts(3)
	post, err := s.app.FindFirstRecordByFilter("posts", "total = 1")
	if err != nil {
		t.Fatal(err)
	}
	theirs := s.save("posts", map[string]any{"title": "bob's", "author": s.bob.Id})
	id := `"id":"` + post.Id + `"`
	changes := map[string]string{
		"pb_create_record": `{"collection":"posts","data":{"title":"lost"}}`, "pb_update_record": `{"collection":"posts",` + id + `,"set":{"title":"lost"}}`, "pb_delete_record": `{"collection":"posts",` + id + `}`,
		"pb_batch": `{"requests":[{"op":"update","collection":"posts",` + id + `,"data":{"title":"lost"}}]}`, "pb_delete_records": `{"collection":"posts","where":[{"field":"total","op":"eq","value":1}]}`,
		"pb_import_records": `{"collection":"posts","format":"csv","text":"title\nlost\n"}`, "pb_upload_file": `{"collection":"posts",` + id + `,"field":"papers","name":"a.txt","content":"` + b64("lost") + `"}`,
	}
	c.deny("title: is required", "pb_create_record", `{"collection":"posts","data":{"total":1}}`)
	c.deny("there is no such record", "pb_update_record", `{"collection":"posts","id":"`+theirs.Id+`","set":{"title":"mine"}}`)
	c.deny("there is no such record", "pb_delete_record", `{"collection":"posts","id":"`+theirs.Id+`"}`)
	c.deny("PocketBase refuses", "pb_batch", `{"requests":[{"op":"create","collection":"posts","data":{"title":"x"}},{"op":"create","collection":"posts","data":{"total":1}}]}`)
	was := s.state()
	refused := func(why string) {
		t.Helper()
		for tool, args := range changes {
			c.deny(why, tool, args)
		}
		if s.state() != was {
			t.Errorf("%s: something has changed", why)
		}
	}
	edit := func(change func(*core.Collection)) {
		t.Helper()
		k := s.collection("changes")
		change(k)
		if err := s.app.Save(k); err != nil {
			t.Fatal(err)
		}
		was = s.state()
	}
	edit(func(k *core.Collection) { k.CreateRule = types.Pointer(`@request.headers.mcpsec_history = "another"`) })
	refused("the history of changes cannot be written")
	edit(func(k *core.Collection) {
		k.CreateRule = types.Pointer(`@request.headers.mcpsec_history = "` + historyKey + `"`)
		k.Fields.Add(&core.TextField{Name: "reason", Required: true})
	})
	refused("the history of changes cannot be written")
	edit(func(k *core.Collection) { k.Fields.RemoveByName("reason") })
	s.app.Settings().Batch.Enabled = false
	was = s.state()
	refused("batch API is off")
	s.app.Settings().Batch.Enabled = true
	for _, h := range []string{"changes", "CHANGES", s.collection("changes").Id} { // nobody else writes it
		for method, path := range map[string]string{http.MethodPost: "", http.MethodPatch: "/x", http.MethodDelete: "/x"} {
			if status := s.as(s.ann, method, "/api/collections/"+h+"/records"+path, `{"collection":"posts","action":"delete"}`); status < 400 {
				t.Errorf("%s %s: a user has written the history, status %d", method, h, status)
			}
		}
	}
	if n := s.count("changes"); n != 0 {
		t.Errorf("there are %d entries of what was not done", n)
	}
	for tool, args := range map[string]string{"pb_create_record": changes["pb_create_record"]} {
		c.ok(tool, args, nil)
	}
	if n := s.count("changes"); n != 1 {
		t.Errorf("got %d entries", n)
	}
}

// An id that the caller may set is the one in the entry, or refused.
func TestPbHistoryIDs(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.keeps(false)
	o.Collections[1].Write = []string{"id", "text"}
	c := serve(t, open(t, o))
	for _, id := range []string{`123456789012345`, `""`, `null`, `" abcdefghijklmn"`, `["abcdefghijklmno"]`, `true`, `"a/b"`} {
		c.deny("an id has letters", "pb_create_record", `{"collection":"comments","data":{"text":"x","id":`+id+`}}`)
	}
	c.ok("pb_create_record", `{"collection":"comments","data":{"text":"x","id":"abcdefghijklmno"}}`, nil)
	c.deny("id: ", "pb_create_record", `{"collection":"comments","data":{"text":"x","id":"abcdefghijklmno"}}`)
	if got, _ := s.entries(); !slices.Equal(got, []string{"create comments abcdefghijklmno [text]"}) || s.count("comments") != 1 {
		t.Errorf("got %q, %d records", got, s.count("comments"))
	}
}

// as makes a request with a user's token.
func (s *server) as(who *core.Record, method, path, body string) int {
	s.t.Helper()
	token, err := who.NewAuthToken()
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// Values are those that the caller could read or has set, and no secrets.
func TestPbHistoryValues(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.keeps(true)
	o.Collections[0].Write = append(o.Collections[0].Write, "secret")
	o.Collections = append(o.Collections, pbtool.Collection{Name: "users", Write: []string{"name"}})
	o.Overwrite = mcpsec.Write
	c := serve(t, open(t, o))
	post := s.save("posts", map[string]any{"title": "old", "total": 1, "author": s.ann.Id, "secret": "hidden-" + "canary", "tags": []string{"red"}})
	values := func() (before, after map[string]any) {
		t.Helper()
		_, last := s.entries()
		if err := json.Unmarshal([]byte(last.GetString("before")), &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(last.GetString("after")), &after); err != nil {
			t.Fatal(err)
		}
		return before, after
	}
	c.ok("pb_update_record", `{"collection":"posts","id":"`+post.Id+`","set":{"title":"new","secret":"canary"},"add":{"tags":["blue"]}}`, nil)
	if b, a := values(); fmt.Sprint(b, a) != "map[tags:[red] title:old] map[tags+:[blue] title:new]" {
		t.Errorf("update: got %v, %v", b, a)
	}
	s.requests()
	c.ok("pb_create_record", `{"collection":"posts","data":{"title":"fresh","secret":"canary"}}`, nil)
	for _, r := range s.requests() {
		if strings.HasPrefix(r, "GET ") && strings.HasSuffix(r, "/records") {
			t.Errorf("a new record was looked for: %s", r)
		}
	}
	if b, a := values(); b != nil || a["title"] != "fresh" || a["secret"] != nil {
		t.Errorf("create: got %v, %v", b, a)
	}
	c.ok("pb_update_record", `{"collection":"users","id":"`+s.ann.Id+`","set":{"name":"Ann"}}`, nil)
	if b, a := values(); fmt.Sprint(b, a) != "map[name:] map[name:Ann]" {
		t.Errorf("user: got %v, %v", b, a)
	}
	c.ok("pb_delete_record", `{"collection":"posts","id":"`+post.Id+`"}`, nil)
	b, a := values()
	if b["title"] != "new" || b["total"] != 1.0 || a != nil {
		t.Errorf("delete: got %v, %v", b, a)
	}
	all, err := s.app.FindAllRecords("changes")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		raw, err := json.Marshal(r)
		if err != nil || strings.Contains(string(raw), "canary") || strings.Contains(string(raw), "tokenKey") || strings.Contains(string(raw), "assword") {
			t.Errorf("a secret is in the history: %s, %v", raw, err)
		}
	}
}

// The history is read where it is listed, and written by nothing but changes.
func TestPbHistoryIsOurs(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.keeps(false)
	o.Collections = nil
	c := serve(t, open(t, o))
	k := s.collection("changes")
	k.ListRule, k.ViewRule = types.Pointer("@request.auth.id != ''"), types.Pointer("@request.auth.id != ''")
	if err := s.app.Save(k); err != nil {
		t.Fatal(err)
	}
	entry := s.save("changes", map[string]any{"collection": "posts", "action": "create", "principal": "local", "call": "x", "fields": []string{}})
	for _, name := range []string{"changes", "Changes", k.Id} {
		c.deny("not for tools", "pb_list_records", `{"collection":"`+name+`"}`)
		c.deny("not for tools", "pb_get_record", `{"collection":"`+name+`","id":"`+entry.Id+`"}`)
		c.deny("not for tools", "pb_describe_collection", `{"collection":"`+name+`"}`)
		c.deny("not for tools", "pb_plan_schema", `{"ops":[{"op":"delete_collection","collection":"`+name+`"}]}`)
		c.deny("not for tools", "pb_plan_schema", `{"ops":[{"op":"set_rules","collection":"posts","rules":{"list":"@request.auth.id != '' && @collection.`+name+`.record ?= id"}}]}`)
		c.deny("not for tools", "pb_audit_rules", `{"collection":"`+name+`"}`)
	}
	c.deny("lack what is deleted", "pb_plan_schema", `{"ops":[{"op":"truncate","collection":"posts"}]}`)
	if a := c.call("pb_list_collections", `{}`); strings.Contains(a.text, "changes") {
		t.Errorf("got %s", a.text)
	}
	o = s.keeps(false)
	o.Collections = append(o.Collections, pbtool.Collection{Name: "changes"})
	c = serve(t, open(t, o))
	var l listed
	if c.ok("pb_list_records", `{"collection":"changes"}`, &l); len(l.Items) != 1 {
		t.Errorf("got %v", l)
	}
	c.ok("pb_describe_collection", `{"collection":"changes"}`, nil)
	var a audited
	c.ok("pb_audit_rules", `{"collection":"changes"}`, &a)
	for _, f := range a.Findings {
		if f.Collection == "changes" {
			t.Errorf("found %+v", f)
		}
	}
	c.deny("may only be read", "pb_create_record", `{"collection":"changes","data":{"record":"x"}}`)
	c.deny("may only be read", "pb_batch", `{"requests":[{"op":"upsert","collection":"changes","id":"`+entry.Id+`","data":{"record":"x"}}]}`)
	c.deny("may not be deleted", "pb_delete_record", `{"collection":"changes","id":"`+entry.Id+`"}`)
	for _, op := range []string{
		`{"op":"delete_collection","collection":"changes"}`, `{"op":"truncate","collection":"changes"}`, `{"op":"rename_collection","collection":"changes","to":"other"}`, `{"op":"set_rules","collection":"changes","rules":{"create":null}}`,
		`{"op":"remove_field","collection":"changes","name":"call"}`, `{"op":"set_rules","collection":"posts","rules":{"list":"@request.auth.id != '' && @collection.changes.record ?= id"}}`,
	} {
		c.deny("history", "pb_plan_schema", `{"ops":[`+op+`]}`)
	}
	if strings.Contains(c.said.String()+c.log.String(), historyKey) {
		t.Error("the key has left")
	}
	if err := s.app.Delete(s.collection("changes")); err != nil {
		t.Fatal(err)
	}
	c.deny("an operator's to make", "pb_plan_schema", `{"ops":[{"op":"create_collection","collection":"changes","fields":[{"name":"record","type":"text"}]}]}`)
	c.deny("history of changes cannot be written", "pb_create_record", `{"collection":"posts","data":{"title":"lost"}}`)
	if s.count("posts") != 0 {
		t.Error("a change without an entry was made")
	}
}

// A collection that is none for a history is found when the client is opened.
func TestPbHistoryIsLookedAt(t *testing.T) {
	t.Parallel()
	s := start(t)
	good := s.keeps(true)
	refuse := func(want string, change func(*core.Collection), o func(*pbtool.Options)) {
		t.Helper()
		k := s.collection("changes")
		was, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		if change(k); s.app.Save(k) != nil {
			t.Fatal(want)
		}
		opts := good
		o(&opts)
		c, err := pbtool.Open(t.Context(), opts)
		if c != nil || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), historyKey) {
			t.Errorf("got %v, want %q", err, want)
		}
		if err := s.app.ImportCollectionsByMarshaledJSON([]byte("["+string(was)+"]"), false); err != nil {
			t.Fatal(err)
		}
		k = s.collection("changes")
		if err := json.Unmarshal(was, k); err != nil || s.app.Save(k) != nil {
			t.Fatal(err)
		}
	}
	as := func(*pbtool.Options) {}
	p := types.Pointer[string]
	refuse("lacks the fields call (text), fields (json)", func(k *core.Collection) { k.Fields.RemoveByName("call"); k.Fields.RemoveByName("fields") }, as)
	refuse("lacks the fields before (json)", func(k *core.Collection) { k.Fields.RemoveByName("before") }, as)
	refuse("lacks the fields created (autodate)", func(k *core.Collection) {
		f := k.Fields.GetByName("created").(*core.AutodateField)
		f.OnCreate, f.OnUpdate = false, true
	}, as)
	refuse("create rule", func(k *core.Collection) { k.CreateRule = p("") }, as)
	refuse("create rule", func(k *core.Collection) { k.CreateRule = p(*k.CreateRule + " || @request.auth.id != ''") }, as)
	refuse("create rule", func(k *core.Collection) { k.CreateRule = nil }, as)
	refuse("update and delete", func(k *core.Collection) { k.UpdateRule = p("@request.auth.id != ''") }, as)
	refuse("update and delete", func(k *core.Collection) { k.DeleteRule = p("") }, as)
	refuse("shut out", func(k *core.Collection) { k.ListRule = p("") }, as)
	refuse("shut out", func(k *core.Collection) { k.ViewRule = p("record != ''") }, as)
	refuse("takes no entry; reason: is required", func(k *core.Collection) { k.Fields.Add(&core.TextField{Name: "reason", Required: true}) }, as)
	none := func(*core.Collection) {}
	refuse("there is no collection nothere", none, func(o *pbtool.Options) { o.History.Collection = "nothere" })
	refuse("written so", none, func(o *pbtool.Options) { o.History.Collection = "Changes" })
	refuse("create rule", none, func(o *pbtool.Options) { o.History.Key = redact.NewSecret(strings.Repeat("a", 20)) })
	refuse("20 to 100 letters", none, func(o *pbtool.Options) { o.History.Key = redact.NewSecret("short") })
	refuse("needs Options.Superuser", none, func(o *pbtool.Options) { o.Superuser = pbtool.Login{} })
	refuse("not PocketBase's own", none, func(o *pbtool.Options) { o.History.Collection = "_superusers" })
	refuse("tools write", none, func(o *pbtool.Options) {
		o.Collections = []pbtool.Collection{{Name: "Changes", Write: []string{"record"}}}
	})
	refuse("tools write", none, func(o *pbtool.Options) { o.Public = []string{"changes"} })
	s.app.Settings().Batch.Enabled = false
	refuse("batch API is off", none, as)
	s.app.Settings().Batch.Enabled = true
	if n := s.count("changes"); n != 0 {
		t.Errorf("looking has left %d entries", n)
	}
	open(t, good)
}
