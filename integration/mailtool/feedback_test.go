package mailtool

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// A complaint that comes between the question and the message stops it, and so does one
// between a preview and the message.
func TestSuppressedBetween(t *testing.T) {
	t.Parallel()
	o, list := newOffice(t), suppress.New(nil)
	opt := options(o.port)
	opt.Suppressed = mailtool.Suppressed(list)
	complain := func(address string) {
		if _, err := list.Add(t.Context(), suppress.Entry{Address: address, Reason: suppress.Complaint, Time: time.Now(), Source: "test"}); err != nil {
			t.Error(err)
		}
	}
	s := serve(t, opt)
	s.approve = func(mcpsec.Question) bool {
		complain("ann@example.com")
		return true
	}
	s.deny("must not be written to", "mail_send", letterTo("ann@example.com"))
	if len(s.questions()) != 1 {
		t.Errorf("asked %q", s.questions())
	}
	s.ok("mail_preview", letterTo("bob+news@example.com"))
	complain("bob@example.com")
	s.deny("must not be written to", "mail_send", letterTo("bob+news@example.com"))
	if n := len(o.got()); n != 0 {
		t.Errorf("%d letters went out", n)
	}
	s.ok("mail_send", letterTo("cid@example.com"))
	if n := len(o.got()); n != 1 {
		t.Errorf("%d letters went out, want 1", n)
	}
}

// What a provider tells of a bounce stops the next message, and what a person takes off
// the list lets it through.
func TestFeedbackStopsMail(t *testing.T) {
	t.Parallel()
	o, list := newOffice(t), suppress.New(nil)
	opt := options(o.port)
	opt.Suppressed = mailtool.Suppressed(list)
	c := newClient(t, opt)
	if _, err := c.Send(t.Context(), hello("john@example.com")); err != nil {
		t.Fatal(err)
	}
	login := "hook:" + strings.Repeat("pass-", 4)
	v, err := webhook.Postmark(redact.NewSecret(login))
	if err != nil {
		t.Fatal(err)
	}
	f, err := mailtool.NewFeedback(mailtool.FeedbackOptions{Provider: "postmark", Verifier: v, Suppressions: list, Webhook: webhook.Options{Log: slog.New(slog.DiscardHandler)}})
	if err != nil {
		t.Fatal(err)
	}
	hooks := httptest.NewServer(f)
	t.Cleanup(hooks.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, hooks.URL, bytes.NewReader([]byte(`{"RecordType":"Bounce","Type":"HardBounce","ID":42,"Email":"John@Example.com","BouncedAt":"2026-01-05T16:33:54.9070259Z"}`)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(login)))
	res, err := hooks.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatal(res.Status)
	}
	if _, err := c.Send(t.Context(), mailtool.Message{To: []string{"john@example.com"}, Subject: "Again", Text: "Good day.\n"}); err == nil || len(o.got()) != 1 {
		t.Errorf("got %v and %d letters", err, len(o.got()))
	}
	if ok, err := list.Remove(t.Context(), "john@example.com", suppress.HardBounce); !ok || err != nil {
		t.Fatalf("got %v, %v", ok, err)
	}
	if _, err := c.Send(t.Context(), mailtool.Message{To: []string{"john@example.com"}, Subject: "Again", Text: "Good day.\n"}); err != nil || len(o.got()) != 2 {
		t.Errorf("got %v and %d letters", err, len(o.got()))
	}
}
