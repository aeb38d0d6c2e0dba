package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fatih/color"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations" // makes its own collections

	"github.com/mcpsec/mcpsec-go/pbtool"
)

// demoCollections are what the demo lets a model use, and how.
var demoCollections = []pbtool.Collection{
	{Name: "users", Fields: []string{"name"}},
	{Name: "goods"},
	{Name: "posts", Fields: []string{"title", "body", "status", "tags", "author", "author.name", "updated"}, Write: []string{"title", "body", "status", "tags", "author"}, Delete: true},
	{Name: "orders", Fields: []string{"customer", "item", "quantity", "total", "status", "placed", "updated"}, Write: []string{"customer", "item", "quantity", "status"}},
	{Name: "files", Fields: []string{"name", "owner", "file", "created"}, Write: []string{"name", "owner", "file"}},
	{Name: "reviews", Write: []string{"author", "item", "words"}},
}

// demo are the settings for the shop: its customer ann, all sets of tools, and posts
// that the operator may open to everyone.
func (s *shop) demo() ([]string, error) {
	list, err := json.Marshal(demoCollections)
	return append(s.accounts(),
		prefix+"URL="+s.url, prefix+"TOOLS=read,write,files,auth,schema,schema-write,admin,resources,prompts",
		prefix+"COLLECTIONS="+string(list), prefix+"PUBLIC=posts"), err
}

// accounts are the settings for whom the server logs in as.
func (s *shop) accounts() []string {
	return []string{
		prefix + "USER_IDENTITY=" + ann, prefix + "USER_PASSWORD=" + s.user,
		prefix + "SUPERUSER_IDENTITY=" + root, prefix + "SUPERUSER_PASSWORD=" + s.superuser,
	}
}

// serveDemo serves the sample shop, in a PocketBase that ends with it. What the
// environment sets beside these settings counts.
func serveDemo(ctx context.Context) error {
	ctx, done := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer done()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a client that has gone ends the server's input, too
	s, err := startShop()
	if err != nil {
		return err
	}
	defer s.stop()
	fmt.Fprintf(os.Stderr, "PocketBase runs at %s, with a shop that ends with it; the model is %s.\n", s.url, ann)
	settings, err := s.demo()
	if err != nil {
		return err
	}
	return serve(ctx, settings...)
}

// standardError has PocketBase print there, because standard output is the
// client's. From Run on, the server sees to that.
func standardError() (restore func()) {
	out := os.Stdout
	os.Stdout, color.Output = os.Stderr, os.Stderr
	return func() { os.Stdout = out } // what is printed in colour stays where it is
}

// passwordPrefix makes passwords easy to look for where they must not be.
const passwordPrefix = "demo-"

// A shop is the sample shop, in a PocketBase on a free port of this machine. Nobody
// is told its passwords.
type shop struct {
	app             core.App
	web             http.Server
	dir, url        string
	user, superuser string      // passwords: of ann and ben, and of root
	down            atomic.Bool // while PocketBase restarts
}

// startShop starts a shop, to be stopped.
func startShop() (s *shop, err error) {
	defer standardError()()
	s = &shop{user: passwordPrefix + rand.Text(), superuser: passwordPrefix + rand.Text()}
	if s.dir, err = os.MkdirTemp("", "mcp-pocketbase-"); err != nil {
		return nil, err
	}
	s.app, s.web.ReadHeaderTimeout = core.NewBaseApp(core.BaseAppConfig{DataDir: s.dir}), 10*time.Second
	s.app.OnTerminate().BindFunc(s.restart)
	s.app.OnMailerSend().BindFunc(func(e *core.MailerEvent) error { // which would be real, by this machine's sendmail
		fmt.Fprintf(os.Stderr, "PocketBase sends no mail here: %q\n", e.Message.Subject)
		return nil
	})
	for _, step := range []func() error{
		s.app.Bootstrap, s.app.RunAllMigrations, s.app.ReloadCachedCollections,
		func() error {
			return s.app.RunInTransaction(func(tx core.App) error { return fill(tx, s.user, s.superuser) })
		},
		s.listen,
	} {
		if err := step(); err != nil {
			s.stop()
			return nil, fmt.Errorf("starting PocketBase: %w", err)
		}
	}
	return s, nil
}

func (s *shop) stop() {
	if err := errors.Join(s.web.Close(), s.app.ResetBootstrapState(), os.RemoveAll(s.dir)); err != nil {
		fmt.Fprintln(os.Stderr, "stopping PocketBase:", err)
	}
}

// restart is what PocketBase does after a backup was restored. It would begin this
// program anew, which is more than PocketBase here: so it is away for a moment, and
// reads everything again.
func (s *shop) restart(e *core.TerminateEvent) error {
	if !e.IsRestart {
		return e.Next()
	}
	s.down.Store(true)
	defer s.down.Store(false)
	time.Sleep(200 * time.Millisecond) // so that whoever waits for it sees it
	return errors.Join(e.App.ResetBootstrapState(), e.App.Bootstrap())
}

// listen serves PocketBase's API, without its dashboard.
func (s *shop) listen() error {
	router, err := apis.NewRouter(s.app)
	if err != nil {
		return err
	}
	mux, err := router.BuildMux()
	if err != nil {
		return err
	}
	s.web.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.down.Load() {
			panic(http.ErrAbortHandler)
		}
		mux.ServeHTTP(w, r)
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.url = "http://" + l.Addr().String()
	go func() {
		if err := s.web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "PocketBase:", err)
		}
	}()
	return nil
}
