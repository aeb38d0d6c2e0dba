//go:build !race

// Under the race detector PocketBase's SQLite alone takes a minute to compile.

package pbtool

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations"
	"github.com/pocketbase/pocketbase/tools/types"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

const (
	rootEmail = "root@example.com"
	annEmail  = "ann@example.com"
	bobEmail  = "bob@example.com"
	password  = "correct horse battery"
)

// A server is a PocketBase with these collections:
//
//	users     ann, bob
//	posts     title, body, total, tags[], author -> users, secret (hidden), updated, papers[], deed (protected), photo; anyone who is signed in lists them, an author writes
//	comments  text, post -> posts; anyone reads and writes
//	vault     note; superusers only
type server struct {
	t        testing.TB
	app      *core.BaseApp
	url      string
	handler  http.Handler
	ann, bob *core.Record

	mu     sync.Mutex
	mux    http.Handler          // PocketBase's
	seen   []string              // requests, as method and path
	before func(r *http.Request) // is called before each
	down   atomic.Bool           // it answers nothing
}

func start(t testing.TB) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "pbtool") // t.TempDir would fail if PocketBase is late with a file
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &server{t: t}
	s.boot(dir, s.collections, s.accounts)
	t.Cleanup(func() { _ = s.app.ResetBootstrapState() })
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Method+" "+r.URL.Path)
		before, mux := s.before, s.mux
		s.mu.Unlock()
		if before != nil {
			before(r)
		}
		if s.down.Load() {
			panic(http.ErrAbortHandler)
		}
		mux.ServeHTTP(w, r)
	})
	web := httptest.NewServer(s.handler)
	t.Cleanup(web.Close)
	s.url = web.URL
	return s
}

// boot begins a PocketBase on a directory.
func (s *server) boot(dir string, more ...func() error) {
	s.t.Helper()
	s.app = core.NewBaseApp(core.BaseAppConfig{DataDir: dir})
	for _, step := range append([]func() error{s.app.Bootstrap, s.app.RunAllMigrations, s.app.ReloadCachedCollections}, more...) {
		if err := step(); err != nil {
			s.t.Fatal(err)
		}
	}
	s.app.OnTerminate().BindFunc(s.restart)
	router, err := apis.NewRouter(s.app)
	if err != nil {
		s.t.Fatal(err)
	}
	mux, err := router.BuildMux()
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mux = mux
}

// stop ends the PocketBase as its process would: its databases are closed.
func (s *server) stop() {
	s.t.Helper()
	e := &core.TerminateEvent{App: s.app}
	if err := s.app.OnTerminate().Trigger(e, func(e *core.TerminateEvent) error { return e.App.ResetBootstrapState() }); err != nil {
		s.t.Fatal(err)
	}
}

// restart stands for what PocketBase does after a restoration: it would replace this
// process by itself, begun anew. Here it is gone for a while, and reads all from its
// directory again.
func (s *server) restart(e *core.TerminateEvent) error {
	if !e.IsRestart {
		return e.Next()
	}
	s.down.Store(true)
	defer s.down.Store(false)
	time.Sleep(300 * time.Millisecond)
	return errors.Join(e.App.ResetBootstrapState(), e.App.Bootstrap())
}

func (s *server) collections() error {
	settings := s.app.Settings()
	settings.Batch.Enabled, settings.Batch.MaxRequests = true, 50
	if err := s.app.Save(settings); err != nil {
		return err
	}
	var users *core.Collection
	for _, name := range []string{core.CollectionNameSuperusers, "users"} {
		var err error
		if users, err = s.app.FindCollectionByNameOrId(name); err != nil {
			return err
		}
		users.Fields.GetByName("password").(*core.PasswordField).Cost = 4 // the least: half of the time would be hashing
		if err = s.app.Save(users); err != nil {
			return err
		}
	}
	posts := core.NewBaseCollection("posts")
	posts.Fields.Add(
		&core.TextField{Name: "title", Required: true, Max: 5000}, &core.TextField{Name: "body", Max: 100_000}, &core.NumberField{Name: "total"}, &core.BoolField{Name: "open"},
		&core.SelectField{Name: "tags", Values: []string{"red", "green", "blue"}, MaxSelect: 3}, &core.RelationField{Name: "author", CollectionId: users.Id, MaxSelect: 1},
		&core.JSONField{Name: "data"}, &core.TextField{Name: "secret", Hidden: true}, &core.DateField{Name: "due"},
		&core.AutodateField{Name: "created", OnCreate: true}, &core.AutodateField{Name: "updated", OnCreate: true, OnUpdate: true},
	)
	posts.Fields.Add(&core.FileField{Name: "papers", MaxSelect: 3, MaxSize: 1 << 20}, &core.FileField{Name: "deed", MaxSelect: 1, Protected: true}, &core.FileField{Name: "photo", MaxSelect: 1, MimeTypes: []string{"image/png"}, Thumbs: []string{"4x4"}})
	posts.ListRule, posts.ViewRule, posts.CreateRule = types.Pointer("@request.auth.id != ''"), types.Pointer("@request.auth.id != ''"), types.Pointer("@request.auth.id != ''")
	posts.UpdateRule, posts.DeleteRule = types.Pointer("author = @request.auth.id"), types.Pointer("author = @request.auth.id")
	posts.AddIndex("idx_title", true, "title", "title LIKE 'unique%'")
	if err := s.app.Save(posts); err != nil {
		return err
	}
	comments := core.NewBaseCollection("comments")
	comments.Fields.Add(&core.TextField{Name: "text"}, &core.RelationField{Name: "post", CollectionId: posts.Id, MaxSelect: 1, CascadeDelete: true})
	comments.ListRule, comments.ViewRule, comments.CreateRule, comments.UpdateRule, comments.DeleteRule = types.Pointer(""), types.Pointer(""), types.Pointer(""), types.Pointer(""), types.Pointer("")
	if err := s.app.Save(comments); err != nil {
		return err
	}
	vault := core.NewBaseCollection("vault")
	vault.Fields.Add(&core.TextField{Name: "note"})
	return s.app.Save(vault)
}

func (s *server) accounts() error {
	root := s.newRecord(core.CollectionNameSuperusers, nil)
	root.SetEmail(rootEmail)
	root.SetPassword(password)
	s.ann, s.bob = s.newRecord("users", nil), s.newRecord("users", nil)
	s.ann.SetEmail(annEmail)
	s.bob.SetEmail(bobEmail)
	for _, r := range []*core.Record{s.ann, s.bob} {
		r.SetPassword(password)
	}
	for _, r := range []*core.Record{root, s.ann, s.bob} {
		if err := s.app.Save(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) newRecord(collection string, values map[string]any) *core.Record {
	s.t.Helper()
	c, err := s.app.FindCollectionByNameOrId(collection)
	if err != nil {
		s.t.Fatal(err)
	}
	r := core.NewRecord(c)
	r.Load(values)
	return r
}

// save stores records of one collection and returns the last one.
func (s *server) save(collection string, records ...map[string]any) *core.Record {
	s.t.Helper()
	var last *core.Record
	err := s.app.RunInTransaction(func(tx core.App) error {
		for _, values := range records {
			last = s.newRecord(collection, values)
			if err := tx.Save(last); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return last
}

func (s *server) count(collection string) int {
	s.t.Helper()
	n, err := s.app.CountRecords(collection)
	if err != nil {
		s.t.Fatal(err)
	}
	return int(n)
}

// requests returns what was asked of the server, and forgets it.
func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.seen = nil }()
	return s.seen
}

// hook has f called before each request, nil for none.
func (s *server) hook(f func(r *http.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// options are those of a client whose callers act as ann.
func (s *server) options() pbtool.Options {
	return pbtool.Options{
		URL:       s.url,
		Superuser: pbtool.Login{Identity: rootEmail, Password: redact.NewSecret(password)},
		As: func(context.Context, mcpsec.Principal) (pbtool.User, error) {
			return pbtool.User{Collection: "users", ID: s.ann.Id}, nil
		},
		Collections: []pbtool.Collection{
			{Name: "posts", Write: []string{"title", "body", "total", "open", "tags", "author", "data", "due", "papers", "deed", "photo"}, Delete: true},
			{Name: "comments", Write: []string{"text", "post"}, Delete: true},
		},
	}
}

func open(t testing.TB, o pbtool.Options) *pbtool.Client {
	t.Helper()
	c, err := pbtool.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// posts makes n posts of ann's.
func (s *server) posts(n int) {
	s.t.Helper()
	var all []map[string]any
	for i := range n {
		all = append(all, map[string]any{
			"title": fmt.Sprintf("post %03d", i), "body": strings.Repeat("x", 100), "total": i % 10, "open": i%2 == 0, "author": s.ann.Id, "secret": "hidden-" + "canary",
			"tags": []string{"red", "green", "blue"}[i%3 : i%3+1],
		})
	}
	s.save("posts", all...)
}
