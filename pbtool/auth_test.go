package pbtool

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// within calls f in a call of a principal's.
func within(t *testing.T, f func(context.Context)) {
	t.Helper()
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, mcpsec.Options{Audit: mcpsec.NewAuditLog(io.Discard), Log: slog.DiscardHandler})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "call", Description: "Call.", Effect: mcpsec.Read}, func(ctx context.Context, _ struct{}) (struct{}, error) {
		f(ctx)
		return struct{}{}, nil
	}))
	ours, theirs := net.Pipe()
	defer ours.Close()
	go srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs)
	in := bufio.NewReader(ours)
	for _, line := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}`,
		`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"call","arguments":{}}}`,
	} {
		if _, err := io.WriteString(ours, line+"\n"); err != nil {
			t.Fatal(err)
		}
		got, err := in.ReadBytes('\n')
		if err != nil || bytes.Contains(got, []byte("error")) {
			t.Fatalf("%s: %v", got, err)
		}
	}
}

// A sign-in ends after an hour, however good its token is, and whether it still is
// PocketBase is asked before.
func TestSignInEnds(t *testing.T) {
	t.Parallel()
	now := time.Now()
	refreshed, status := 0, http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "auth-refresh") {
			refreshed++
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"token":"` + jwt(t, "_pb_users_auth_", now.Add(9*24*time.Hour), true) + `","record":{"id":"aaaaaaaaaaaaaaa"}}`))
	}))
	t.Cleanup(srv.Close)
	c, err := newClient(Options{URL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	c.now = func() time.Time { return now }
	within(t, func(ctx context.Context) {
		if _, err := c.signIn(ctx, "users", "auth-with-password", map[string]any{}); err != nil {
			t.Error(err)
		}
		get := func() (string, error) {
			as, err := c.caller(ctx)
			if err != nil {
				return "", err
			}
			if as.token == nil {
				return "", errors.New("a guest")
			}
			return as.token(ctx)
		}
		if token, err := get(); err != nil || token == "" || refreshed != 0 {
			t.Errorf("got %v after %d checks", err, refreshed)
		}
		if now = now.Add(checkEvery); true {
			if token, err := get(); err != nil || token == "" || refreshed != 1 {
				t.Errorf("got %v after %d checks", err, refreshed)
			}
		}
		now, status = now.Add(checkEvery), http.StatusUnauthorized
		if token, err := get(); !errors.Is(err, errSignedOut) || token != "" {
			t.Errorf("revoked: got %v", err)
		}
		now, status = now.Add(retryAfter), http.StatusOK
		if _, err := get(); err != nil {
			t.Errorf("got %v", err)
		}
		now = now.Add(sessionTime)
		if _, err := get(); !errors.Is(err, errSignedOut) {
			t.Errorf("after an hour: got %v", err)
		}
	})
}

// A superuser's token is none to act with, and who signs in is forgotten in the end.
func TestSignInIsBounded(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"token":"` + jwt(t, superusersID, time.Now().Add(time.Hour), true) + `","record":{"id":"aaaaaaaaaaaaaaa"}}`))
	}))
	t.Cleanup(srv.Close)
	c, err := newClient(Options{URL: srv.URL})
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxVisitors {
		c.visitors[strings.Repeat("x", i)] = &visitor{session: &session{}, used: time.Unix(int64(i), 0)}
	}
	c.visitors["xxx"].session = nil
	within(t, func(ctx context.Context) {
		if _, err := c.signIn(ctx, "users", "auth-with-password", map[string]any{}); !errors.Is(err, errAnswer) {
			t.Errorf("got %v", err)
		}
	})
	if len(c.visitors) != maxVisitors {
		t.Errorf("%d are kept", len(c.visitors))
	}
	if c.visitors["xxx"] != nil || c.visitors[""] == nil {
		t.Error("who has signed in was forgotten before who has not")
	}
	if c.forgetVisitor(); c.visitors["local"] != nil && c.visitors[""] == nil {
		t.Error("who has signed in was forgotten before who has not")
	}
	delete(c.visitors, "local")
	if c.forgetVisitor(); c.visitors[""] != nil {
		t.Error("who was not seen for longest is kept")
	}
	for _, o := range []Options{{SignIn: []string{"_superusers"}}, {SignIn: []string{"pbc_3142635823"}}, {SignIn: []string{"../x"}}, {RedirectURL: "http://x.example"}, {RedirectURL: "https://a@x.example"}, {MaxFile: 5 << 20}} {
		o.URL = "https://pb.example.com"
		if _, err := newClient(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// A handle's steps are for one collection, and for some minutes.
func TestPending(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := pending{"x", "users", now.Add(time.Minute)}
	if p.good("users", now) != "x" || p.good("staff", now) != "" || p.good("users", now.Add(time.Minute)) != "" || (pending{}).good("", now) != "" {
		t.Error("a step is good that must not be")
	}
}
