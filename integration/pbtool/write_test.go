//go:build !race

package pbtool

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

type recorded struct{ Record map[string]any }

func TestPbCreateRecord(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := serve(t, open(t, s.options()))
	var out recorded
	c.ok("pb_create_record", `{"collection":"posts","data":{"title":"new","total":1.5,"tags":["red","blue"],"author":"`+s.ann.Id+`"}}`, &out)
	r, err := s.app.FindRecordById("posts", fmt.Sprint(out.Record["id"]))
	if err != nil || r.GetString("title") != "new" || r.GetFloat("total") != 1.5 || len(r.GetStringSlice("tags")) != 2 {
		t.Fatalf("got %v, %v", out, err)
	}
	var copied recorded
	c.ok("pb_create_record", `{"collection":"posts","copy_of":"`+r.Id+`","data":{"title":"copy"}}`, &copied)
	if copied.Record["total"] != 1.5 || copied.Record["title"] != "copy" || copied.Record["id"] == r.Id || copied.Record["author"] != s.ann.Id {
		t.Errorf("got %v", copied)
	}
	if len(c.asked) != 0 {
		t.Errorf("a person was asked: %v", c.asked)
	}
	n := s.count("posts")
	c.deny("title: is required", "pb_create_record", `{"collection":"posts","data":{"total":1}}`)
	c.deny("may not be set", "pb_create_record", `{"collection":"posts","data":{"title":"x","secret":"x"}}`)
	c.deny("may not be set", "pb_create_record", `{"collection":"posts","data":{"title":"x","tags+":"x"}}`)
	c.deny("may not be set", "pb_create_record", `{"collection":"posts","data":{"title":"x","id":"x"}}`)
	c.deny("may not be used", "pb_create_record", `{"collection":"users","data":{"email":"x@example.com","password":"12345678","passwordConfirm":"12345678"}}`)
	c.deny("may not be used", "pb_create_record", `{"collection":"_superusers","data":{"email":"x@example.com"}}`)
	if got := s.count("posts"); got != n {
		t.Errorf("%d records were made", got-n)
	}
}

func TestPbUpdateRecord(t *testing.T) {
	t.Parallel()
	s := start(t)
	post := s.save("posts", map[string]any{"title": "old", "total": 1, "tags": []string{"red"}, "author": s.ann.Id})
	others := s.save("posts", map[string]any{"title": "bob's", "author": s.bob.Id})
	c := serve(t, open(t, s.options()))
	var out recorded
	c.ok("pb_update_record", `{"collection":"posts","id":"`+post.Id+`","set":{"title":"new"},"add":{"tags":["blue"],"total":5},"if_updated":"`+post.GetString("updated")+`"}`, &out)
	if out.Record["title"] != "new" || out.Record["total"] != 6.0 || fmt.Sprint(out.Record["tags"]) != "[red blue]" {
		t.Errorf("got %v", out)
	}
	if len(c.asked) != 1 || !strings.Contains(c.asked[0], `title = "new"`) || !strings.Contains(c.asked[0], `title = "old"`) {
		t.Errorf("a person was asked %q", c.asked)
	}
	c.ok("pb_update_record", `{"collection":"posts","id":"`+post.Id+`","remove":{"tags":["red"]}}`, &out)
	if fmt.Sprint(out.Record["tags"]) != "[blue]" {
		t.Errorf("got %v", out)
	}
	c.deny("was changed since", "pb_update_record", `{"collection":"posts","id":"`+post.Id+`","set":{"title":"newer"},"if_updated":"`+post.GetString("updated")+`"}`)
	c.deny("there is no such record", "pb_update_record", `{"collection":"posts","id":"`+others.Id+`","set":{"title":"mine"}}`)
	c.deny("may not be set", "pb_update_record", `{"collection":"posts","id":"`+post.Id+`","set":{"title+":"x"}}`)
	c.deny("at least one", "pb_update_record", `{"collection":"posts","id":"`+post.Id+`"}`)
	c.approve = func(mcpsec.Question) bool { return false }
	c.deny("", "pb_update_record", `{"collection":"posts","id":"`+post.Id+`","set":{"title":"unwanted"}}`)
	// Where old values are kept nobody is asked.
	if r, err := s.app.FindRecordById("posts", post.Id); err != nil || r.GetString("title") != "new" {
		t.Errorf("got %v, %v", r, err)
	}
	o := s.options()
	o.Overwrite = mcpsec.Write
	free := serve(t, open(t, o))
	if free.ok("pb_update_record", `{"collection":"posts","id":"`+post.Id+`","set":{"title":"kept"}}`, &out); len(free.asked) != 0 || out.Record["title"] != "kept" {
		t.Errorf("asked %v, got %v", free.asked, out)
	}
}

func TestPbDeleteRecord(t *testing.T) {
	t.Parallel()
	s := start(t)
	post := s.save("posts", map[string]any{"title": "old", "author": s.ann.Id})
	kept := s.save("posts", map[string]any{"title": "kept", "author": s.ann.Id})
	c := serve(t, open(t, s.options()))
	c.deny("was changed since", "pb_delete_record", `{"collection":"posts","id":"`+kept.Id+`","if_updated":"2020-01-01 00:00:00.000Z"}`)
	c.ok("pb_delete_record", `{"collection":"posts","id":"`+post.Id+`"}`, nil)
	if n := s.count("posts"); n != 1 || len(c.asked) != 1 || !strings.Contains(c.asked[0], `title = "old"`) {
		t.Errorf("%d are left, asked %q", n, c.asked)
	}
	c.deny("there is no such record", "pb_delete_record", `{"collection":"posts","id":"`+post.Id+`"}`)
	// What a person has seen is what is deleted, or they are asked again.
	c.asked = nil
	c.approve = func(mcpsec.Question) bool {
		if len(c.asked) > 1 {
			return false
		}
		kept.Set("title", "changed meanwhile")
		return s.app.Save(kept) == nil
	}
	c.deny("", "pb_delete_record", `{"collection":"posts","id":"`+kept.Id+`"}`)
	if len(c.asked) != 2 || !strings.Contains(c.asked[1], "changed meanwhile") {
		t.Errorf("asked %q", c.asked)
	}
	c.approve = func(mcpsec.Question) bool { return false }
	c.deny("", "pb_delete_record", `{"collection":"posts","id":"`+kept.Id+`"}`)
	if n := s.count("posts"); n != 1 {
		t.Errorf("%d are left, want 1", n)
	}
	o := s.options()
	o.Waive = []mcpsec.Waiver{insecure.Unconfirmed("a test")}
	free := serve(t, open(t, o))
	free.ok("pb_delete_record", `{"collection":"posts","id":"`+kept.Id+`"}`, nil)
	if n := s.count("posts"); n != 0 || len(free.asked) != 0 {
		t.Errorf("%d are left, asked %q", n, free.asked)
	}
}

func TestPbValidateRecord(t *testing.T) {
	t.Parallel()
	s := start(t)
	post := s.save("posts", map[string]any{"title": "unique one", "author": s.ann.Id})
	others := s.save("posts", map[string]any{"title": "bob's", "author": s.bob.Id})
	c := serve(t, open(t, s.options()))
	type out struct {
		Valid  bool
		Errors []string
	}
	for args, want := range map[string]string{
		`{"collection":"posts","data":{"title":"fine"}}`:                               "{true []}",
		`{"collection":"posts","data":{"total":1}}`:                                    "{false [title is required]}",
		`{"collection":"posts","data":{"title":"x","total":"many","tags":["pink"]}}`:   "{false [tags is not valid (validation_invalid_value)]}",
		`{"collection":"posts","data":{"title":"unique one"}}`:                         "{false [title must be unique, and another record has this value]}",
		`{"collection":"posts","data":{"title":"x","author":"nobody000000000"}}`:       "{false [author names a record that there is not]}",
		`{"collection":"posts","id":"` + post.Id + `","data":{"title":"fine"}}`:        "{true []}",
		`{"collection":"posts","id":"` + post.Id + `","data":{"title":""}}`:            "{false [title is required]}",
		`{"collection":"posts","id":"` + post.Id + `","data":{"title":"` + "x" + `"}}`: "{true []}",
	} {
		var got out
		if c.ok("pb_validate_record", args, &got); fmt.Sprint(got) != want {
			t.Errorf("%s: got %v, want %s", args, got, want)
		}
	}
	c.deny("there is no such record", "pb_validate_record", `{"collection":"posts","id":"`+others.Id+`","data":{"title":"fine"}}`)
	if r, err := s.app.FindRecordById("posts", post.Id); err != nil || r.GetString("title") != "unique one" || s.count("posts") != 2 {
		t.Errorf("something was kept: %v, %v", r, err)
	}
	s.app.Settings().Batch.Enabled = false
	c.deny("batch API is off", "pb_validate_record", `{"collection":"posts","data":{"title":"fine"}}`)
}

func TestPbBatch(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := s.save("posts", map[string]any{"title": "first", "author": s.ann.Id})
	second := s.save("posts", map[string]any{"title": "second", "author": s.ann.Id})
	c := serve(t, open(t, s.options()))
	var out struct{ IDs []string }
	c.ok("pb_batch", `{"requests":[{"op":"create","collection":"posts","data":{"title":"new"}},{"op":"update","collection":"posts","id":"`+first.Id+`","data":{"title":"changed"}},`+
		`{"op":"delete","collection":"posts","id":"`+second.Id+`"},{"op":"upsert","collection":"comments","id":"abcdefghijklmno","data":{"text":"put"}}]}`, &out)
	if len(out.IDs) != 4 || out.IDs[2] != second.Id || out.IDs[3] != "abcdefghijklmno" || s.count("posts") != 2 {
		t.Errorf("got %+v", out)
	}
	if len(c.asked) != 1 || !strings.Contains(c.asked[0], "1 deletes, 1 updates, 1 upserts: creates posts (title = \"new\"), updates posts "+first.Id+" (title = \"changed\"), deletes posts "+second.Id) {
		t.Errorf("asked %q", c.asked)
	}
	// All or nothing.
	c.deny("PocketBase refuses", "pb_batch", `{"requests":[{"op":"create","collection":"posts","data":{"title":"lost"}},{"op":"delete","collection":"posts","id":"`+first.Id+`"},{"op":"create","collection":"posts","data":{"total":1}}]}`)
	if s.count("posts") != 2 {
		t.Error("a part was kept")
	}
	for _, r := range []string{
		`{"op":"delete","collection":"posts"}`, `{"op":"delete","collection":"posts","id":".."}`, `{"op":"update","collection":"posts","id":"a/b","data":{"title":"x"}}`, `{"op":"upsert","collection":"posts","data":{"title":"x"}}`,
		`{"op":"upsert","collection":"posts","id":"a?b","data":{"title":"x"}}`, `{"op":"create","collection":"posts","id":"abc","data":{"title":"x"}}`, `{"op":"create","collection":"vault","data":{"note":"x"}}`,
		`{"op":"delete","collection":"users","id":"` + s.bob.Id + `"}`, `{"op":"update","collection":"posts","id":"` + first.Id + `","data":{"title+":"x"}}`, `{"op":"sql","collection":"posts"}`,
	} {
		c.deny("", "pb_batch", `{"requests":[`+r+`]}`)
	}
	c.deny("a delete needs an id", "pb_batch", `{"requests":[{"op":"delete","collection":"posts","id":"a/b"}]}`)
	c.deny("51 records", "pb_batch", `{"requests":[`+strings.Repeat(`{"op":"create","collection":"posts","data":{"title":"x"}},`, 50)+`{"op":"create","collection":"posts","data":{"title":"x"}}]}`)
}

func TestPbDeleteRecords(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(60)
	c := serve(t, open(t, s.options()))
	var out struct{ Deleted int }
	c.ok("pb_delete_records", `{"collection":"posts","where":[{"field":"total","op":"eq","value":3}]}`, &out)
	if out.Deleted != 6 || s.count("posts") != 54 || len(c.asked) != 1 || !strings.Contains(c.asked[0], "deletes 6 records of posts") {
		t.Errorf("got %+v, %d are left, asked %q", out, s.count("posts"), c.asked)
	}
	c.deny("54 records", "pb_delete_records", `{"collection":"posts","where":[{"field":"total","op":"ge","value":0}]}`)
	c.deny("", "pb_delete_records", `{"collection":"posts","where":[]}`)
	c.deny("", "pb_delete_records", `{"collection":"posts"}`)
	// Others that are as many are not what was confirmed.
	s.save("posts", many(15, map[string]any{"total": 100, "author": s.ann.Id})...)
	c.asked = nil
	c.approve = func(mcpsec.Question) bool {
		if len(c.asked) > 1 {
			return false
		}
		s.swap("posts", "total = 100")
		return true
	}
	c.deny("", "pb_delete_records", `{"collection":"posts","where":[{"field":"total","op":"eq","value":100}]}`)
	if len(c.asked) != 2 || c.asked[0] == c.asked[1] {
		t.Errorf("asked %q", c.asked)
	}
	// Nor are those that come between the last look and the deletion.
	c.approve = nil
	lists := 0
	s.hook(func(r *http.Request) {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/posts/records") {
			if lists++; lists == 3 {
				s.swap("posts", "total = 100")
			}
		}
	})
	c.deny("have changed", "pb_delete_records", `{"collection":"posts","where":[{"field":"total","op":"eq","value":100}]}`)
	s.hook(nil)
	c.ok("pb_delete_records", `{"collection":"posts","where":[{"field":"total","op":"eq","value":100}]}`, &out)
	// One that the rules do not let go keeps all.
	s.save("posts", map[string]any{"title": "bob's", "total": 5, "author": s.bob.Id})
	c.deny("changed nothing", "pb_delete_records", `{"collection":"posts","where":[{"field":"total","op":"eq","value":5}]}`)
	if n := s.count("posts"); n != 55 || out.Deleted != 15 {
		t.Errorf("%d are left, want 55", n)
	}
}

// many is n records that are alike but for their titles.
func many(n int, values map[string]any) (out []map[string]any) {
	for i := range n {
		r := maps.Clone(values)
		r["title"] = fmt.Sprint("many ", i)
		out = append(out, r)
	}
	return out
}

// swap puts another record in the place of the last one that a filter finds.
func (s *server) swap(collection, filter string) {
	s.t.Helper()
	found, err := s.app.FindRecordsByFilter(collection, filter, "-id", 1, 0)
	if err != nil || len(found) != 1 {
		s.t.Error(err)
		return
	}
	another := s.newRecord(collection, map[string]any{"id": "zz" + found[0].Id[2:], "title": "another", "total": found[0].Get("total"), "author": found[0].Get("author")})
	if another.Id == found[0].Id {
		another.Set("id", "zy"+found[0].Id[2:])
	}
	for _, err := range []error{s.app.Delete(found[0]), s.app.Save(another)} {
		if err != nil {
			s.t.Error(err)
		}
	}
}

// What may be written, and what may be deleted, is said of each collection.
func TestDeleteIsListed(t *testing.T) {
	t.Parallel()
	s := start(t)
	post := s.save("posts", map[string]any{"title": "x", "author": s.ann.Id})
	o := s.options()
	o.Collections = []pbtool.Collection{{Name: "posts", Delete: true}, {Name: "comments", Write: []string{"text"}}}
	c := serve(t, open(t, o))
	comment := s.save("comments", map[string]any{"text": "x", "post": post.Id})
	c.deny("may only be read", "pb_create_record", `{"collection":"posts","data":{"title":"y"}}`)
	c.deny("may only be read", "pb_update_record", `{"collection":"posts","id":"`+post.Id+`","set":{"title":"y"}}`)
	c.deny("may only be read", "pb_batch", `{"requests":[{"op":"upsert","collection":"posts","id":"`+post.Id+`","data":{"title":"y"}}]}`)
	c.deny("may not be deleted", "pb_delete_record", `{"collection":"comments","id":"`+comment.Id+`"}`)
	c.deny("may not be deleted", "pb_batch", `{"requests":[{"op":"delete","collection":"comments","id":"`+comment.Id+`"}]}`)
	c.deny("may not be deleted", "pb_delete_records", `{"collection":"comments","where":[{"field":"text","op":"eq","value":"x"}]}`)
	if s.count("comments") != 1 || s.count("posts") != 1 {
		t.Error("something was changed")
	}
}

// However long and odd what is to be changed is, a person can be asked about it.
func TestQuestionsFit(t *testing.T) {
	t.Parallel()
	s := start(t)
	long := strings.Repeat("\u202e\U0001F600\"\\", 1000)
	post := s.save("posts", map[string]any{"title": long, "body": long + long, "data": map[string]string{long: long}, "author": s.ann.Id})
	c := serve(t, open(t, s.options()))
	raw, err := json.Marshal(long)
	if err != nil {
		t.Fatal(err)
	}
	v := string(raw)
	id := `"id":"` + post.Id + `"`
	c.ok("pb_update_record", `{"collection":"posts",`+id+`,"set":{"title":`+v+`,"body":`+v+`,"data":{"a":`+v+`}},"add":{"total":1}}`, nil)
	batch := strings.Repeat(`{"op":"create","collection":"posts","data":{"title":`+v+`,"body":`+v+`,"author":"`+s.ann.Id+`"}},`, 10)
	c.ok("pb_batch", `{"requests":[`+batch+`{"op":"update","collection":"posts",`+id+`,"data":{"body":"x"}}]}`, nil)
	where := `{"field":"body","op":"ne","value":"` + strings.Repeat("\u200b", 100) + `","or":[` + strings.Repeat(`{"field":"body","op":"ne","value":"`+strings.Repeat("x", 100)+`"},`, 3) + `{"field":"id","op":"eq","value":"x"}]}`
	c.ok("pb_delete_records", `{"collection":"posts","where":[`+where+`,`+where+`,`+where+`,{"field":"id","op":"ne","value":"`+post.Id+`"}]}`, nil)
	c.ok("pb_delete_record", `{"collection":"posts",`+id+`}`, nil)
	if n := s.count("posts"); n != 0 || len(c.asked) != 4 {
		t.Errorf("%d are left, asked %d times", n, len(c.asked))
	}
	if !strings.Contains(c.asked[0], "(4000 characters)") {
		t.Errorf("a person does not see how much is cut: %s", c.asked[0])
	}
	for _, q := range c.asked {
		if len(q) > 4000 || !strings.Contains(q, "[state ") {
			t.Errorf("a question of %d bytes: %s", len(q), q)
		}
	}
}

func TestPbImportRecords(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := serve(t, open(t, s.options()))
	for format, text := range map[string]string{
		"csv":    "title,total,tags\n\"a, b\",1.5,\"[\"\"red\"\",\"\"blue\"\"]\"\nsecond,,\n",
		"json":   `[{"title":"a, b","total":1.5,"tags":["red","blue"]},{"title":"second"}]`,
		"ndjson": "{\"title\":\"a, b\",\"total\":1.5,\"tags\":[\"red\",\"blue\"]}\n{\"title\":\"second\"}\n",
	} {
		raw, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		var out struct {
			Created int
			IDs     []string
		}
		c.ok("pb_import_records", `{"collection":"posts","format":"`+format+`","text":`+string(raw)+`}`, &out)
		r, err := s.app.FindRecordById("posts", out.IDs[0])
		if out.Created != 2 || err != nil || r.GetString("title") != "a, b" || r.GetFloat("total") != 1.5 || len(r.GetStringSlice("tags")) != 2 {
			t.Errorf("%s: got %+v, %v, %v", format, out, r, err)
		}
	}
	n := s.count("posts")
	for _, tc := range [][3]string{
		{"csv", "title\nfine\n\"\"\"", "is no CSV"}, {"csv", "title,title\na,b\n", "twice"}, {"csv", "", ""}, {"csv", "title\n", "no records"}, {"csv", "title,secret\na,b\n", "may not be set"}, {"csv", "title\na,b\n", "cells"},
		{"json", `{"title":"x"}`, "must be objects"}, {"json", `[{"title":"x"},1]`, "must be objects"}, {"json", `[{"title":"x"}] x`, "must be objects"}, {"json", `[{"title":"x","title":"y"}]`, "must be objects"},
		{"ndjson", "{\"title\":\"x\"}\n[]", "must be objects"}, {"ndjson", "{\"title\":\"x\"", "must be objects"},
		{"csv", "title,total\nfine,1\n,2\n", "title: is required"}, {"csv", "title\n" + strings.Repeat("x\n", 51), "more than 50"},
	} {
		raw, err := json.Marshal(tc[1])
		if err != nil {
			t.Fatal(err)
		}
		c.deny(tc[2], "pb_import_records", `{"collection":"posts","format":"`+tc[0]+`","text":`+string(raw)+`}`)
	}
	if got := s.count("posts"); got != n {
		t.Errorf("%d records of refused documents were kept", got-n)
	}
}
