package battery

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The test's own program is a server, too, for flaws that take a process.
func TestMain(m *testing.M) {
	if os.Args[len(os.Args)-1] == "bare" {
		if bare(true).Run(context.Background(), &mcp.StdioTransport{}) != nil {
			os.Exit(1)
		}
		return
	}
	if flaw, ok := strings.CutPrefix(os.Args[len(os.Args)-1], "fake="); ok {
		_ = newFake(flaw).serve(context.Background(), os.Stdin, os.Stdout)
		return
	}
	os.Exit(m.Run())
}

func inside(flaw string) Target {
	return Target{grace: time.Second, Serve: func(ctx context.Context, r io.ReadCloser, w io.WriteCloser) error {
		return newFake(flaw).serve(ctx, r, w)
	}}
}

func process(flaw string) Target { return Target{Argv: []string{os.Args[0], "fake=" + flaw}} }

// options let the fake's tools be called.
func options() Options {
	return Options{Canaries: []string{canary()}, Call: map[string]json.RawMessage{"*": nil}, unpaced: true}
}

// found are the checks that fired, with what severity at least.
func found(t *testing.T, target Target, o Options, least Severity) []string {
	t.Helper()
	r, err := Run(t.Context(), target, o)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, f := range r.Findings {
		t.Logf("%+v", f)
		if strings.Contains(f.Title+f.Evidence+f.Subject, canary()) {
			t.Error("the report holds a canary")
		}
		if f.Severity >= least {
			ids = append(ids, f.Check)
		}
	}
	return slices.Compact(ids)
}

func TestSoundServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if got := found(t, inside(""), options(), Low); len(got) != 0 {
			t.Errorf("got %q", got)
		}
	})
}

// called are the tools that a run calls.
func called(t *testing.T, flaw string, o Options) []string {
	t.Helper()
	var mu sync.Mutex
	all := map[string]bool{}
	target := Target{Serve: func(ctx context.Context, r io.ReadCloser, w io.WriteCloser) error {
		srv := newFake(flaw)
		err := srv.serve(ctx, r, w)
		mu.Lock()
		defer mu.Unlock()
		maps.Copy(all, srv.called)
		return err
	}}
	found(t, target, o, Low)
	return slices.Sorted(maps.Keys(all))
}

// A tool that does not say that it only reads is not called, whatever is tested, and
// neither is one whose name says otherwise.
func TestNothingElseIsCalled(t *testing.T) {
	t.Parallel()
	for _, flaw := range []string{"tool/unannotated", "tool/not-read-only", "tool/not-additive"} {
		synctest.Test(t, func(t *testing.T) {
			want := []string{"fetch_page", "query_notes", "read_note", "search_notes"}
			if got := called(t, flaw, Options{unpaced: true}); !slices.Equal(got, want) {
				t.Errorf("%s: %q were called, want %q", flaw, got, want)
			}
		})
	}
}

// A tool that writes, and is listed, gets no path of the system: it might be no sound one.
func TestNothingIsWrittenElsewhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := called(t, "", options())
		if !slices.Contains(got, "save_note") || slices.Contains(got, "save_note to the system") {
			t.Errorf("%q were called", got)
		}
	})
}

// outside are the flaws that a clock of the test's own cannot hold: of a process, or
// with a network.
var outside = map[string]func(flaw string) Target{"leak/log": process, "leak/log-arguments": process, "args/fetch": inside}

// Each check has a server with exactly its flaw, and fires there, alone.
func TestEachCheckFires(t *testing.T) {
	t.Parallel()
	for _, c := range Checks {
		if c.Over == HTTP {
			continue // TestEachHTTPCheckFires
		}
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			least, o := Low, options()
			if c.Severity == Info {
				least, o.Call = Info, map[string]json.RawMessage{"delete_note": nil, "save_note": nil}
			}
			switch c.ID {
			case "tool/not-called":
				o.Call = nil
			case "drift/manifest":
				o.Manifest = fakeManifest
			}
			test := func(t *testing.T, target Target) {
				if got := found(t, target, o, least); !slices.Equal(got, []string{c.ID}) {
					t.Errorf("got %q, want %q", got, c.ID)
				}
			}
			if target, ok := outside[c.ID]; ok {
				test(t, target(c.ID))
			} else {
				synctest.Test(t, func(t *testing.T) { test(t, inside(c.ID)) })
			}
		})
	}
}
