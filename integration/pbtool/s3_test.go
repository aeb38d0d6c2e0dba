//go:build !race

package pbtool

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/pocketbase/pocketbase/core"

	"github.com/mcpsec/mcpsec-go/pbtool"
)

// A storage is an S3 server in this process. It does not look at signatures.
type storage struct {
	url     string
	backend gofakes3.Backend
	down    atomic.Bool
}

func newStorage(t *testing.T) *storage {
	t.Helper()
	st := &storage{backend: s3mem.New()}
	if err := st.backend.CreateBucket("files"); err != nil {
		t.Fatal(err)
	}
	fake := gofakes3.New(st.backend).Server()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if st.down.Load() || !strings.Contains(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256") {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(web.Close)
	st.url = web.URL
	return st
}

func (st *storage) keys(t *testing.T) (out []string) {
	t.Helper()
	list, err := st.backend.ListBucket("files", nil, gofakes3.ListBucketPage{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		out = append(out, o.Key)
	}
	return out
}

// useS3 has PocketBase keep files and backups there.
func (s *server) useS3(st *storage) {
	s.t.Helper()
	settings := s.app.Settings()
	for _, c := range []*core.S3Config{&settings.S3, &settings.Backups.S3} {
		c.Enabled, c.Bucket, c.Region, c.Endpoint, c.AccessKey, c.Secret, c.ForcePathStyle = true, "files", "us-east-1", st.url, "key-"+"canary", "secret-"+"canary", true
	}
	if err := s.app.Save(settings); err != nil {
		s.t.Fatal(err)
	}
}

func TestPbTestS3(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := serve(t, open(t, s.options()))
	c.deny("does not work, or is not switched on", "pb_test_s3", `{"filesystem":"storage"}`)
	st := newStorage(t)
	s.useS3(st)
	for _, f := range []string{"storage", "backups"} {
		if got := c.text("pb_test_s3", `{"filesystem":"`+f+`"}`); got == "" {
			t.Error("no answer")
		}
	}
	if left := st.keys(t); len(left) != 0 {
		t.Errorf("the test has left %q", left)
	}
	c.deny("", "pb_test_s3", `{"filesystem":"../x"}`)
	st.down.Store(true)
	c.deny("does not work, or is not switched on", "pb_test_s3", `{"filesystem":"backups"}`)
	if strings.Contains(c.said.String()+c.log.String(), "-canary") {
		t.Error("a key has left")
	}
}

// Files and backups are what they are where PocketBase keeps them in S3.
func TestPbFilesInS3(t *testing.T) {
	t.Parallel()
	s := start(t)
	st := newStorage(t)
	s.useS3(st)
	c, dir := s.admin(t, func(*pbtool.AdminOptions) {})
	client := open(t, s.options())
	f := serveTools(t, client, "local", pbtool.FileTools(client), pbtool.RecordWriteTools(client))
	post := s.save("posts", map[string]any{"title": "first", "author": s.ann.Id})
	theirs := s.save("posts", map[string]any{"title": "theirs", "author": s.bob.Id})
	out := upload(t, f, "deed", post.Id, "deed.txt", "what was agreed")
	if keys := st.keys(t); !strings.Contains(strings.Join(keys, " "), post.Id+"/"+out.Files[0]) {
		t.Errorf("the storage holds %q, want %s", keys, out.Files[0])
	}
	if got := f.text("pb_get_file", `{"collection":"posts","id":"`+post.Id+`","field":"deed"}`); got != "what was agreed" {
		t.Errorf("got %q", got)
	}
	f.deny("there is no such record", "pb_upload_file", `{"collection":"posts","id":"`+theirs.Id+`","field":"deed","name":"x.txt","content":"`+b64("x")+`"}`)
	f.ok("pb_delete_file", `{"collection":"posts","id":"`+post.Id+`","field":"deed"}`, nil)
	f.deny("holds no such file", "pb_get_file", `{"collection":"posts","id":"`+post.Id+`","field":"deed"}`)
	c.text("pb_backup_create", `{"name":"one.zip"}`)
	c.text("pb_backup_download", `{"name":"one.zip"}`)
	if info, err := dir.Stat("one.zip"); err != nil || info.Size() < 1000 {
		t.Errorf("got %v, %v", info, err)
	}
	c.text("pb_backup_delete", `{"name":"one.zip"}`)
	if strings.Contains(strings.Join(st.keys(t), " "), "one.zip") {
		t.Error("the backup is there")
	}
	st.down.Store(true)
	f.deny("", "pb_upload_file", `{"collection":"posts","id":"`+post.Id+`","field":"papers","name":"x.txt","content":"`+b64("x")+`"}`)
	if r, err := s.app.FindRecordById("posts", post.Id); err != nil || len(r.GetStringSlice("papers")) != 0 {
		t.Errorf("a record names a file that was not kept: %v, %v", r, err)
	}
	if strings.Contains(c.said.String()+c.log.String()+f.said.String()+f.log.String(), "-canary") {
		t.Error("a key has left")
	}
}
