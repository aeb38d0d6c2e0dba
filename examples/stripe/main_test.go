package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
)

const asProgram = "STRIPE_EXAMPLE_RUNS"

// TestMain lets the test binary be the program.
func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(postgres.Main(m))
}

var postgres pgtest.Shared

const keyBody = "51NcanaryCanaryCanary0123"

var testKey = prefix + "KEY=rk_" + "test_" + keyBody

// command runs the program with settings of its own and none of the tests'.
func command(t *testing.T, settings ...string) *exec.Cmd {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	for _, s := range os.Environ() {
		if !strings.HasPrefix(s, prefix) {
			cmd.Env = append(cmd.Env, s)
		}
	}
	cmd.Env = append(append(cmd.Env, settings...), asProgram+"=1", "HOME="+dir, "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
	return cmd
}

// connect returns a client of the program, whose person says yes.
func connect(t *testing.T, settings ...string) *mcp.ClientSession {
	t.Helper()
	cmd := command(t, settings...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	client := mcp.NewClient(&mcp.Implementation{Name: "c", Version: "1"}, &mcp.ClientOptions{
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: "accept", Content: map[string]any{"confirm": true}}, nil
		},
	})
	cs, err := client.Connect(t.Context(), &mcp.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	t.Cleanup(func() {
		if err := cs.Close(); err != nil || strings.Contains(stderr.String(), keyBody) {
			t.Errorf("%v: it has said %s", err, &stderr)
		}
	})
	return cs
}

func call(t *testing.T, cs *mcp.ClientSession, tool, args string) string {
	t.Helper()
	res, err := cs.CallTool(t.Context(), &mcp.CallToolParams{Name: tool, Arguments: json.RawMessage(args)})
	if err != nil {
		t.Fatal(err)
	}
	return res.Content[0].(*mcp.TextContent).Text
}

// stripe stands in for Stripe's API: it has one charge, and counts refunds.
func stripe(t *testing.T, refunds *atomic.Int64) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer rk_"+"test_"+keyBody:
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method == http.MethodPost:
			fmt.Fprintf(w, `{"id":"re_%d","object":"refund","amount":1900}`, refunds.Add(1))
		case r.URL.Path == "/v1/refunds":
			fmt.Fprint(w, `{"data":[],"has_more":false}`)
		default:
			fmt.Fprint(w, `{"id":"ch_1","object":"charge","amount":4900,"amount_captured":4900,"currency":"eur","paid":true,"captured":true}`)
		}
	}))
	t.Cleanup(s.Close)
	return prefix + "URL=" + s.URL
}

func tools(t *testing.T, cs *mcp.ClientSession) (names []string) {
	t.Helper()
	list, err := cs.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	return names
}

// With a key and nothing else there is nothing that changes anything.
func TestReads(t *testing.T) {
	t.Parallel()
	var refunds atomic.Int64
	cs := connect(t, testKey, stripe(t, &refunds))
	if got, want := tools(t, cs), []string{"stripe_account", "stripe_balance", "stripe_get", "stripe_list", "stripe_search"}; !slices.Equal(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	if mode := (Config{}).mode(); mode != mcpsec.Read {
		t.Errorf("the server is one that may %s", mode)
	}
	if text := call(t, cs, "stripe_get", `{"resource":"charges","id":"ch_1"}`); !strings.Contains(text, `"amount":4900`) {
		t.Errorf("got %s", text)
	}
	if text := call(t, cs, "stripe_get", `{"resource":"customers","id":"cus_1"}`); !strings.Contains(text, "has not listed this resource") {
		t.Errorf("a resource that is not listed: got %s", text)
	}
}

// What is listed can be changed, within the caps.
func TestRefunds(t *testing.T) {
	t.Parallel()
	var refunds atomic.Int64
	cs := connect(t, testKey, stripe(t, &refunds), prefix+"PERMISSIONS=refunds.create", prefix+"CAPS=JPY 500/JPY 500, EUR 20.00/EUR 30.00")
	for _, c := range []struct{ amount, want string }{
		{"EUR 19.00", `"id":"re_1"`}, {"EUR 19.00", `"id":"re_1"`}, {"EUR 20.01", "at most EUR 20.00"}, {"EUR 11.01", "day's cap of EUR 30.00 has less left"}, {"USD 1.00", "no cap for this currency"},
	} {
		if text := call(t, cs, "stripe_create_refund", `{"payment":"ch_1","amount":"`+c.amount+`"}`); !strings.Contains(text, c.want) {
			t.Errorf("%s: got %s, want %s", c.amount, text, c.want)
		}
	}
	if n := refunds.Load(); n != 1 {
		t.Errorf("got %d refunds, want 1", n)
	}
}

// Two windows of a client, which are two programs, have the day's caps together if they
// have a database together, and else each for itself.
func TestWindowsShareCaps(t *testing.T) {
	t.Parallel()
	server := postgres.Server(t)
	url := server.URL(postgres.Database(t, ""), "")
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := pgstate.Migrate(t.Context(), conn, "", server.Admin()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		state, want string
	}{{prefix + "STATE_URL=" + url, "has less left"}, {prefix + "ACCOUNT=", `"id":"re_2"`}} {
		var refunds atomic.Int64
		settings := []string{testKey, stripe(t, &refunds), prefix + "PERMISSIONS=refunds.create", prefix + "CAPS=EUR 20.00/EUR 30.00", c.state}
		for i, want := range []string{`"id":"re_1"`, c.want} {
			if text := call(t, connect(t, settings...), "stripe_create_refund", fmt.Sprintf(`{"payment":"ch_1","amount":"EUR 19.00","idempotency_key":"%d"}`, i)); !strings.Contains(text, want) {
				t.Errorf("window %d: got %s, want %s", i, text, want)
			}
		}
	}
}

// What is set wrong is said by name, without what was set.
func TestRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		settings []string
		want     string
	}{
		{nil, prefix + "KEY"},
		{[]string{prefix + "KEY=rk_" + "live_" + keyBody}, "is a live key: it moves real money"},
		{[]string{testKey, prefix + "RESOURCES=passwords"}, "Options.Resources"},
		{[]string{testKey, prefix + "PERMISSIONS=refunds.create"}, "which moves money, and Options.Caps says of no currency how much"},
		{[]string{testKey, prefix + "PERMISSIONS=refunds"}, prefix + "PERMISSIONS must be a list such as refunds.create"},
		{[]string{testKey, prefix + "PERMISSIONS=refunds.delete", prefix + "CAPS=EUR 1.00/EUR 1.00"}, `Options.Permissions has "delete"`},
		{[]string{testKey, prefix + "CAPS=EUR 5/EUR 10"}, prefix + "CAPS must be"},
		{[]string{testKey, prefix + "CAPS=EUR 5.00"}, prefix + "CAPS must be"},
		{[]string{testKey, prefix + "CAPS=EUR 10.00/EUR 5.00"}, "PerDay no less than PerCall"},
		{[]string{testKey, prefix + "CAP=EUR 5.00"}, prefix + "CAP"},
		{[]string{testKey, prefix + "STATE_URL=postgres://u:" + keyBody + "@h:port/d"}, prefix + "STATE_URL is no URL"},
	} {
		out, err := command(t, c.settings...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) || strings.Contains(string(out), keyBody) {
			t.Errorf("%s: %v: got %s, want %s", c.settings, err, out, c.want)
		}
	}
}
