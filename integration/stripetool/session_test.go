package stripetool

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

const keyBody = "51NcanaryCanaryCanary0123"

// sets are all sets of tools. The tests of canaries call whatever is in them.
var sets = []func(*stripetool.Client) []*mcpsec.Tool{stripetool.ReadTools, stripetool.WriteTools}

func cents(amount int64) stripetool.Money { return stripetool.Money{Amount: amount, Currency: "EUR"} }

func options(url string) stripetool.Options {
	return stripetool.Options{
		Key: redact.NewSecret("rk_" + "test_" + keyBody), URL: url, Resources: stripetool.ResourceNames(), Timeout: 10 * time.Second,
		Permissions: permissions,
		Caps: []stripetool.Cap{
			{PerCall: cents(5_000), PerDay: cents(100_000)},
			{PerCall: stripetool.Money{Amount: 500, Currency: "JPY"}, PerDay: stripetool.Money{Amount: 1000, Currency: "JPY"}},
			{PerCall: stripetool.Money{Amount: 5000, Currency: "KWD"}, PerDay: stripetool.Money{Amount: 5000, Currency: "KWD"}},
		},
	}
}

// A session is a client of an MCP server that has all sets.
type session struct {
	*mcptest.Session
	t *testing.T

	asks    sync.Mutex
	asked   []string                     // what a person was asked
	approve func(q mcpsec.Question) bool // what they say; nil is yes
	log     mcptest.Buffer               // what the server has logged and recorded
	said    mcptest.Buffer               // what has left the server
}

func serve(t *testing.T, o stripetool.Options, more ...func(*stripetool.Client) []*mcpsec.Tool) *session {
	t.Helper()
	s := &session{t: t}
	o.Log = slog.New(slog.NewJSONHandler(&s.log, nil))
	c, err := stripetool.New(o)
	if err != nil {
		t.Fatal(err)
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(&s.log), Log: slog.NewJSONHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}), Mode: mcpsec.Destroy,
		Limits: mcpsec.Limits{CallsPerSecond: 100_000},
		Approver: func(_ context.Context, q mcpsec.Question) (string, bool, error) {
			s.asks.Lock()
			defer s.asks.Unlock()
			s.asked = append(s.asked, q.Text)
			_, _ = s.said.Write([]byte(q.Text + "\n"))
			return "tester", s.approve == nil || s.approve(q), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range slices.Concat(sets, more) {
		srv.Add(set(c)...)
	}
	s.Session = mcptest.Dial(t, srv, &s.said)
	return s
}

type answer struct {
	text    string
	refused bool
}

// call calls a tool with arguments that are JSON.
func (s *session) call(tool, arguments string) answer {
	text, refused := s.Call(tool, arguments)
	return answer{text, refused}
}

// ok calls a tool that must answer, with a text that has each of the parts in it.
func (s *session) ok(tool, arguments string, parts ...string) string {
	s.t.Helper()
	a := s.call(tool, arguments)
	for _, p := range parts {
		if !strings.Contains(a.text, p) {
			s.t.Errorf("%s %s: got %s, want %s in it", tool, arguments, a.text, p)
		}
	}
	if a.refused {
		s.t.Errorf("%s %s: refused: %s", tool, arguments, a.text)
	}
	return a.text
}

// deny calls a tool that must refuse, with a text that has why in it.
func (s *session) deny(why, tool, arguments string) {
	s.t.Helper()
	if a := s.call(tool, arguments); !a.refused || !strings.Contains(a.text, why) {
		s.t.Errorf("%s %s: got %q, want a refusal with %q", tool, arguments, a.text, why)
	}
}

func (s *session) questions() []string {
	s.asks.Lock()
	defer s.asks.Unlock()
	return append([]string(nil), s.asked...)
}

// atOnce does something in all sessions at one moment.
func atOnce(all []*session, do func(i int, s *session)) {
	var wg sync.WaitGroup
	for i, s := range all {
		wg.Go(func() { do(i, s) })
	}
	wg.Wait()
}
