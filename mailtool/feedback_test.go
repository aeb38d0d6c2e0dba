package mailtool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

func sample(tb testing.TB, name string) string {
	tb.Helper()
	text, err := os.ReadFile("testdata/feedback/" + name + ".json")
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// What providers document is read as they document it.
func TestFeedbackSamples(t *testing.T) {
	t.Parallel()
	const uuid, mailgunID = "883953f4-6105-42a2-a16a-77a8eac79483", "20130503192659.13651.20287@sample.example.com"
	for name, tt := range map[string]struct {
		events     []string // kind address code message
		suppressed []string
	}{
		"sendgrid-batch": {[]string{
			"delivered delivered@example.com  14c5d75ce93.dfd.64b469@ismtpd-555",
			"hard_bounce bounce@example.com 5.0.0 14c5d75ce93.dfd.64b469@ismtpd-555",
			"soft_bounce blocked@example.com 5.7.1 14c5d75ce93.dfd.64b469@ismtpd-555",
			"hard_bounce dropped@example.com 5.0.0 14c5d75ce93.dfd.64b469@ismtpd-555",
			"complaint spamreport@example.com  14c5d75ce93.dfd.64b469@ismtpd-555",
			"unsubscribe unsubscribe@example.com  m.0",
			"unsubscribe group@example.com  m.0",
		}, []string{"bounce@example.com hard_bounce", "dropped@example.com hard_bounce", "group@example.com unsubscribe", "spamreport@example.com complaint", "unsubscribe@example.com unsubscribe"}},
		"postmark-bounce":         {[]string{"hard_bounce john@example.com HardBounce " + uuid}, []string{"john@example.com hard_bounce"}},
		"postmark-complaint":      {[]string{"complaint john@example.com SpamComplaint 00000000-0000-0000-0000-000000000000"}, []string{"john@example.com complaint"}},
		"postmark-delivery":       {[]string{"delivered john@example.com  00000000-0000-0000-0000-000000000000"}, nil},
		"postmark-subscription":   {[]string{"unsubscribe john@example.com ManualSuppression " + uuid}, []string{"john@example.com unsubscribe"}},
		"postmark-resubscription": {nil, nil},
		"resend-bounced":          {[]string{"hard_bounce delivered@example.com Permanent/Suppressed 56761188-7520-42d8-8898-ff6fc54ce618"}, []string{"delivered@example.com hard_bounce"}},
		"resend-several": {[]string{
			"soft_bounce ann@example.com Permanent/General 56761188-7520-42d8-8898-ff6fc54ce618",
			"soft_bounce bob@example.com Permanent/General 56761188-7520-42d8-8898-ff6fc54ce618",
		}, nil},
		"resend-complained":    {[]string{"complaint delivered@example.com  56761188-7520-42d8-8898-ff6fc54ce618"}, []string{"delivered@example.com complaint"}},
		"resend-delivered":     {[]string{"delivered delivered@example.com  56761188-7520-42d8-8898-ff6fc54ce618"}, nil},
		"resend-delayed":       {nil, nil},
		"mailgun-failed":       {[]string{"hard_bounce alice@example.com suppress-bounce/605 " + mailgunID}, []string{"alice@example.com hard_bounce"}},
		"mailgun-temporary":    {nil, nil},
		"mailgun-complained":   {[]string{"complaint alice@example.com  20110215055645.25246.63817@sample.example.com"}, []string{"alice@example.com complaint"}},
		"mailgun-unsubscribed": {[]string{"unsubscribe alice@example.com  20130503182626.18666.16540@sample.example.com"}, []string{"alice@example.com unsubscribe"}},
		"mailgun-delivered":    {[]string{"delivered alice@example.com /250 20130503182626.18666.16540@sample.example.com"}, nil},
		"ses-bounce": {[]string{
			"hard_bounce jane@example.com Permanent/General/5.1.1 custom-message-ID", "hard_bounce richard@example.com Permanent/General custom-message-ID",
		}, []string{"jane@example.com hard_bounce", "richard@example.com hard_bounce"}},
		"ses-complaint": {[]string{"complaint richard@example.com abuse 000001378603177f-7a5433e7-8edb-42ae-af10-f0181f34d6ee-000000"}, []string{"richard@example.com complaint"}},
		"ses-delivery":  {[]string{"delivered jane@example.com  0000014644fe5ef6-9a483358-9170-4cb4-a269-f5dcdf415321-000000"}, nil},
		"ses-published": {[]string{"soft_bounce recipient@example.com Transient/MailboxFull/4.2.2 EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000"}, nil},
		"ses-reject":    {[]string{"rejected recipient@example.com  EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			who, _, _ := strings.Cut(name, "-")
			d := newDesk(t, who, nil)
			d.deliver(t, providers()[who].sign(sample(t, name)), http.StatusOK)
			var got []string
			for _, e := range d.events {
				got = append(got, e.Kind+" "+e.Address+" "+e.Code+" "+e.MessageID)
				if e.Provider != who || e.Time.Year() < 2012 || e.Time.Year() > 2024 || e.Time.Location() != time.UTC {
					t.Errorf("got %+v", e)
				}
			}
			if !slices.Equal(got, tt.events) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tt.events, "\n"))
			}
			if got := d.suppressed(t); !slices.Equal(got, tt.suppressed) {
				t.Errorf("got %v, want %v", got, tt.suppressed)
			}
			if n := d.Stats()["suppressed"]; int(n) != len(tt.suppressed) {
				t.Errorf("%d counted as suppressed, want %d", n, len(tt.suppressed))
			}
		})
	}
}

// Kinds that the samples do not have.
func TestFeedbackKinds(t *testing.T) {
	t.Parallel()
	replace := func(who, file string, pairs ...string) string {
		text := sample(t, who+"-"+file)
		if out := strings.NewReplacer(pairs...).Replace(text); out != text {
			return out
		}
		t.Fatalf("%s has no %s", file, pairs[0])
		return ""
	}
	for _, tt := range []struct{ who, body, want string }{
		{"postmark", replace("postmark", "bounce", `"HardBounce"`, `"BadEmailAddress"`), kindHard},
		{"postmark", replace("postmark", "bounce", `"HardBounce"`, `"SoftBounce"`), kindSoft},
		{"postmark", replace("postmark", "bounce", `"HardBounce"`, `"Transient"`), kindSoft},
		{"postmark", replace("postmark", "bounce", `"HardBounce"`, `"NewWord"`), kindSoft},
		{"postmark", replace("postmark", "bounce", `"HardBounce"`, `"SpamComplaint"`), kindComplaint},
		{"postmark", replace("postmark", "bounce", `"HardBounce"`, `"Unsubscribe"`), kindUnsubscribe},
		{"postmark", replace("postmark", "bounce", `"HardBounce"`, `"AutoResponder"`), ""},
		{"postmark", replace("postmark", "bounce", `"HardBounce"`, `"DMARCPolicy"`), kindRejected},
		{"postmark", replace("postmark", "bounce", `"Bounce"`, `"Open"`), ""},
		{"postmark", replace("postmark", "subscription", `"ManualSuppression"`, `"HardBounce"`), kindHard},
		{"postmark", replace("postmark", "subscription", `"ManualSuppression"`, `"SpamComplaint"`), kindComplaint},
		{"resend", replace("resend", "bounced", `"Permanent"`, `"Transient"`), kindSoft},
		{"resend", replace("resend", "bounced", `"Permanent"`, `"Undetermined"`), kindSoft},
		{"resend", replace("resend", "bounced", `"type": "Permanent"`, `"x": 1`), kindHard},
		{"resend", replace("resend", "bounced", `email.bounced`, `email.suppressed`), kindRejected},
		{"resend", replace("resend", "bounced", `email.bounced`, `email.failed`), kindRejected},
		{"resend", replace("resend", "bounced", `email.bounced`, `email.opened`), ""},
		{"mailgun", replace("mailgun", "failed", `"suppress-bounce"`, `"bounce"`), kindHard},
		{"mailgun", replace("mailgun", "failed", `"suppress-bounce"`, `"suppress-complaint"`), kindComplaint},
		{"mailgun", replace("mailgun", "failed", `"suppress-bounce"`, `"suppress-unsubscribe"`), kindUnsubscribe},
		{"mailgun", replace("mailgun", "failed", `"suppress-bounce"`, `"espblock"`), kindSoft},
		{"mailgun", replace("mailgun", "failed", `"suppress-bounce"`, `"old"`), kindSoft},
		{"mailgun", replace("mailgun", "failed", `"failed"`, `"rejected"`), kindRejected},
		{"mailgun", replace("mailgun", "failed", `"failed"`, `"opened"`), ""},
		{"ses", replace("ses", "complaint", `"abuse"`, `"not-spam"`), ""},
		{"ses", replace("ses", "published", `"Transient"`, `"Undetermined"`), kindSoft},
		{"ses", replace("ses", "published", `"Transient"`, `"Permanent"`), kindHard},
		{"ses", replace("ses", "reject", `"Reject"`, `"Rendering Failure"`), kindRejected},
		{"ses", replace("ses", "reject", `"Reject"`, `"Open"`), ""},
		{"ses", "Successfully validated SNS topic for Amazon SES event publishing.", ""},
		{"sendgrid", `[{"email":"a@example.com","event":"bounce","status":"4.2.1","sg_event_id":"1","timestamp":1513299569}]`, kindSoft},
		{"sendgrid", `[{"email":"a@example.com","event":"bounce","sg_event_id":"1","timestamp":1513299569}]`, kindHard},
		{"sendgrid", `[{"email":"a@example.com","event":"dropped","reason":"Invalid"}]`, kindRejected},
		{"sendgrid", `[{"email":"a@example.com","event":"dropped"}]`, kindRejected},
		{"sendgrid", `[{"email":"a@example.com","event":"dropped","reason":"Bounced Address"}]`, kindHard},
		{"sendgrid", `[{"email":"a@example.com","event":"dropped","reason":"Spam Reporting Address"}]`, kindComplaint},
		{"sendgrid", `[{"email":"a@example.com","event":"dropped","reason":"Unsubscribed Address"}]`, kindUnsubscribe},
		{"sendgrid", `[{"email":"a@example.com","event":"account_status_change"}]`, ""},
		{"sendgrid", `[]`, ""},
	} {
		d := newDesk(t, tt.who, nil)
		d.deliver(t, providers()[tt.who].sign(tt.body), http.StatusOK)
		switch {
		case tt.want == "" && len(d.events) != 0, tt.want != "" && (len(d.events) != 1 || d.events[0].Kind != tt.want):
			t.Errorf("%s: got %+v, want %q", tt.body, d.events, tt.want)
		case tt.want != "" && d.Stats()[tt.want] != 1:
			t.Errorf("%s: counted %v", tt.body, d.Stats())
		}
	}
}

// failing is a list that fails at the nth Add.
type failing struct {
	suppress.Store
	at int
}

func (f *failing) Add(ctx context.Context, e suppress.Entry) (bool, error) {
	if f.at--; f.at == 0 {
		return false, errors.New("no connection")
	}
	return f.Store.Add(ctx, e)
}

const threeBounces = `[{"email":"a@example.com","event":"bounce","type":"bounce","sg_event_id":"1","timestamp":1513299569},` +
	`{"email":"b@example.com","event":"spamreport","sg_event_id":"2","timestamp":1513299569},` +
	`{"email":"c@example.com","event":"bounce","type":"blocked","sg_event_id":"3","timestamp":1513299569}]`

// What failed in part is delivered again, and then done as a whole, and once.
func TestFeedbackPartialFailure(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "sendgrid", func(o *FeedbackOptions) {
		o.SoftBounces = 2
		o.Suppressions = &failing{o.Suppressions, 2}
	})
	d.deliver(t, providers()["sendgrid"].sign(threeBounces), http.StatusInternalServerError)
	if s := d.Stats(); s["hard_bounce"]+s["suppressed"]+s["complaint"] != 0 || s["handler"] != 1 {
		t.Errorf("counted what is not done: %v", s)
	}
	if got := d.suppressed(t); !slices.Equal(got, []string{"a@example.com hard_bounce"}) {
		t.Errorf("got %v", got)
	}
	for range 2 { // and once more than is needed, as another list of the same events
		d.deliver(t, providers()["sendgrid"].sign(threeBounces), http.StatusOK)
		d.deliver(t, providers()["sendgrid"].sign(strings.Replace(threeBounces, `,{`, `, {`, 1)), http.StatusOK)
	}
	if got := d.suppressed(t); !slices.Equal(got, []string{"a@example.com hard_bounce", "b@example.com complaint"}) {
		t.Errorf("got %v: one soft bounce was counted twice, or an event lost", got)
	}
	if s := d.Stats(); s["repeated"] != 2 || s["handled"] != 2 || s["hard_bounce"] != 2 {
		t.Errorf("got %v", s)
	}
}

// An error of Handle lets the event come again.
func TestFeedbackHandleFails(t *testing.T) {
	t.Parallel()
	n := 0
	d := newDesk(t, "postmark", func(o *FeedbackOptions) {
		o.Handle = func(context.Context, FeedbackEvent) error {
			if n++; n == 1 {
				return errors.New("disk full")
			}
			return nil
		}
	})
	body := sample(t, "postmark-bounce")
	d.deliver(t, providers()["postmark"].sign(body), http.StatusInternalServerError)
	d.deliver(t, providers()["postmark"].sign(body), http.StatusOK)
	d.deliver(t, providers()["postmark"].sign(body), http.StatusOK)
	if n != 2 || len(d.suppressed(t)) != 1 {
		t.Errorf("handled %d times, want 2; %v", n, d.suppressed(t))
	}
}

// Deliveries come at one moment.
func TestFeedbackAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "postmark", func(o *FeedbackOptions) { o.Handle = nil })
	body := sample(t, "postmark-complaint")
	var wg sync.WaitGroup
	for i := range 20 {
		r := providers()["postmark"].sign(strings.Replace(body, "john@", fmt.Sprintf("john%d@", i/2), 1))
		wg.Go(func() {
			w := httptest.NewRecorder()
			d.ServeHTTP(w, r)
			if w.Code != http.StatusOK && w.Code != http.StatusServiceUnavailable { // the same event is being handled
				t.Errorf("status %d", w.Code)
			}
		})
	}
	wg.Wait()
	if s := d.Stats(); s["complaint"] != 10 || s["suppressed"] != 10 || len(d.suppressed(t)) != 10 {
		t.Errorf("got %v", s)
	}
}

// Nobody but the provider is listened to.
func TestFeedbackIsVerified(t *testing.T) {
	t.Parallel()
	for name, p := range providers() {
		r := p.sign(sample(t, map[string]string{"sendgrid": "sendgrid-batch", "postmark": "postmark-bounce", "resend": "resend-bounced", "mailgun": "mailgun-failed", "ses": "ses-bounce"}[name]))
		if name == "mailgun" || name == "ses" { // they sign in the body
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			forged := strings.Replace(string(body), `ignature":"`, `ignature":"0`, 1)
			if name == "ses" {
				forged = strings.Replace(string(body), "jane@", "john@", 1)
			}
			r.Body = io.NopCloser(strings.NewReader(forged))
			r.ContentLength = int64(len(forged))
		}
		for key := range r.Header {
			if key != "Content-Type" && !strings.HasSuffix(key, "Timestamp") && !strings.HasSuffix(key, "Id") {
				r.Header.Set(key, "Basic "+base64Of([]byte("forged, and of no use to anyone who has it")))
			}
		}
		d := newDesk(t, name, nil)
		d.deliver(t, r, http.StatusUnauthorized)
		if got := d.suppressed(t); got != nil || d.events != nil {
			t.Errorf("%s: a stranger has suppressed %v", name, got)
		}
	}
}

func soft(address string, id int) string {
	return fmt.Sprintf(`[{"email":%q,"event":"bounce","type":"blocked","sg_event_id":"id%d","timestamp":%d}]`, address, id, time.Now().Unix())
}

// receive hands a body to a Feedback as if it was verified.
func (d *desk) take(t *testing.T, body string) {
	t.Helper()
	if err := d.receive(t.Context(), webhook.Event{Scheme: "sendgrid", Body: []byte(body)}); err != nil {
		t.Error(err)
	}
}

// So many different soft bounces within the window suppress, and no fewer.
func TestSoftBounces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, "sendgrid", func(o *FeedbackOptions) { o.Window = 24 * time.Hour })
		want := func(address string, suppressed bool) {
			t.Helper()
			if _, ok, err := d.list.Check(t.Context(), address); ok != suppressed || err != nil {
				t.Errorf("%s: suppressed %v, %v; want %v", address, ok, err, suppressed)
			}
		}
		for range 5 {
			d.take(t, soft("same@example.com", 1))
		}
		want("same@example.com", false)

		for id := range 3 {
			want("ann@example.com", false)
			d.take(t, soft("ann@example.com", id))
			d.take(t, soft("Other@example.com", 10*id)) // its own count
		}
		want("ann@example.com", true)
		want("other@example.com", true)

		// The window moves: the first is forgotten before the third comes.
		d.take(t, soft("bob@example.com", 1))
		time.Sleep(12 * time.Hour)
		d.take(t, soft("bob@example.com", 2))
		time.Sleep(12 * time.Hour)
		d.take(t, soft("bob@example.com", 2)) // again, and not a third
		d.take(t, soft("bob@example.com", 3))
		want("bob@example.com", false)
		d.take(t, soft("bob@example.com", 4))
		want("bob@example.com", true)

		e, _, _ := d.list.Check(t.Context(), "bob@example.com")
		if e.Reason != suppress.Bounces || e.Source != "sendgrid" {
			t.Errorf("got %+v", e)
		}
	})
}

// Replicas count together, and what one is at the other leaves.
func TestSoftBouncesOfReplicas(t *testing.T) {
	t.Parallel()
	once, list := new(state.Memory), suppress.New(nil)
	shared := func(o *FeedbackOptions) { o.Once, o.Suppressions, o.SoftBounces = once, list, 2 }
	newDesk(t, "sendgrid", shared).take(t, soft("ann@example.com", 1))
	b := newDesk(t, "sendgrid", shared)
	claim, err := once.Claim(t.Context(), "mailtool/soft 1 ann@example.com", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.receive(t.Context(), webhook.Event{Scheme: "sendgrid", Body: []byte(soft("ann@example.com", 2))}); err == nil {
		t.Error("counted what another counts")
	}
	if err := once.Fail(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	b.take(t, soft("ann@example.com", 2))
	if _, ok, _ := list.Check(t.Context(), "ann@example.com"); !ok {
		t.Error("two replicas have counted apart")
	}
}

func TestSubscriptionIsConfirmed(t *testing.T) {
	t.Parallel()
	const url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=2336412f37"
	ask := func(kind string) *http.Request {
		return notify(map[string]string{"Type": kind, "Token": "2336412f37", "SubscribeURL": url, "Message": "You have chosen to subscribe"})
	}
	d := newDesk(t, "ses", nil)
	d.deliver(t, ask("SubscriptionConfirmation"), http.StatusInternalServerError)
	if !strings.Contains(d.log.String(), "FeedbackOptions.Confirm") || strings.Contains(d.log.String(), "2336412f37") {
		t.Errorf("logged %s", d.log)
	}
	var visited []string
	d = newDesk(t, "ses", func(o *FeedbackOptions) {
		o.Confirm = func(_ context.Context, url string) error { visited = append(visited, url); return nil }
	})
	d.deliver(t, ask("SubscriptionConfirmation"), http.StatusOK)
	d.deliver(t, ask("UnsubscribeConfirmation"), http.StatusOK)
	if !slices.Equal(visited, []string{url}) {
		t.Errorf("visited %v", visited)
	}
}

func TestNewFeedbackRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*FeedbackOptions){
		"no provider":    func(o *FeedbackOptions) { o.Provider = "" },
		"other provider": func(o *FeedbackOptions) { o.Provider = "SendGrid" },
		"no verifier":    func(o *FeedbackOptions) { o.Verifier = nil },
		"no list":        func(o *FeedbackOptions) { o.Suppressions = nil },
		"soft":           func(o *FeedbackOptions) { o.SoftBounces = 11 },
		"minus soft":     func(o *FeedbackOptions) { o.SoftBounces = -1 },
		"window":         func(o *FeedbackOptions) { o.Window = time.Second },
		"long window":    func(o *FeedbackOptions) { o.Window = 91 * 24 * time.Hour },
	} {
		o := FeedbackOptions{Provider: "postmark", Verifier: providers()["postmark"].verifier(t), Suppressions: suppress.New(nil), Webhook: webhook.Options{Log: slog.New(slog.DiscardHandler)}}
		if _, err := NewFeedback(o); err != nil {
			t.Fatal(err)
		}
		change(&o)
		if f, err := NewFeedback(o); err == nil || f != nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}
