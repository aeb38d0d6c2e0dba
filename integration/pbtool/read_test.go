//go:build !race

package pbtool

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"

	"github.com/mcpsec/mcpsec-go/pbtool"
)

type listed struct {
	Items []map[string]any
	Total *int
	Next  string
	More  bool
}

func titles(l listed) (out []string) {
	for _, r := range l.Items {
		out = append(out, fmt.Sprint(r["title"]))
	}
	return out
}

func TestPbHealth(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := serve(t, open(t, s.options()))
	var out struct {
		Healthy     bool
		Collections []string
	}
	if c.ok("pb_health", `{}`, &out); !out.Healthy || len(out.Collections) != 2 || out.Collections[1] != "comments: read all fields; write text, post; delete" {
		t.Errorf("got %+v", out)
	}
}

func TestPbListRecords(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(25)
	post := s.save("posts", map[string]any{"title": "the one", "author": s.ann.Id, "total": 77, "body": strings.Repeat("long ", 100), "data": map[string]any{"a": 9007199254740993}, "secret": "x"})
	s.save("comments", map[string]any{"text": "first", "post": post.Id}, map[string]any{"text": "second", "post": post.Id})
	c := serve(t, open(t, s.options()))
	var l listed
	c.ok("pb_list_records", `{"collection":"posts","limit":10,"total":true,"sort":["title"]}`, &l)
	if len(l.Items) != 10 || *l.Total != 26 || !l.More || titles(l)[0] != "post 000" {
		t.Errorf("got %v of %v, more %v", titles(l), *l.Total, l.More)
	}
	for _, hidden := range []string{"secret", "collectionId", "collectionName"} {
		if _, ok := l.Items[0][hidden]; ok {
			t.Errorf("%s is shown", hidden)
		}
	}
	// Filters.
	for where, want := range map[string]int{
		`[]`: 26, `[{"field":"total","op":"ge","value":9}]`: 3, `[{"field":"total","op":"in","value":[1,2,77]}]`: 7, `[{"field":"total","op":"in","value":[1,2,77],"not":true}]`: 19,
		`[{"field":"title","op":"starts","value":"post 00"}]`: 10, `[{"field":"title","op":"ends","value":"4"}]`: 3, `[{"field":"title","op":"contains","value":"ONE"}]`: 1,
		`[{"field":"open","op":"eq","value":true}]`: 13, `[{"field":"tags:each","op":"eq","value":"red","any":true}]`: 9, `[{"field":"tags:length","op":"eq","value":0}]`: 1, `[{"field":"body","op":"empty","not":true}]`: 26,
		`[{"field":"title","op":"eq","value":"post 001","or":[{"field":"title","op":"eq","value":"post 002"}]},{"field":"open","op":"eq","value":true}]`: 1,
		`[{"field":"title:lower","op":"eq","value":"THE ONE"}]`: 0, `[{"field":"tags:length","op":"eq","value":1}]`: 25,
	} {
		l = listed{}
		if c.ok("pb_list_records", `{"collection":"posts","where":`+where+`}`, &l); len(l.Items) != want {
			t.Errorf("%s: got %d, want %d", where, len(l.Items), want)
		}
	}
	// Fields, excerpts, expand.
	l = listed{}
	c.ok("pb_list_records", `{"collection":"posts","where":[{"field":"total","op":"eq","value":77}],"fields":["title","body:excerpt(10,true)"]}`, &l)
	if keys := slices.Sorted(maps.Keys(l.Items[0])); !slices.Equal(keys, []string{"body", "id", "title"}) || len(l.Items[0]["body"].(string)) > 20 {
		t.Errorf("got %v", l.Items[0])
	}
	l = listed{}
	c.ok("pb_list_records", `{"collection":"comments","expand":["post","post.author"],"sort":["text"]}`, &l)
	expanded, _ := l.Items[0]["expand"].(map[string]any)["post"].(map[string]any)
	if expanded["title"] != "the one" || expanded["secret"] != nil || expanded["expand"] != nil || expanded["collectionName"] != "posts" {
		t.Errorf("a listed collection is expanded, and one that is not listed is not: got %v", l.Items[0])
	}
	if a := c.call("pb_list_records", `{"collection":"posts","where":[{"field":"total","op":"eq","value":77}]}`); !strings.Contains(a.text, "9007199254740993") {
		t.Errorf("a number is not exact: %s", a.text)
	}
	c.deny("may not be used", "pb_list_records", `{"collection":"vault"}`)
	c.deny("may not be used", "pb_list_records", `{"collection":"users"}`)
	c.deny("path through a relation", "pb_list_records", `{"collection":"posts","where":[{"field":"author.email","op":"contains","value":"a"}]}`)
	c.deny("PocketBase refuses it", "pb_list_records", `{"collection":"posts","where":[{"field":"nothing","op":"eq","value":"a"}]}`)
	c.deny("PocketBase refuses it", "pb_list_records", `{"collection":"posts","where":[{"field":"secret","op":"contains","value":"a"}]}`)
}

// Every sort can be gone through to the end, and each record comes once.
func TestPbListRecordsCursor(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(23)
	s.save("posts", map[string]any{"title": `quote " and \`, "author": s.ann.Id}, map[string]any{"title": `quote " and \`, "author": s.ann.Id})
	c := serve(t, open(t, s.options()))
	for _, sort := range []string{`[]`, `["id"]`, `["-id"]`, `["title"]`, `["-title"]`, `["total"]`, `["-total"]`, `["open"]`, `["-created"]`} {
		seen := map[any]int{}
		after := ""
		for range 20 {
			var l listed
			c.ok("pb_list_records", `{"collection":"posts","limit":4,"fields":["body"],"sort":`+sort+`,"after":"`+after+`"}`, &l)
			for _, r := range l.Items {
				seen[r["id"]]++
			}
			if after = l.Next; after == "" {
				break
			}
		}
		if len(seen) != 25 {
			t.Errorf("%s: got %d of 25", sort, len(seen))
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s: %v came %d times", sort, id, n)
			}
		}
	}
	var l listed
	if c.ok("pb_list_records", `{"collection":"posts","limit":2,"sort":["tags"]}`, &l); !l.More || l.Next != "" {
		t.Errorf("a field of several values has a cursor: %+v", l)
	}
	if c.ok("pb_list_records", `{"collection":"posts","limit":2,"sort":["open","title"]}`, &l); l.Next != "" {
		t.Errorf("two fields have a cursor: %+v", l)
	}
	c.deny("after must be", "pb_list_records", `{"collection":"posts","after":"eyJpIjoiJyB8fCAxPTEifQ"}`)
	for _, after := range []string{"x", "e30", "eyJpIjoiJyB8fCAxPTEifQ", "eyJpIjoiYSIsInYiOlsxXX0"} {
		c.deny("after must be", "pb_list_records", `{"collection":"posts","sort":["title"],"after":"`+after+`"}`)
	}
}

// What is over a bound is refused or cut with a word, in records and in bytes.
func TestPbListRecordsBounds(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(30)
	s.save("posts", map[string]any{"title": "zz", "body": strings.Repeat("y", 50_000), "author": s.ann.Id})
	o := s.options()
	o.MaxRecords, o.MaxBytes = 20, 4096
	c := serve(t, open(t, o))
	var l listed
	if c.ok("pb_list_records", `{"collection":"posts","limit":500,"fields":["title"],"sort":["title"]}`, &l); len(l.Items) != 20 || !l.More {
		t.Errorf("got %d, more %v", len(l.Items), l.More)
	}
	l = listed{}
	if c.ok("pb_list_records", `{"collection":"posts","sort":["title"]}`, &l); len(l.Items) < 5 || len(l.Items) > 15 || !l.More || l.Next == "" {
		t.Errorf("got %d, more %v", len(l.Items), l.More)
	}
	c.deny("first record alone", "pb_list_records", `{"collection":"posts","sort":["-title"]}`)
	c.deny("lower limit", "pb_list_records", `{"collection":"posts","sort":["open","title"]}`) // there is no way to the rest
	c.deny("", "pb_list_records", `{"collection":"posts","page":10001}`)
}

func TestPbGetRecord(t *testing.T) {
	t.Parallel()
	s := start(t)
	post := s.save("posts", map[string]any{"title": "the one", "author": s.ann.Id, "secret": "x"})
	comment := s.save("comments", map[string]any{"text": "first", "post": post.Id})
	c := serve(t, open(t, s.options()))
	var out struct{ Record map[string]any }
	c.ok("pb_get_record", `{"collection":"posts","id":"`+post.Id+`"}`, &out)
	if out.Record["title"] != "the one" || out.Record["secret"] != nil || out.Record["id"] != post.Id {
		t.Errorf("got %v", out)
	}
	out.Record = nil
	c.ok("pb_get_record", `{"collection":"comments","id":"`+comment.Id+`","fields":["text"],"expand":["post"]}`, &out)
	if out.Record["expand"] == nil || out.Record["post"] != nil {
		t.Errorf("got %v", out)
	}
	c.deny("there is no such record", "pb_get_record", `{"collection":"posts","id":"nothing00000000"}`)
	c.deny("an id has", "pb_get_record", `{"collection":"posts","id":"../../settings"}`)
	c.deny("an id has", "pb_get_record", `{"collection":"posts","id":".."}`)
}

// A list of fields holds for everything that a record goes through.
func TestFieldsAreListed(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(3)
	post := s.save("posts", map[string]any{"title": "the one", "author": s.ann.Id, "body": "private"})
	s.save("comments", map[string]any{"text": "first", "post": post.Id})
	o := s.options()
	o.Collections = []pbtool.Collection{{Name: "posts", Fields: []string{"id", "title", "author", "author.name"}, Write: []string{"title"}}, {Name: "comments", Write: []string{"text"}}}
	c := serve(t, open(t, o))
	var l listed
	c.ok("pb_list_records", `{"collection":"posts"}`, &l)
	if keys := slices.Sorted(maps.Keys(l.Items[0])); !slices.Equal(keys, []string{"author", "id", "title"}) {
		t.Errorf("got %v", keys)
	}
	l = listed{}
	c.ok("pb_list_records", `{"collection":"comments","expand":["post"]}`, &l)
	if b, err := json.Marshal(l); err != nil || strings.Contains(string(b), "private") || !strings.Contains(string(b), "the one") {
		t.Errorf("got %s", b)
	}
	c.ok("pb_list_records", `{"collection":"posts","where":[{"field":"author.name","op":"eq","value":"x"}],"sort":["author.name"]}`, &l)
	for _, args := range []string{
		`"where":[{"field":"body","op":"contains","value":"p"}]`, `"where":[{"field":"body:lower","op":"contains","value":"p"}]`, `"where":[{"field":"author.email","op":"contains","value":"p"}]`,
		`"where":[{"field":"comments_via_post.text","op":"contains","value":"p"}]`, `"sort":["body"]`, `"sort":["-body"]`, `"fields":["body"]`, `"fields":["body:excerpt(10)"]`, `"expand":["comments_via_post"]`,
	} {
		c.deny("may not", "pb_list_records", `{"collection":"posts",`+args+`}`)
	}
	for _, args := range []string{`"sort":["body"]`, `"fields":["body"]`, `"expand":["body"]`} { // each once, also id
		if a := c.call("pb_list_records", `{"collection":"posts",`+args+`}`); !strings.HasSuffix(a.text, "; for posts these may: id, title, author, author.name") {
			t.Errorf("%s: got %s", args, a.text)
		}
	}
	c.deny("may not", "pb_aggregate_records", `{"collection":"posts","group_by":["body"]}`)
	c.deny("may not", "pb_aggregate_records", `{"collection":"posts","aggregates":[{"fn":"max","field":"body"}]}`)
	c.deny("may not", "pb_export_records", `{"collection":"posts","format":"csv","fields":["body"]}`)
	c.deny("may not", "pb_update_record", `{"collection":"posts","id":"`+post.Id+`","set":{"body":"x"}}`)
	c.deny("may not", "pb_create_record", `{"collection":"posts","data":{"title":"x","body":"x"}}`)
	if a := c.call("pb_export_records", `{"collection":"posts","format":"json"}`); a.refused || strings.Contains(a.text, "private") {
		t.Errorf("got %s", a.text)
	}
}

func TestPbAggregateRecords(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(25)
	o := s.options()
	c := serve(t, open(t, o))
	type out struct {
		Groups []struct {
			By, Values map[string]any
		}
		Records   int
		Truncated bool
	}
	var got out
	if c.ok("pb_aggregate_records", `{"collection":"posts","where":[{"field":"open","op":"eq","value":true}]}`, &got); got.Groups[0].Values["count"] != 13.0 || got.Records != 13 {
		t.Errorf("got %+v", got)
	}
	got = out{}
	c.ok("pb_aggregate_records", `{"collection":"posts","aggregates":[{"fn":"count"},{"fn":"sum","field":"total"},{"fn":"avg","field":"total"},{"fn":"min","field":"total"},{"fn":"max","field":"title"},{"fn":"distinct","field":"total"}]}`, &got)
	want := map[string]any{"count": 25.0, "sum total": 100.0, "avg total": 4.0, "min total": 0.0, "max title": "post 024", "distinct total": 10.0}
	if v := got.Groups[0].Values; !maps.Equal(v, want) {
		t.Errorf("got %v, want %v", v, want)
	}
	got = out{}
	c.ok("pb_aggregate_records", `{"collection":"posts","group_by":["open"],"aggregates":[{"fn":"count"},{"fn":"sum","field":"total"}]}`, &got)
	if len(got.Groups) != 2 || got.Groups[0].By["open"] != true || got.Groups[0].Values["count"] != 13.0 {
		t.Errorf("got %+v", got)
	}
	got = out{}
	c.ok("pb_aggregate_records", `{"collection":"posts","where":[{"field":"title","op":"eq","value":"none"}],"aggregates":[{"fn":"sum","field":"total"},{"fn":"avg","field":"total"},{"fn":"min","field":"total"}]}`, &got)
	if v := got.Groups[0].Values; v["sum total"] != 0.0 || v["avg total"] != nil || v["min total"] != nil {
		t.Errorf("got %v", v)
	}
	o.MaxScan = 20
	small := serve(t, open(t, o))
	small.deny("25 records", "pb_aggregate_records", `{"collection":"posts","aggregates":[{"fn":"sum","field":"total"}]}`)
	small.ok("pb_aggregate_records", `{"collection":"posts"}`, &got)
	small.deny("25 records", "pb_export_records", `{"collection":"posts","format":"json"}`)
	c.deny("count has no field", "pb_aggregate_records", `{"collection":"posts","aggregates":[{"fn":"sum"}]}`)
}

// A scan goes over several pages, and each record counts once.
func TestPbAggregateRecordsPages(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(2300)
	c := serve(t, open(t, s.options()))
	var got struct {
		Groups  []struct{ Values map[string]any }
		Records int
	}
	if c.ok("pb_aggregate_records", `{"collection":"posts","aggregates":[{"fn":"sum","field":"total"},{"fn":"distinct","field":"title"}]}`, &got); got.Records != 2300 || got.Groups[0].Values["distinct title"] != 2300.0 || got.Groups[0].Values["sum total"] != 10350.0 {
		t.Errorf("got %+v", got)
	}
}

// What is kept of the records is bounded, whatever they hold.
func TestPbAggregateRecordsSize(t *testing.T) {
	t.Parallel()
	s := start(t)
	var all []map[string]any
	for i := range 900 {
		all = append(all, map[string]any{"title": fmt.Sprint(i), "body": strings.Repeat("x", 5_000) + fmt.Sprint(i), "author": s.ann.Id})
	}
	s.save("posts", all...)
	c := serve(t, open(t, s.options()))
	c.deny("too large together", "pb_aggregate_records", `{"collection":"posts","group_by":["body"]}`)
	var got struct {
		Groups []struct{ Values map[string]any }
	}
	if c.ok("pb_aggregate_records", `{"collection":"posts","aggregates":[{"fn":"distinct","field":"body"}]}`, &got); got.Groups[0].Values["distinct body"] != 900.0 {
		t.Errorf("got %+v", got)
	}
}

func TestPbExportRecords(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.save("posts", map[string]any{"title": "=1+1", "body": "a,\"b\"\nc", "total": 1.5, "author": s.ann.Id, "tags": []string{"red", "blue"}}, map[string]any{"title": "'=x", "total": -2, "author": s.ann.Id}, map[string]any{"title": "'tis", "author": s.ann.Id})
	c := serve(t, open(t, s.options()))
	a := c.call("pb_export_records", `{"collection":"posts","format":"csv","fields":["title","body","total","tags"]}`)
	for _, want := range []string{"body,id,tags,title,total\n", ",'=1+1,1.5\n", ",''=x,-2\n", ",'tis,0\n", "\"a,\"\"b\"\"\nc\"", `"[""red"",""blue""]"`} {
		if !strings.Contains(a.text, want) {
			t.Errorf("got %s, want %q in it", a.text, want)
		}
	}
	// What was exported can be imported, and is the same.
	doc, err := json.Marshal(strings.ReplaceAll(a.text, "body,id,", "body,data,"))
	if err != nil {
		t.Fatal(err)
	}
	c.ok("pb_import_records", `{"collection":"posts","format":"csv","text":`+string(doc)+`}`, nil)
	for _, title := range []string{"=1+1", "'=x", "'tis"} {
		raw, err := json.Marshal(title)
		if err != nil {
			t.Fatal(err)
		}
		var l listed
		if c.ok("pb_list_records", `{"collection":"posts","where":[{"field":"title","op":"eq","value":`+string(raw)+`}]}`, &l); len(l.Items) != 2 {
			t.Errorf("%s: got %d, want 2", title, len(l.Items))
		} else if fmt.Sprint(l.Items[0]["body"], l.Items[0]["total"], l.Items[0]["tags"]) != fmt.Sprint(l.Items[1]["body"], l.Items[1]["total"], l.Items[1]["tags"]) {
			t.Errorf("%s: got %v", title, l.Items)
		}
	}
	for format, want := range map[string]string{"json": "[", "ndjson": "{"} {
		if a := c.call("pb_export_records", `{"collection":"posts","format":"`+format+`"}`); a.refused || !strings.HasPrefix(a.text, want) {
			t.Errorf("got %s", a.text)
		}
	}
	o := s.options()
	o.MaxBytes = 1024
	serve(t, open(t, o)).deny("more than 1024 bytes", "pb_export_records", `{"collection":"posts","format":"json"}`)
}

func TestPbCollections(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.options()
	o.Collections = append(o.Collections, pbtool.Collection{Name: "users"})
	c := serve(t, open(t, o))
	var l struct{ Collections []string }
	if c.ok("pb_list_collections", `{}`, &l); len(l.Collections) != 3 || l.Collections[2] != "users: auth" {
		t.Errorf("got %+v", l)
	}
	var out struct {
		Collection struct {
			Fields []map[string]any
			Rules  map[string]string
		}
	}
	c.ok("pb_describe_collection", `{"collection":"posts"}`, &out)
	if d := out.Collection; d.Rules["update"] != "who fulfils: author = @request.auth.id" || len(d.Fields) != 15 || d.Fields[0]["primaryKey"] != true {
		t.Errorf("got %+v", out)
	}
	c.ok("pb_describe_collection", `{"collection":"comments"}`, &out)
	if d := out.Collection; d.Rules["list"] != "everyone, guests included" || d.Fields[2]["collection"] != "posts" {
		t.Errorf("got %+v", out)
	}
	if a := c.call("pb_describe_collection", `{"collection":"users"}`); strings.Contains(a.text, `"name":"tokenKey"`) || strings.Contains(a.text, `"password"`) || !strings.Contains(a.text, "every account can sign in") {
		t.Errorf("got %s", a.text)
	}
	k := s.collection("comments")
	k.Fields.Add(&core.NumberField{Name: "stars", Min: types.Pointer(0.0), Max: types.Pointer(5.0)}, &core.NumberField{Name: "debt", Max: types.Pointer(0.0)}, &core.NumberField{Name: "free"})
	if err := s.app.Save(k); err != nil {
		t.Fatal(err)
	}
	if a := c.call("pb_describe_collection", `{"collection":"comments"}`); !strings.Contains(a.text, `{"name":"stars","type":"number","min":0,"max":5},{"name":"debt","type":"number","max":0},{"name":"free","type":"number"}`) {
		t.Errorf("a bound of 0 is one: %s", a.text)
	}
	c.deny("may not be used", "pb_describe_collection", `{"collection":"vault"}`)
	c.deny("may not be used", "pb_describe_collection", `{"collection":"_superusers"}`)
	o.Collections = nil
	o2 := o
	client := open(t, o2)
	all := serve(t, client)
	for _, path := range []string{"_externalAuths_via_recordRef.provider", "author._otps_via_recordRef.id"} {
		all.deny("may not lead", "pb_list_records", `{"collection":"users","where":[{"field":"`+path+`","op":"eq","value":"x"}]}`)
		all.deny("may not lead", "pb_list_records", `{"collection":"users","sort":["-`+path+`"]}`)
	}
	for _, name := range []string{"_superusers", "_SUPERUSERS", "pbc_3142635823", "PBC_3142635823", "_otps"} {
		if _, err := client.List(t.Context(), name, pbtool.Query{}); err == nil || !strings.Contains(err.Error(), "PocketBase's own") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
