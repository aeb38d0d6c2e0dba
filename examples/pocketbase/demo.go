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
	{Name: "posts", Fields: []string{"title", "body", "status", "tags", "author", "author.name", "updated"}, Write: []string{"title", "body", "status", "tags", "author"}, Delete: true},
	{Name: "orders", Fields: []string{"customer", "item", "quantity", "total", "status", "placed", "updated"}, Write: []string{"customer", "item", "quantity", "status"}},
	{Name: "files", Fields: []string{"name", "owner", "file", "created"}},
}

// serveDemo serves the sample shop, in a PocketBase that ends with it. What the
// environment sets beside the server's address and accounts counts.
func serveDemo(ctx context.Context) error {
	ctx, done := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM) // what was started is stopped
	defer done()
	restore := standardError()
	url, accounts, stop, err := startShop()
	restore()
	if err != nil {
		return fmt.Errorf("starting PocketBase: %w", err)
	}
	defer stop()
	fmt.Fprintf(os.Stderr, "PocketBase runs at %s, with a shop that ends with it; the model is %s.\n", url, ann)
	list, err := json.Marshal(demoCollections)
	if err != nil {
		return err
	}
	return serve(ctx, append(accounts, prefix+"URL="+url, prefix+"TOOLS=read,write,schema", prefix+"COLLECTIONS="+string(list))...)
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

// startShop starts PocketBase with the sample shop on a port of this machine that
// is free, and returns the settings for its accounts, whose passwords nobody is
// told.
func startShop() (url string, accounts []string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "mcp-pocketbase-")
	if err != nil {
		return "", nil, nil, err
	}
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: dir})
	app.OnMailerSend().BindFunc(func(e *core.MailerEvent) error { // which would be real, by this machine's sendmail
		fmt.Fprintf(os.Stderr, "PocketBase sends no mail here: %q\n", e.Message.Subject)
		return nil
	})
	web := &http.Server{ReadHeaderTimeout: 10 * time.Second}
	stop = func() {
		err := errors.Join(web.Close(), app.ResetBootstrapState(), os.RemoveAll(dir))
		if err != nil {
			fmt.Fprintln(os.Stderr, "stopping PocketBase:", err)
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	user, superuser := passwordPrefix+rand.Text(), passwordPrefix+rand.Text()
	for _, step := range []func() error{
		app.Bootstrap, app.RunAllMigrations, app.ReloadCachedCollections,
		func() error {
			return app.RunInTransaction(func(tx core.App) error { return fill(tx, user, superuser) })
		},
	} {
		if err := step(); err != nil {
			return "", nil, nil, err
		}
	}
	url, err = listen(app, web)
	return url, []string{
		prefix + "USER_IDENTITY=" + ann, prefix + "USER_PASSWORD=" + user,
		prefix + "SUPERUSER_IDENTITY=" + root, prefix + "SUPERUSER_PASSWORD=" + superuser,
	}, stop, err
}

// listen serves PocketBase's API, without its dashboard.
func listen(app core.App, web *http.Server) (url string, err error) {
	router, err := apis.NewRouter(app)
	if err != nil {
		return "", err
	}
	if web.Handler, err = router.BuildMux(); err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	go func() {
		if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "PocketBase:", err)
		}
	}()
	return "http://" + l.Addr().String(), nil
}
