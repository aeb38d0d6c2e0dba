package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/integration/internal/npm"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var update = flag.Bool("update", false, "write what was counted to testdata and docs")

// A suite is one run of one of the official suites.
type suite struct {
	name, module string
	args         []string
	stateless    bool // how the SDK's own server must be started
}

var all = []suite{
	{"0.1.16, 2025-11-25", "conformance-0.1", []string{"--spec-version", "2025-11-25"}, false},
	{"0.1.16, all", "conformance-0.1", []string{"--suite", "all"}, false},
	{"0.2.0-alpha.12, 2025-11-25", "conformance-0.2", []string{"--requirements", "2025-11-25"}, false},
	{"0.2.0-alpha.12, 2026-07-28", "conformance-0.2", []string{"--requirements", "2026-07-28"}, true},
}

// A count is what the checks of one scenario came to.
type count struct {
	Passed  int      `json:"passed"`
	Failed  []string `json:"failed,omitempty"` // the ids of the checks
	Warned  []string `json:"warned,omitempty"`
	Skipped int      `json:"skipped,omitempty"`
}

// counts are those of a suite, by scenario.
type counts map[string]count

func (c counts) total() (sum count) {
	for _, name := range slices.Sorted(maps.Keys(c)) {
		sum.Passed += c[name].Passed
		sum.Skipped += c[name].Skipped
		sum.Failed = append(sum.Failed, c[name].Failed...)
		sum.Warned = append(sum.Warned, c[name].Warned...)
	}
	return sum
}

// counted is what testdata/counts.json holds of a suite.
type counted struct {
	Ours counts `json:"ours"`
	SDK  counts `json:"sdk"`
}

const countsFile = "testdata/counts.json"

func readCounts(t *testing.T) map[string]counted {
	t.Helper()
	b, err := os.ReadFile(countsFile)
	out := map[string]counted{}
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil && !(*update && errors.Is(err, os.ErrNotExist)) {
		t.Fatal(err)
	}
	return out
}

// The official suites find no more to fault in a server of ours than is on file,
// with bearer tokens required and without, and nothing that the SDK's own server
// passes without a reason that is written down.
func TestConformance(t *testing.T) {
	node, modules := npm.Modules(t)
	open := serve(t, httpOptions)
	guarded := withToken(t, serve(t, hardened()))
	want := readCounts(t)
	for _, s := range all {
		// The suites wait for fixed times, which a busy machine exceeds: what is not
		// as it should be gets a second chance.
		count := func(target string, want counts) counts {
			got := s.run(t, node, modules, target)
			if !equal(got, want) {
				got = s.run(t, node, modules, target)
			}
			return got
		}
		ours := count(open, want[s.name].Ours)
		if again := count(guarded, ours); !equal(ours, again) {
			t.Errorf("%s: other counts with a token than without: %s", s.name, difference(ours, again))
		}
		sdk := count(sdkServer(t, s.stateless), want[s.name].SDK)
		if *update {
			want[s.name] = counted{ours, sdk}
			continue
		}
		if !equal(ours, want[s.name].Ours) {
			t.Errorf("%s: not what is on file, which -update writes: %s", s.name, difference(ours, want[s.name].Ours))
		}
		if !equal(sdk, want[s.name].SDK) {
			t.Errorf("%s: the SDK's own server differs from what is on file: %s", s.name, difference(sdk, want[s.name].SDK))
		}
	}
	if *update {
		write(t, countsFile, indented(t, want))
		write(t, document, inserted(t, table(want)))
	}
}

func equal(a, b counts) bool { return maps.EqualFunc(a, b, sameCount) }

func sameCount(a, b count) bool {
	return a.Passed == b.Passed && a.Skipped == b.Skipped && slices.Equal(a.Failed, b.Failed) && slices.Equal(a.Warned, b.Warned)
}

func difference(got, want counts) string {
	out := map[string][2]count{}
	for name := range got {
		if !sameCount(got[name], want[name]) {
			out[name] = [2]count{got[name], want[name]}
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			out[name] = [2]count{{}, want[name]}
		}
	}
	b, _ := json.Marshal(out)
	return string(b)
}

// serve starts a server of ours and returns its URL.
func serve(t *testing.T, o mcpsec.HTTPOptions) string {
	t.Helper()
	srv, err := newServer(mcpsec.NewAuditLog(io.Discard), slog.DiscardHandler)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, ln, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String() + "/mcp"
}

const bearer = "suite"

// hardened takes tokens only.
func hardened() mcpsec.HTTPOptions {
	o := httpOptions
	o.Verifier = func(_ context.Context, token string) (mcpsec.Principal, error) {
		if token != bearer {
			return mcpsec.Principal{}, mcpsec.ErrInvalidToken
		}
		return mcpsec.Principal{ID: "suite"}, nil
	}
	return o
}

// withToken stands in for the suites, which cannot send a token, and changes
// nothing else.
func withToken(t *testing.T, target string) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := http.Post(target, "application/json", http.NoBody); err != nil || res.StatusCode != http.StatusUnauthorized {
		t.Fatalf("without a token: %v, %v", res, err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = u.Scheme, u.Host, r.In.Host
			r.Out.Header.Set("Authorization", "Bearer "+bearer)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(proxy.Close)
	return proxy.URL + "/mcp"
}

// sdkServer starts the SDK's own server for the suites.
func sdkServer(t *testing.T, stateless bool) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "everything-server")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "github.com/modelcontextprotocol/go-sdk/conformance/everything-server")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	args := []string{"-http=" + addr, "-stateless=false"}
	if stateless {
		args[1] = "-stateless=true"
	}
	cmd := exec.CommandContext(t.Context(), bin, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for range 100 {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return "http://" + addr + "/mcp"
		}
		time.Sleep(50 * time.Millisecond) // a process tells nobody that it listens
	}
	t.Fatal("the SDK's server does not listen")
	return ""
}

var checksDir = regexp.MustCompile(`^server-(.+)-\d{4}-\d\d-\d\dT[\dZ-]+$`)

// run runs the suite against a server, and counts the checks that it has written.
// Its exit code says no more than these.
func (s suite) run(t *testing.T, node, modules, target string) counts {
	t.Helper()
	out := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := append([]string{filepath.Join(modules, s.module, "dist", "index.js"), "server", "--url", target, "-o", out}, s.args...)
	said, err := exec.CommandContext(ctx, node, args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v: %s", s.name, err, said)
	}
	files, err := filepath.Glob(filepath.Join(out, "server-*", "checks.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no checks: %v: %s", s.name, err, said)
	}
	result := counts{}
	for _, file := range files {
		m := checksDir.FindStringSubmatch(filepath.Base(filepath.Dir(file)))
		if m == nil {
			t.Fatalf("%s: what is %s?", s.name, file)
		}
		result[m[1]] = countChecks(t, file)
	}
	return result
}

func countChecks(t *testing.T, file string) count {
	t.Helper()
	b, err := os.ReadFile(file)
	var checks []struct{ ID, Status string }
	if err == nil {
		err = json.Unmarshal(b, &checks)
	}
	if err != nil {
		t.Fatal(err)
	}
	var c count
	for _, check := range checks {
		switch check.Status {
		case "SUCCESS":
			c.Passed++
		case "FAILURE":
			c.Failed = append(c.Failed, check.ID)
		case "WARNING":
			c.Warned = append(c.Warned, check.ID)
		case "SKIPPED":
			c.Skipped++
		}
	}
	return c
}
