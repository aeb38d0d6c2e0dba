//go:build !race

// Under the race detector its SQLite alone takes a minute to compile.

package pocketbase

import (
	"errors"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations"
	"github.com/pocketbase/pocketbase/tools/types"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/auth"
)

// start runs a PocketBase with its collections users and _superusers, and one
// more of users, clerks.
func start(t *testing.T) (*core.BaseApp, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pocketbase") // t.TempDir would fail if PocketBase is late with a file
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: dir})
	clerks := core.NewAuthCollection("clerks")
	for _, step := range []func() error{
		app.Bootstrap, app.RunAllMigrations, app.ReloadCachedCollections, func() error { return app.Save(clerks) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = app.ResetBootstrapState() })
	router, err := apis.NewRouter(app)
	if err != nil {
		t.Fatal(err)
	}
	mux, err := router.BuildMux()
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	return app, web.URL
}

func newRecord(t *testing.T, app core.App, collection, email string) *core.Record {
	t.Helper()
	c, err := app.FindCollectionByNameOrId(collection)
	if err != nil {
		t.Fatal(err)
	}
	r := core.NewRecord(c)
	r.SetEmail(email)
	r.SetRandomPassword()
	if err := app.Save(r); err != nil {
		t.Fatal(err)
	}
	return r
}

func verifier(t *testing.T, url string) mcpsec.TokenVerifier {
	t.Helper()
	v, err := auth.PocketBase(auth.PocketBaseOptions{URL: url, Collection: "users", MaxAge: time.Nanosecond,
		Scopes: func(record map[string]any) []string {
			if record["verified"] == true {
				return []string{"orders:read"}
			}
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func deny(t *testing.T, v mcpsec.TokenVerifier, what, token string) {
	t.Helper()
	p, err := v(t.Context(), token)
	if !errors.Is(err, mcpsec.ErrInvalidToken) || p.ID != "" {
		t.Errorf("%s: got %v and %v, want that it is not valid", what, p, err)
	}
}

func token(t *testing.T, issue func() (string, error)) string {
	t.Helper()
	text, err := issue()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Tokens of a real server: whose count, what scopes they give, and when they
// end.
func TestPocketBaseTokens(t *testing.T) {
	t.Parallel()
	app, url := start(t)
	v := verifier(t, url)
	ann := newRecord(t, app, "users", "ann@example.com")
	id := url + "|users/" + ann.Id

	good := token(t, ann.NewAuthToken)
	if p, err := v(t.Context(), good); err != nil || p.ID != id || p.Scopes != nil {
		t.Errorf("got %+v and %v, want %s without scopes", p, err, id)
	}
	ann.SetVerified(true)
	if err := app.Save(ann); err != nil {
		t.Fatal(err)
	}
	static := token(t, func() (string, error) { return ann.NewStaticAuthToken(time.Minute) })
	for _, text := range []string{good, static} {
		if p, err := v(t.Context(), text); err != nil || p.ID != id || !slices.Equal(p.Scopes, []string{"orders:read"}) {
			t.Errorf("got %+v and %v, want %s with a scope", p, err, id)
		}
	}

	clerk, root := newRecord(t, app, "clerks", "bob@example.com"), newRecord(t, app, core.CollectionNameSuperusers, "root@example.com")
	parts := strings.Split(good, ".")
	for what, text := range map[string]string{
		"another collection's": token(t, clerk.NewAuthToken),
		"a superuser's":        token(t, root.NewAuthToken),
		"for files":            token(t, ann.NewFileToken),
		"for a new password":   token(t, ann.NewPasswordResetToken),
		"for verification":     token(t, ann.NewVerificationToken),
		"forged":               parts[0] + "." + strings.Split(token(t, root.NewAuthToken), ".")[1] + "." + parts[2],
		"made up":              "made-up",
	} {
		deny(t, v, what, text)
	}

	ann.RefreshTokenKey() // logged out everywhere
	if err := app.Save(ann); err != nil {
		t.Fatal(err)
	}
	deny(t, v, "revoked", good)
	deny(t, v, "revoked, static", static)
	again := token(t, ann.NewAuthToken)
	if err := app.Delete(ann); err != nil {
		t.Fatal(err)
	}
	deny(t, v, "of a user who was deleted", again)
}

// The collection's rule says who may come.
func TestPocketBaseRule(t *testing.T) {
	t.Parallel()
	app, url := start(t)
	v := verifier(t, url)
	ann := newRecord(t, app, "users", "ann@example.com")
	users := ann.Collection()
	users.AuthRule = types.Pointer("verified = true")
	if err := app.Save(users); err != nil {
		t.Fatal(err)
	}
	deny(t, v, "not verified", token(t, ann.NewAuthToken))
	ann.SetVerified(true)
	if err := app.Save(ann); err != nil {
		t.Fatal(err)
	}
	if _, err := v(t.Context(), token(t, ann.NewAuthToken)); err != nil {
		t.Error(err)
	}
}

// A server that lacks the collection is set up wrongly: no verdict.
func TestPocketBaseWithoutCollection(t *testing.T) {
	t.Parallel()
	app, url := start(t)
	ann := newRecord(t, app, "users", "ann@example.com")
	users := ann.Collection()
	good := token(t, ann.NewAuthToken)
	if err := app.Delete(users); err != nil {
		t.Fatal(err)
	}
	if _, err := verifier(t, url)(t.Context(), good); err == nil || errors.Is(err, mcpsec.ErrInvalidToken) {
		t.Errorf("got %v, want that it cannot be checked", err)
	}
}
