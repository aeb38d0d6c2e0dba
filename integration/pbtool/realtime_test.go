//go:build !race

package pbtool

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/tools/types"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/pbtool"
)

const ofPosts = `"uri":"pb://collection/posts"`

func (s *session) watch(method, collection string) string {
	s.t.Helper()
	return string(s.Request("resources/"+method, `{"uri":"pb://collection/`+collection+`"}`))
}

// settled waits until the server has n connections for subscriptions.
func (s *server) settled(n int) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); s.app.SubscriptionsBroker().TotalClients() != n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("there are %d connections, want %d", s.app.SubscriptionsBroker().TotalClients(), n)
		}
	}
}

// A subscriber is told of what its user may list, and of nothing else; the
// connection ends with the subscription, and with the session.
func TestPbCollectionIsWatched(t *testing.T) {
	t.Parallel()
	s := start(t)
	posts, err := s.app.FindCollectionByNameOrId("posts")
	if err != nil {
		t.Fatal(err)
	}
	posts.ListRule = types.Pointer("author = @request.auth.id && @request.auth.id != ''")
	if err := s.app.Save(posts); err != nil {
		t.Fatal(err)
	}
	c := serve(t, open(t, s.options()))
	o := s.options()
	o.As = func(context.Context, mcpsec.Principal) (pbtool.User, error) {
		return pbtool.User{Collection: "users", ID: s.bob.Id}, nil
	}
	bobs := serve(t, open(t, o))
	c.watch("subscribe", "posts")
	bobs.watch("subscribe", "posts")
	c.until(ofPosts)                // nobody knows what was before
	c.watch("subscribe", "%70osts") // is the same, as written
	c.until(`"uri":"pb://collection/%70osts"`)
	c.watch("unsubscribe", "%70osts")
	bobs.until(ofPosts)
	post := s.save("posts", map[string]any{"title": "canary" + "title", "author": s.ann.Id})
	if got := c.until(ofPosts); strings.Contains(got, "title") || strings.Contains(got, post.Id) {
		t.Errorf("got %s", got)
	}
	bobs.quiet("told of a record that its user may not list")
	post.Set("total", 7)
	if err := s.app.Save(post); err != nil {
		t.Fatal(err)
	}
	c.until(ofPosts)
	if err := s.app.Delete(post); err != nil {
		t.Fatal(err)
	}
	c.until(ofPosts)
	// Many changes are few notifications, also to a client that reads.
	saved := make(chan struct{})
	go func() {
		defer close(saved)
		for i := range 200 {
			s.save("posts", map[string]any{"title": fmt.Sprint(i), "author": s.ann.Id})
		}
	}()
	began, n := time.Now(), 0
	for saving := true; saving; n++ {
		c.until(ofPosts)
		select {
		case <-saved:
			saving = false
		default:
		}
	}
	if most := int(time.Since(began)/(100*time.Millisecond)) + 2; n > most {
		t.Errorf("%d notifications of 200 changes, want at most %d", n, most)
	}
	s.settled(2)
	c.watch("unsubscribe", "posts")
	s.settled(1)
	_ = bobs.Conn.Close()
	s.settled(0)
	if c.log.String() == "" || strings.Contains(c.log.String(), "canarytitle") {
		t.Error("a record is in the log")
	}
}

// What may not be used is not watched, and a principal does not watch without end.
func TestPbCollectionIsBounded(t *testing.T) {
	t.Parallel()
	s := start(t)
	o := s.options()
	for i := range 25 {
		o.Collections = append(o.Collections, pbtool.Collection{Name: fmt.Sprint("more", i)})
	}
	c := serve(t, open(t, o))
	for _, name := range []string{"vault", "users", "_superusers", "x%2Fy", "..", "posts?x"} {
		if got := c.watch("subscribe", name); !strings.Contains(got, `"error"`) {
			t.Errorf("%s: got %s", name, got)
		}
		if got := c.watch("read", name); !strings.Contains(got, `"error"`) {
			t.Errorf("%s: got %s", name, got)
		}
	}
	refused := 0
	for i := range 25 {
		if got := c.watch("subscribe", fmt.Sprint("more", i)); strings.Contains(got, "too many") {
			refused++
		} else {
			s.settled(i + 1)
		}
	}
	if refused != 5 {
		t.Errorf("%d of 25 were refused", refused)
	}
	s.settled(20)
	// Also at once.
	c = serve(t, open(t, o))
	for i := range 25 {
		c.watch("subscribe", fmt.Sprint("more", i))
	}
	s.settled(40)
	c.Request("ping", `{}`)
	s.settled(40)
}

// A subscription comes back when PocketBase does, with one notification for what
// was missed, and the rights are the user's then.
func TestPbCollectionComesBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	serving := func() *http.Server {
		web := &http.Server{Handler: s.handler}
		go func() { _ = web.Serve(l) }()
		return web
	}
	web := serving()
	var refuse atomic.Bool
	o := s.options()
	o.URL = "http://" + addr
	as := o.As
	o.As = func(ctx context.Context, p mcpsec.Principal) (pbtool.User, error) {
		if refuse.Load() {
			return pbtool.User{}, &mcpsec.Error{Message: "no longer"}
		}
		return as(ctx, p)
	}
	c := serve(t, open(t, o))
	c.watch("subscribe", "posts")
	c.until(ofPosts)
	restart := func(missed string) {
		_ = web.Close()
		s.settled(0)
		s.save("posts", map[string]any{"title": missed, "author": s.ann.Id}) // nobody hears
		if l, err = net.Listen("tcp", addr); err != nil {
			t.Fatal(err)
		}
		web = serving()
	}
	restart("missed")
	c.until(ofPosts)
	c.quiet("more than one notification for what was missed")
	s.save("posts", map[string]any{"title": "heard", "author": s.ann.Id})
	c.until(ofPosts)
	refuse.Store(true)
	restart("not hers to know")
	c.quiet("told without the right to")
	refuse.Store(false)
	c.until(ofPosts)
	_ = web.Close()
	_ = c.Conn.Close()
}

func TestPbCollectionIsRead(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.posts(3)
	c := serve(t, open(t, s.options()))
	got := c.watch("read", "posts")
	if !strings.Contains(got, `post 002`) || strings.Contains(got, "hidden-") || !strings.Contains(got, `\"more\":false`) {
		t.Errorf("got %s", got)
	}
	if got := string(c.Request("completion/complete", `{"ref":{"type":"ref/resource","uri":"pb://collection/{name}"},"argument":{"name":"name","value":"co"}}`)); !strings.Contains(got, `"values":["comments"]`) {
		t.Errorf("got %s", got)
	}
}

// What the reference says of rules is so.
func TestPbReference(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := serve(t, open(t, s.options()))
	if got := string(c.Request("resources/read", `{"uri":"pb://reference"}`)); !strings.Contains(got, "## API rules") || len(got) > 8<<10 {
		t.Errorf("got %d bytes: %.200s", len(got), got)
	}
	posts, err := s.app.FindCollectionByNameOrId("posts")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range []string{
		`@request.auth.id != "" && author = @request.auth.id`, `author = @request.auth.id && (@request.body.author:isset = false || @request.body.author = @request.auth.id)`,
		`id = @request.auth.id && @request.body.title:isset = false`, `tags ?= "red"`, `open = true || author = @request.auth.id`, `comments_via_post.text ?~ "x" && tags:each != "x" && tags:length > 1 && title:lower = "x"`,
		`@request.body.title:changed = false && @request.context != "oauth2" && @request.headers.x_name = "" && @request.query.a = "" && @request.method = "GET"`,
		`@collection.comments:a.post = id && @collection.comments.text != "" && @request.auth.collectionName = "users"`, `geoDistance(1, 2, 3, 4) < 5 && strftime("%Y", due) = "2026" // says`,
		`due > @now && due < @todayEnd && due != @yearStart && @weekday = 1`,
	} {
		posts.UpdateRule = types.Pointer(rule)
		if err := s.app.Save(posts); err != nil {
			t.Errorf("%s: %v", rule, err)
		}
	}
	posts.ListRule = types.Pointer("author = @request.auth.id")
	if err := s.app.Save(posts); err != nil {
		t.Fatal(err)
	}
	s.save("posts", map[string]any{"title": "nobody's"})
	o := s.options()
	o.As, o.Superuser = nil, pbtool.Login{}
	var l listed
	if serve(t, open(t, o)).ok("pb_list_records", `{"collection":"posts"}`, &l); len(l.Items) != 1 {
		t.Errorf("a guest sees %d records without an author", len(l.Items))
	}
}
