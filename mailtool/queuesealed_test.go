package mailtool

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// Nothing of a message stands in the store, in a log or a record, and in the log of
// outcomes whom it went to and how it ended.
func TestQueueKeepsNothing(t *testing.T) {
	t.Parallel()
	p, store := &mailman{}, new(state.Memory)
	c := queueClient(t, p, store)
	s := serveQueue(t, c, welcome(t, canary+"-body for {{.name}}"), "alice", nil)
	p.said = func(n int, _ *built) error {
		if n == 2 {
			return &refusal{"RCPT 1 of 1", 450, ""}
		}
		return nil
	}
	s.allow(t, "mail_send_bulk", bulk("", people(3)...), `"status":"queued"`, `"status":"sent"`)
	s.allow(t, "mail_schedule", schedule(time.Now().Add(time.Hour), "bob@example.com"))
	s.allow(t, "mail_send", `{"to":["ann@example.com"],"subject":"`+canary+`-subject","text":"`+canary+`-text"}`)
	var dump strings.Builder
	n := 0
	for after := ""; ; {
		docs, err := store.List(t.Context(), "mailtool/", after, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			after = d.Key
			dump.WriteString(d.Key + " " + string(d.Value) + "\n")
			n++
		}
		if len(docs) == 0 {
			break
		}
	}
	log := s.allow(t, "mail_log", `{}`, "p0@example.com", "ann@example.com")
	s.mu.Lock()
	record := s.record.String()
	s.mu.Unlock()
	for where, text := range map[string]string{"the store": dump.String(), "the log": log, "the record": record} {
		for _, never := range []string{canary, "-name-", "-body", queueKeys()[0].Reveal()} {
			if strings.Contains(text, never) {
				t.Errorf("%s has %s", where, never)
			}
		}
	}
	if strings.Contains(dump.String(), "example.com") || strings.Contains(record, "p0@example.com") || n < 12 {
		t.Errorf("an address is in the store or the record, of %d documents: %s", n, record)
	}
	for _, d := range []string{"text/"} {
		if docs, err := store.List(t.Context(), c.queue.root+d, "", 100); err != nil || len(docs) != 2 { // of the one that waits, and of the scheduled one
			t.Errorf("%d texts are left, %v", len(docs), err)
		}
	}
}

// A document that was changed, moved, or sealed by others is none.
func TestQueueIsSealed(t *testing.T) {
	t.Parallel()
	p, store := &mailman{}, new(state.Memory)
	c := queueClient(t, p, store)
	var jobs []job
	for i := range 4 {
		jobs = append(jobs, queued(t, c, fmt.Sprintf("%032d", i), time.Now(), people(2)...))
	}
	swap := func(a, b string) {
		t.Helper()
		one, err := store.Get(t.Context(), a)
		if err != nil || one.Version == 0 {
			t.Fatal(err)
		}
		two, err := store.Get(t.Context(), b)
		if err != nil || two.Version == 0 {
			t.Fatal(err)
		}
		one.Value, two.Value = two.Value, one.Value
		for _, d := range []state.Document{one, two} {
			if _, err := store.Put(t.Context(), d, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
	}
	swap(c.queue.textKey(jobs[0].Run, 0), c.queue.textKey(jobs[0].Run, 1))
	swap(c.queue.itemKey(jobs[1].Run, 0), c.queue.itemKey(jobs[2].Run, 0))
	if _, err := c.round(t.Context()); err != nil {
		t.Error(err)
	}
	if s := states(t, c, jobs[0]); s != "failed damaged, failed damaged" || states(t, c, jobs[3]) != "sent, sent" || len(p.got()) != 2 {
		t.Errorf("%s, sent %q", s, p.got())
	}
	other := queueClient(t, p, store, func(o *Options) {
		o.Queue.Keys = []mcpsec.Secret{mcpsecSecret("cP2mXw8t" + "Kz6rQd3vLb9n" + "Jf5hTy7gSe1a")}
	})
	if _, err := other.round(t.Context()); err != nil || len(p.got()) != 2 {
		t.Errorf("sent %q, %v", p.got(), err)
	}
}

func TestQueueOptions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Options){
		"Options.State is required":           func(o *Options) { o.State = nil },
		"Options.Queue.Keys":                  func(o *Options) { o.Queue.Keys = nil },
		"Options.Queue.Keys[0]":               func(o *Options) { o.Queue.Keys = []mcpsec.Secret{mcpsecSecret("short")} },
		"Options.Queue.Keep":                  func(o *Options) { o.Queue.Keep = time.Minute },
		"Options.Queue.MaxRecipients":         func(o *Options) { o.Queue.MaxRecipients = 1001 },
		"Options.Queue.Documents is required": func(o *Options) { o.Queue.Documents = nil },
	} {
		o := valid()
		store := new(state.Memory)
		o.State, o.Queue = store, Queue{Documents: store, Keys: queueKeys()}
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	c := testClient(t)
	if QueueTools(c, welcome(t, "x")) != nil || LogTools(c) != nil || c.RunQueue(t.Context()) == nil {
		t.Error("without a queue there are tools for it")
	}
}

// What a provider tells later is noted with the message that it is of, once.
func TestLogFeedback(t *testing.T) {
	t.Parallel()
	p, store := &mailman{}, new(state.Memory)
	c := queueClient(t, p, store)
	s := serveQueue(t, c, nil, "alice", nil)
	var r Receipt
	if err := json.Unmarshal([]byte(s.allow(t, "mail_send", `{"to":["ann@example.com"],"subject":"a","text":"b"}`)), &r); err != nil {
		t.Fatal(err)
	}
	e := FeedbackEvent{Kind: kindHard, Address: "ann@example.com", MessageID: strings.Trim(r.MessageID, "<>"), Time: time.Now(), Provider: "ses", Code: "5.1.1"}
	other := e
	other.MessageID = "0100018c-provider"
	for _, ev := range []FeedbackEvent{e, e, other} {
		if err := c.LogFeedback(t.Context(), ev); err != nil {
			t.Error(err)
		}
	}
	if docs, err := store.List(t.Context(), c.queue.notesOf(""), "", 100); err != nil || len(docs) != 0 {
		t.Errorf("%d notes of nobody's messages, %v", len(docs), err)
	}
	s.allow(t, "mail_stats", `{}`, `{"outcome":"hard_bounce","messages":1}`, `{"outcome":"sent","messages":1}`)
	s.allow(t, "mail_log", `{"outcome":"hard_bounce"}`, r.MessageID, `"code":"5.1.1"`)
	if err := testClient(t).LogFeedback(t.Context(), e); err != nil {
		t.Error(err)
	}
}

// A new key in front seals, and the old one opens; when that was taken away too early,
// mail waits for it.
func TestQueueKeysRotate(t *testing.T) {
	t.Parallel()
	p, store := &mailman{}, new(state.Memory)
	p.said = func(n int, _ *built) error {
		if n == 1 {
			return &refusal{"RCPT 1 of 1", 450, ""}
		}
		return nil
	}
	fresh := mcpsecSecret("cP2mXw8t" + "Kz6rQd3vLb9n" + "Jf5hTy7gSe1a")
	with := func(keys ...mcpsec.Secret) *Client {
		return queueClient(t, p, store, func(o *Options) { o.Queue.Keys = keys })
	}
	hours := 0
	round := func(c *Client) string {
		t.Helper()
		at := time.Now().Add(time.Duration(hours) * time.Hour)
		hours++
		c.now = func() time.Time { return at }
		if _, err := c.round(t.Context()); err != nil {
			t.Error(err)
		}
		j, _, err := get[job](t.Context(), with(fresh, queueKeys()[0]).queue, c.queue.jobKey("x"))
		if err != nil {
			t.Fatal(err)
		}
		return states(t, with(fresh, queueKeys()[0]), j)
	}
	j := queued(t, with(queueKeys()...), "x", time.Now(), "a@example.com")
	if got := round(with(fresh, queueKeys()[0])); got != "queued 450" {
		t.Errorf("got %s", got)
	}
	d, err := store.Get(t.Context(), with(fresh).queue.jobKey("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := with(fresh).queue.put(t.Context(), d, j, time.Hour); err != nil { // only the text is left under the old one
		t.Fatal(err)
	}
	if got := round(with(fresh)); got != "queued 450" || len(p.got()) != 0 {
		t.Errorf("got %s", got)
	}
	if got := round(with(fresh, queueKeys()[0])); got != "sent" {
		t.Errorf("got %s", got)
	}
}

// One caller cannot fill the queue for all.
func TestQueueHasRoom(t *testing.T) {
	t.Parallel()
	c := queueClient(t, nil, new(state.Memory))
	b := mustBuild(t, c, letter("a@example.com"))
	add := func(owner string, n int) error {
		_, err := c.enqueue(t.Context(), fmt.Sprint(owner, n), job{Owner: owner, Due: time.Now().Add(time.Hour)}, []*built{b})
		return err
	}
	for n := range maxOwn {
		if err := add("alice", n); err != nil {
			t.Fatal(err)
		}
	}
	if err := add("alice", maxOwn); err == nil || !strings.Contains(err.Error(), "as many jobs wait as may") {
		t.Errorf("got %v", err)
	}
	if err := add("bob", 0); err != nil {
		t.Error(err)
	}
	for n := range maxJobs - maxOwn - 1 {
		j := job{Owner: fmt.Sprint("o", n/maxOwn), Run: "r", Due: time.Now().Add(time.Hour)}
		if _, err := c.queue.put(t.Context(), state.Document{Key: c.queue.dueKey(fmt.Sprint(n), j)}, "", time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if err := add("carl", 0); err == nil {
		t.Error("there is no end of it")
	}
}
