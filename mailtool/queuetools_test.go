package mailtool

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A caller is a client of a server with the queue's tools, and what was recorded.
type caller struct {
	*answerer
	mu       sync.Mutex
	progress []string
	record   bytes.Buffer
}

func (c *caller) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record.Write(p)
}

func welcome(t testing.TB, text string) *Templates {
	t.Helper()
	source, err := json.Marshal(Template{Name: "welcome", Subject: canary + "-hello {{.name}}", Text: text, Variables: []Variable{{Name: "name", Type: "text"}}})
	if err != nil {
		t.Fatal(err)
	}
	templates, err := OpenTemplates(TemplateOptions{FS: fstest.MapFS{"welcome.json": {Data: source}}})
	if err != nil {
		t.Fatal(err)
	}
	return templates
}

// serveQueue serves the tools to a principal, for whom a person says yes. before runs
// between the question and its answer.
func serveQueue(t *testing.T, c *Client, templates *Templates, principal string, before func()) *caller {
	t.Helper()
	out := &caller{answerer: new(answerer)}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, mcpsec.Options{
		Audit: mcpsec.NewAuditLog(out), Log: slog.NewJSONHandler(out, nil), Mode: mcpsec.Destroy, Principal: mcpsec.Principal{ID: principal}, Limits: mcpsec.Limits{CallsPerSecond: 1000},
		Approver: func(_ context.Context, q mcpsec.Question) (string, bool, error) {
			out.mu.Lock()
			out.asked = append(out.asked, q.Text)
			out.mu.Unlock()
			if before != nil {
				before()
			}
			return "eve", true, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Add(slices.Concat(QueueTools(c, templates), LogTools(c), SendTools(c))...)
	ours, theirs := net.Pipe()
	go func() { _ = srv.ServeStream(context.WithoutCancel(t.Context()), theirs, theirs) }()
	options := &mcp.ClientOptions{ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
		out.mu.Lock()
		defer out.mu.Unlock()
		out.progress = append(out.progress, r.Params.Message)
	}}
	out.ClientSession, err = mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, options).Connect(t.Context(), &mcp.IOTransport{Reader: ours, Writer: ours}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	return out
}

func (c *caller) allow(t *testing.T, tool, args string, parts ...string) string {
	t.Helper()
	got, ok := c.call(t, tool, args)
	if !ok {
		t.Errorf("%s: refused: %s", tool, got)
	}
	for _, p := range parts {
		if !strings.Contains(got, p) {
			t.Errorf("%s: got %s, want %s in it", tool, got, p)
		}
	}
	return got
}

func (c *caller) deny(t *testing.T, why, tool, args string) {
	t.Helper()
	if got, ok := c.call(t, tool, args); ok || !strings.Contains(got, why) {
		t.Errorf("%s: got %s, want a refusal with %q", tool, got, why)
	}
}

func (c *caller) questions() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked)
}

func bulk(key string, to ...string) string {
	in := map[string]any{"template": "welcome", "idempotency_key": key}
	var list []any
	for _, a := range to {
		list = append(list, map[string]any{"to": a, "values": map[string]any{"name": canary + "-name-" + a}})
	}
	in["recipients"] = list
	b, _ := json.Marshal(in)
	return string(b)
}

func schedule(at time.Time, to string) string {
	return fmt.Sprintf(`{"at":%q,"message":{"to":[%q],"subject":"%s-subject","text":"%[3]s-text"}}`, at.Format(time.RFC3339), to, canary)
}

func jobOf(t *testing.T, result string) string {
	t.Helper()
	var out struct{ Job string }
	if err := json.Unmarshal([]byte(result), &out); err != nil || len(out.Job) != 32 {
		t.Fatalf("%v: %s", err, result)
	}
	return out.Job
}

// Each recipient has a message and a result of their own; an equal call sends nothing
// more and tells the same.
func TestMailSendBulk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testMailSendBulk)
}

func testMailSendBulk(t *testing.T) {
	p, store := &mailman{}, new(state.Memory)
	var unsubscribed string
	unsubscribe, err := NewUnsubscribe(UnsubscribeOptions{URL: "https://example.com/u", Keys: queueKeys(), Handle: func(context.Context, string, string) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	p.said = func(_ int, b *built) error {
		time.Sleep(60 * time.Millisecond) // progress is told every 100 ms at most
		if _, link, ok := strings.Cut(string(b.rest), "List-Unsubscribe: <https://example.com/u?t="); ok {
			link, _, _ = strings.Cut(link, ">")
			recipient, list, err := unsubscribe.open(link)
			unsubscribed += fmt.Sprint(recipient == b.rcpts[0], list, err, " ")
		}
		if b.rcpts[0] == "p2@example.com" {
			return &refusal{"RCPT 1 of 1", 550, "5.1.1"}
		}
		return nil
	}
	c := queueClient(t, p, store, func(o *Options) {
		o.Suppressed = func(_ context.Context, a string) (bool, error) { return a == "p1@example.com", nil }
		o.Queue.Unsubscribe = unsubscribe.Link
	})
	s := serveQueue(t, c, welcome(t, canary+"-body for {{.name}}"), "alice", nil)
	in := bulk("", append(people(5), "ann@customer.example")...)
	res, err := s.CallTool(t.Context(), &mcp.CallToolParams{Name: "mail_send_bulk", Arguments: json.RawMessage(in), Meta: mcp.Meta{"progressToken": "x"}})
	if err != nil || res.IsError {
		t.Fatalf("%v, %v", res, err)
	}
	first := res.Content[0].(*mcp.TextContent).Text
	for _, part := range []string{`"done":true`, `"to":"p0@example.com","status":"sent"`, `"to":"p1@example.com","status":"suppressed"`, `"to":"p2@example.com","status":"failed","code":"550 5.1.1"`, `"to":"ann@customer.example","status":"sent"`} {
		if !strings.Contains(first, part) {
			t.Errorf("got %s, want %s in it", first, part)
		}
	}
	if again := s.allow(t, "mail_send_bulk", in); again != first || len(p.got()) != 4 {
		t.Errorf("got %s after %s, and %q", again, first, p.got())
	}
	if unsubscribed != strings.Repeat(fmt.Sprint(true, "welcome", nil, " "), 5) {
		t.Errorf("links: %s", unsubscribed)
	}
	q := s.questions()
	if len(q) != 2 || !strings.Contains(q[1], "sends nothing that was not confirmed") {
		t.Fatalf("asked %q", q)
	}
	for _, part := range []string{"sends 6 mails from orders@example.com", "1 at customer.example (outside), 5 at example.com", "1 get none", "the 100 recipients of an hour and the 500 of a day", `template "welcome" at revision `,
		"to p0@example.com: subject", "body for " + canary + "-name-p0@example.com", "body for " + canary + "-name-ann@customer.example", "[messages "} {
		if !strings.Contains(q[0], part) {
			t.Errorf("the question has no %q: %s", part, q[0])
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.progress) < 2 || !strings.HasSuffix(s.progress[0], "of 6") {
		t.Errorf("progress: %q", s.progress)
	}
}

// What one recipient's values break is refused before a person is asked, for all.
func TestBulkIsRefused(t *testing.T) {
	t.Parallel()
	p, store := &mailman{}, new(state.Memory)
	c := queueClient(t, p, store, func(o *Options) { o.Queue.MaxRecipients = 3 })
	s := serveQueue(t, c, welcome(t, "Hello {{.name}}"), "alice", nil)
	one := func(to, name string) string {
		return fmt.Sprintf(`{"template":"welcome","recipients":[{"to":"p0@example.com","values":{"name":"Bob"}},{"to":%q,"values":{"name":%s}}]}`, to, name)
	}
	for args, why := range map[string]string{
		one("p1@example.com", `"a\r\nBcc: eve@evil.example"`):                              "recipients[1]: ",
		one("p1@example.com", `"a\nBcc: eve@evil.example"`):                                "recipients[1]: the subject",
		one("p1@example.com", `"a\u202eb"`):                                                "recipients[1]: ",
		one("p1@example.com", `"=?utf-8?q?x?="`):                                           "recipients[1]: the subject",
		one("p1@example.com", `["a"]`):                                                     "recipients[1]: ",
		one("eve@evil.example", `"a"`):                                                     "recipients[1]: to[0] may not be written to",
		one("p1@example.com, eve@evil.example", `"a"`):                                     "recipients[1]: ",
		one("P0@example.com", `"a"`):                                                       "recipients[1]: is named twice",
		bulk("", people(4)...):                                                             "do not fit",
		`{"template":"none","recipients":[{"to":"p0@example.com","values":{"name":"a"}}]}`: "no template",
		`{"template":"welcome","recipients":[]}`:                                           "",
		`{"template":"welcome","recipients":[{"to":"p0@example.com"}]}`:                    "recipients[0]: the value of name is missing",
		`{"template":"welcome","revision":"0123456789abcdef","recipients":[{"to":"p0@example.com","values":{"name":"a"}}]}`: "another revision",
	} {
		s.deny(t, why, "mail_send_bulk", args)
	}
	if len(s.questions()) != 0 || len(p.got()) != 0 {
		t.Errorf("asked %q, sent %q", s.questions(), p.got())
	}
}

// What was confirmed is sent, whatever becomes of the template meanwhile; and what a
// person said no to, or was changed behind their back, is not.
func TestBulkIsFrozen(t *testing.T) {
	t.Parallel()
	p, store := &mailman{}, new(state.Memory)
	var texts []string
	down := true
	p.said = func(_ int, b *built) error {
		if down {
			return &fault{"connecting", errBroken}
		}
		texts = append(texts, string(b.rest))
		return nil
	}
	c := queueClient(t, p, store)
	dir := t.TempDir()
	templates, err := OpenTemplates(TemplateOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer templates.Close()
	tpl := Template{Name: "welcome", Subject: "Hello {{.name}}", Text: "confirmed", Variables: []Variable{{Name: "name", Type: "text"}}}
	if err := templates.put(t.Context(), tpl, ""); err != nil {
		t.Fatal(err)
	}
	change := func(text string) {
		was := revision(tpl)
		tpl.Text = text
		if err := templates.put(t.Context(), tpl, was); err != nil {
			t.Error(err)
		}
	}
	asked := 0
	s := serveQueue(t, c, templates, "alice", func() {
		if asked++; asked == 1 {
			change("behind the person's back")
		}
	})
	in := bulk("", people(2)...)
	s.allow(t, "mail_send_bulk", in, `"done":false`, `"status":"queued"`)
	if q := s.questions(); len(q) != 2 || !strings.Contains(q[1], "behind the person's back") {
		t.Errorf("asked %q", q)
	}
	change("changed later")
	down = false
	c.now = func() time.Time { return time.Now().Add(time.Hour) }
	s.allow(t, "mail_send_bulk", in, `"done":true`)
	if len(texts) != 2 || strings.Contains(strings.Join(texts, ""), "changed later") || !strings.Contains(texts[0], "behind the person") {
		t.Errorf("sent %q", texts)
	}
}

// A scheduled message is confirmed with its time and digest, listed for its owner, sent
// as it was, and once.
func TestMailSchedule(t *testing.T) {
	t.Parallel()
	p, store := &mailman{}, new(state.Memory)
	var sent string
	p.said = func(_ int, b *built) error { sent = b.digest; return nil }
	c := queueClient(t, p, store)
	alice, mallory := serveQueue(t, c, nil, "alice", nil), serveQueue(t, c, nil, "mallory", nil)
	due := time.Now().Add(time.Hour)
	first := alice.allow(t, "mail_schedule", schedule(due, "bob@example.com"), `"digest":"`)
	if again := alice.allow(t, "mail_schedule", schedule(due, "bob@example.com")); again != first {
		t.Errorf("got %s after %s", again, first)
	}
	for _, part := range []string{"at " + due.Format(time.RFC3339) + ", which is " + due.UTC().Format("Monday, 2006-01-02 15:04:05 UTC"), "to bob@example.com", canary + "-text", "[message "} {
		if q := alice.questions()[0]; !strings.Contains(q, part) {
			t.Errorf("the question has no %q: %s", part, q)
		}
	}
	alice.allow(t, "mail_list_scheduled", `{}`, jobOf(t, first), `"to":["bob@example.com"]`, canary+"-subject")
	if got := mallory.allow(t, "mail_list_scheduled", `{}`); got != `{"jobs":[]}` {
		t.Errorf("another's jobs: %s", got)
	}
	mallory.deny(t, "no such job of yours", "mail_cancel", `{"job":"`+jobOf(t, first)+`"}`)
	if _, err := c.round(t.Context()); err != nil || len(p.got()) != 0 {
		t.Errorf("sent %q, %v", p.got(), err)
	}
	c.now = func() time.Time { return due.Add(time.Second) }
	for range 2 {
		if _, err := c.round(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(first, sent) || len(p.got()) != 1 {
		t.Errorf("sent %s of %s, %q", sent, first, p.got())
	}
	alice.allow(t, "mail_log", `{"outcome":"sent"}`, `"to":["bob@example.com"]`, jobOf(t, first))
	alice.allow(t, "mail_stats", `{}`, `{"outcome":"sent","messages":1}`)
	if got := mallory.allow(t, "mail_log", `{}`); got != `{"log":[]}` {
		t.Errorf("another's log: %s", got)
	}
	if j, _, err := get[job](t.Context(), c.queue, c.queue.jobKey(jobOf(t, first))); err != nil || j.Subject != "" || j.To != nil {
		t.Errorf("kept %+v, %v", j, err)
	}
	alice.deny(t, "all of the job was sent", "mail_cancel", `{"job":"`+jobOf(t, first)+`"}`)
}

func TestScheduleTimes(t *testing.T) {
	t.Parallel()
	c := testClient(t) // whose clock stands at 2026-03-28T09:05:07Z
	for at, want := range map[string]string{
		"2026-03-28T10:05:08+01:00": "2026-03-28T09:05:08Z",
		"2026-03-29T02:30:00+01:00": "2026-03-29T01:30:00Z", // which no clock in Berlin shows
		"2026-10-25T02:30:00+02:00": "",                     // too far
		"2026-06-26T09:05:07Z":      "2026-06-26T09:05:07Z",
		"2026-06-26T09:05:08Z":      "",
		"2026-03-28T09:05:07Z":      "",
		"2026-03-28T10:05:07+01:00": "",
		"2026-04-01T10:00:00":       "",
		"2026-04-01 10:00:00Z":      "",
		"2026-04-01T10:00:00.5Z":    "",
		"2026-04-01T10:00:00,5Z":    "",
		"2026-02-30T10:00:00Z":      "",
		"2026-04-01T24:00:00Z":      "",
		"2026-04-01T1:00:00Z":       "",
		"tomorrow":                  "",
	} {
		got, err := c.readTime(at)
		if want == "" && err == nil || want != "" && (err != nil || got.Format(time.RFC3339) != want) {
			t.Errorf("%s: got %v, %v, want %q", at, got, err, want)
		}
	}
}

// Of a worker and one who cancels, one is first.
func TestMailCancel(t *testing.T) {
	t.Parallel()
	p, store := &mailman{}, new(state.Memory)
	c := queueClient(t, p, store)
	s := serveQueue(t, c, nil, "alice", nil)
	due := time.Now().Add(time.Hour)
	cancel := func(to string) (string, bool) {
		job := jobOf(t, s.allow(t, "mail_schedule", schedule(due, to)))
		return s.call(t, "mail_cancel", `{"job":"`+job+`"}`)
	}
	if got, _ := cancel("a@example.com"); got != `{"cancelled":1,"late":0}` {
		t.Errorf("got %s", got)
	}
	if q := s.questions(); !strings.Contains(q[len(q)-1], `cancels the mail "`+canary+`-subject"`) || !strings.Contains(q[len(q)-1], "a@example.com") {
		t.Errorf("asked %q", q)
	}
	j := queued(t, c, strings.Repeat("0", 32), time.Now(), "b@example.com")
	during := make(chan string, 1)
	p.said = func(int, *built) error { // behind the claim, before DATA: who cancels is first
		got, _ := s.call(t, "mail_cancel", `{"job":"`+strings.Repeat("0", 32)+`"}`)
		during <- got
		return nil
	}
	if _, err := c.round(t.Context()); err != nil {
		t.Error(err)
	}
	if got := <-during; got != `{"cancelled":1,"late":0}` || len(p.got()) != 0 || states(t, c, j) != isCancelled {
		t.Errorf("got %s, sent %q, %s", got, p.got(), states(t, c, j))
	}
	p.said = nil
	j = queued(t, c, strings.Repeat("1", 32), time.Now(), "c@example.com")
	p.after = func(int, *built) error { // behind DATA: too late
		got, _ := s.call(t, "mail_cancel", `{"job":"`+strings.Repeat("1", 32)+`"}`)
		during <- got
		return nil
	}
	if _, err := c.round(t.Context()); err != nil {
		t.Error(err)
	}
	if got := <-during; got != `{"cancelled":0,"late":1}` || len(p.got()) != 1 || states(t, c, j) != isSent {
		t.Errorf("got %s, sent %q, %s", got, p.got(), states(t, c, j))
	}
	s.allow(t, "mail_stats", `{}`, `{"outcome":"cancelled","messages":2}`, `{"outcome":"sent","messages":1}`)
}

// To those inside nobody is asked, at another time neither; to one outside somebody is.
func TestScheduleInternal(t *testing.T) {
	t.Parallel()
	c := queueClient(t, &mailman{}, new(state.Memory), func(o *Options) { o.Recipients.Internal = []string{"example.com"} })
	s := serveQueue(t, c, nil, "alice", nil)
	for to, want := range map[string]int{"bob@example.com": 0, "ann@customer.example": 1} {
		before := len(s.questions())
		s.allow(t, "mail_schedule", schedule(time.Now().Add(time.Hour), to))
		if got := len(s.questions()) - before; got != want {
			t.Errorf("%s: asked %d times", to, got)
		}
	}
}
