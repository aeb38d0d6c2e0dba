package mailtool

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// verified is what a verifier makes of a genuine delivery.
func verified(who, text string) webhook.Event {
	ev := webhook.Event{Scheme: who, ID: deliveryID(), Body: []byte(text)}
	switch who {
	case "resend":
		ev.Scheme = "standard"
	case "mailgun":
		ev.Body = []byte(`{"signature":{"timestamp":"1","token":"t","signature":"s"},"event-data":` + text + `}`)
	case "ses":
		message, err := json.Marshal(text)
		if err != nil {
			panic(err)
		}
		ev.Scheme, ev.Type, ev.Body = "sns", "Notification", []byte(`{"Message":`+string(message)+`}`)
	}
	return ev
}

var files = map[string][]string{
	"sendgrid": {"few"},
	"postmark": {"bounce", "complaint", "delivery", "subscription"},
	"resend":   {"bounced", "several", "complained", "delivered"},
	"mailgun":  {"failed", "complained", "unsubscribed"},
	"ses":      {"published", "complaint", "delivery", "reject"},
}

var codeForm, idForm = regexp.MustCompile(`^[A-Za-z0-9._/-]{0,64}$`), regexp.MustCompile(`^[!-~]{0,250}$`)

// sane checks what holds for whatever came.
func (d *desk) sane(t testing.TB, about string) {
	t.Helper()
	for _, e := range d.events {
		a, err := parseAddress(e.Address)
		if err != nil || a.String() != e.Address || !codeForm.MatchString(e.Code) || !idForm.MatchString(e.MessageID) ||
			!slices.Contains(feedbackKeys[:6], e.Kind) || e.Time.Year() < 2000 || e.Time.After(time.Now().Add(25*time.Hour)) {
			t.Errorf("%.300s: got %+v", about, e)
		}
	}
	page, err := d.list.List(t.Context(), "", suppress.MaxList)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page {
		if e.Check() != nil {
			t.Errorf("%.300s: kept %+v", about, e)
		}
	}
}

// wrongValues are what may stand where something else should.
var wrongValues = []any{
	nil, true, -1, 1e300, "", " ", "\x00", "\u202e\u200b", "\r\nBcc: x@example.net", strings.Repeat("x", 5000), "<script>", []any{}, []any{nil}, []any{[]any{"a"}},
	map[string]any{}, map[string]any{"emailAddress": 5}, "9999-12-31T23:59:59Z", "victim@example.com\u0000", "../../etc",
}

// everywhere calls f with the document in which one value after the other is wrong,
// missing or there twice.
func everywhere(t *testing.T, text string, f func(mutated string)) (n int) {
	t.Helper()
	var doc any
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	encode := func() {
		out, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		n++
		f(string(out))
	}
	var visit func(any)
	visit = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, was := range v {
				for _, w := range wrongValues {
					v[key] = w
					encode()
				}
				delete(v, key)
				encode()
				v[key] = "TWICE"
				out, _ := json.Marshal(doc)
				twice, _ := json.Marshal(was)
				n++
				f(strings.Replace(string(out), `"TWICE"`, string(twice)+`,"`+key+`":"x@example.net"`, 1))
				v[key] = was
				visit(was)
			}
		case []any:
			for i, was := range v {
				for _, w := range wrongValues {
					v[i] = w
					encode()
				}
				v[i] = was
				visit(was)
			}
		}
	}
	visit(doc)
	return n
}

// Whatever stands in a genuine delivery, what comes out of it is clean, and nobody is
// suppressed whom it did not name.
func TestFeedbackOfWrongValues(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile(`[a-z0-9]+@example\.com`)
	for who, names := range files {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			n := 0
			for _, name := range names {
				text := sample(t, who+"-"+name)
				may := named.FindAllString(text, -1)
				d := newDesk(t, who, func(o *FeedbackOptions) { o.SoftBounces = 1 })
				n += everywhere(t, text, func(mutated string) {
					d.clear()
					_ = d.receive(t.Context(), verified(who, mutated))
					d.sane(t, mutated)
					for _, s := range d.suppressed(t) {
						if a, _, _ := strings.Cut(s, " "); !slices.Contains(may, a) {
							t.Errorf("%.300s: suppressed %s", mutated, a)
						}
					}
				})
			}
			if n < 30 {
				t.Errorf("%d mutations, want 30", n)
			}
		})
	}
}

// hostileAddresses are JSON values that are no address one could write to.
var hostileAddresses = []string{
	`null`, `5`, `true`, `[]`, `{}`, `["ann@example.com"]`, `{"address":"ann@example.com"}`, `""`, `" "`, `"ann"`, `"@"`, `"ann@"`, `"@example.com"`, `"ann@example"`,
	`"ann@example.com,bob@example.com"`, `"ann@example.com bob@example.com"`, `"ann@bob@example.com"`, `"ann@example.com\n"`, `"ann@example.com\r\nBcc: x@example.com"`,
	`"ann\u0000@example.com"`, `"ann\u200b@example.com"`, `"\u202eann@example.com"`, `"ann@ex\u00adample.com"`, `"änn@example.com"`, `"ann@example.com."`, `"ann@.example.com"`,
	`"ann@[127.0.0.1]"`, `"ann@127.0.0.1"`, `"\"ann bob\"@example.com"`, `"ann(x)@example.com"`, `"@evil.example:ann@example.com"`, `"ann%evil.example@example.com"`, `"evil!ann@example.com"`,
	`"<ann@example.com"`, `"<>"`, `"Ann <ann@example.com>, <bob@example.com>"`, `"undisclosed-recipients:;"`, `"example.com"`, `"' OR 1=1 --@example.com "`,
	`"` + strings.Repeat("Ann ", 500) + `<ann@example.com>"`, `"` + strings.Repeat("a", 65) + `@example.com"`, `"a@` + strings.Repeat("b", 300) + `.com"`, `"` + strings.Repeat("a@", 5000) + `"`,
}

func TestFeedbackOfHostileAddresses(t *testing.T) {
	t.Parallel()
	for who, file := range map[string]string{"sendgrid": `[{"email":ADDRESS,"event":"spamreport","sg_event_id":"1","timestamp":1513299569}]`, "postmark": `{"RecordType":"SpamComplaint","ID":1,"Email":ADDRESS}`,
		"resend": `{"type":"email.complained","data":{"to":[ADDRESS]}}`, "mailgun": `{"event":"complained","recipient":ADDRESS}`,
		"ses": `{"eventType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":ADDRESS}]}}`} {
		for _, a := range hostileAddresses {
			d := newDesk(t, who, nil)
			err := d.receive(t.Context(), verified(who, strings.Replace(file, "ADDRESS", a, 1)))
			if got := d.suppressed(t); got != nil || d.events != nil {
				t.Errorf("%s: %.100s: suppressed %v", who, a, got)
			}
			if err == nil && d.Stats()["unreadable"] != 1 {
				t.Errorf("%s: %.100s: neither failed nor counted", who, a)
			}
			if strings.Contains(d.log.String(), "@") || err != nil && strings.Contains(err.Error(), "@") {
				t.Errorf("%s: %.100s: logged %s, %v", who, a, d.log, err)
			}
		}
		d := newDesk(t, who, nil)
		if err := d.receive(t.Context(), verified(who, strings.Replace(file, "ADDRESS", `"Ann \"x\" <ANN@M\u00fcnchen.Example>"`, 1))); err != nil {
			t.Error(err)
		}
		if got := d.suppressed(t); !slices.Equal(got, []string{"ann@xn--mnchen-3ya.example complaint"}) {
			t.Errorf("%s: got %v", who, got)
		}
	}
}

// An event of nobody is not read as one of no interest.
func TestFeedbackOfNobody(t *testing.T) {
	t.Parallel()
	for body, who := range map[string]string{
		`{"type":"email.complained","data":{"to":[]}}`: "resend", `{"type":"email.complained"}`: "resend",
		`{"eventType":"Complaint","complaint":{"complainedRecipients":[]}}`: "ses", `{"eventType":"Bounce"}`: "ses",
	} {
		d := newDesk(t, who, nil)
		if err := d.receive(t.Context(), verified(who, body)); err != nil || d.Stats()["unreadable"] != 1 {
			t.Errorf("%s: got %v, %v", body, err, d.Stats())
		}
	}
}

// What stands in an envelope of SNS's is Amazon's only if SNS signed it.
func TestFeedbackOfSESNeedsSNS(t *testing.T) {
	t.Parallel()
	ev := verified("ses", sample(t, "ses-complaint"))
	ev.Scheme = "hmac"
	d := newDesk(t, "ses", nil)
	if err := d.receive(t.Context(), ev); err == nil || d.suppressed(t) != nil {
		t.Errorf("got %v, %v", err, d.suppressed(t))
	}
}

func TestSeconds(t *testing.T) {
	t.Parallel()
	for _, f := range []float64{0, -1, 1e300, -1e300, 1 << 40, math.Inf(1), math.NaN()} {
		if got := seconds(f); !got.IsZero() {
			t.Errorf("%g: got %v", f, got)
		}
	}
	if got := seconds(1534108637.153125).UTC(); got != time.Date(2018, 8, 12, 21, 17, 17, 153125000, time.UTC) {
		t.Errorf("got %v", got)
	}
}

// Bodies that are no events of the provider's fail as a whole, and do nothing.
func TestFeedbackOfOtherBodies(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	for who := range files {
		for _, body := range []string{``, `null`, `5`, `"x"`, `{}`, `[`, `[1`, `{"a":`, `[]]`, "\xff", deep, `{"x":` + deep + `}`, `[` + deep + `]`} {
			d := newDesk(t, who, nil)
			err := d.receive(t.Context(), verified(who, body))
			if d.events != nil || d.suppressed(t) != nil || who != "sendgrid" && who != "ses" && err == nil {
				t.Errorf("%s: %.40q: got %v, %v", who, body, d.events, err)
			}
			if err != nil && len(body) > 2 && len(body) < 10 && strings.Contains(err.Error(), body) {
				t.Errorf("%s: the error holds the body: %v", who, err)
			}
		}
	}
}

// One event that cannot be read does not keep the others from being carried out.
func TestFeedbackBatchGoesOn(t *testing.T) {
	t.Parallel()
	bad := []string{`5`, `null`, `"x"`, `[]`, `{"email":1}`, `{"email":"a@example.com","email":"b@example.com","event":"spamreport"}`, "{\"email\":\"\xff@example.com\",\"event\":\"spamreport\"}", `{"timestamp":"x"}`, `{"event":"spamreport"}`}
	d := newDesk(t, "sendgrid", nil)
	body := `[` + strings.Join(bad, ",") + `,{"email":"last@example.com","event":"spamreport","sg_event_id":"9"}]`
	d.deliver(t, providers()["sendgrid"].sign(body), http.StatusOK)
	if got := d.suppressed(t); !slices.Equal(got, []string{"last@example.com complaint"}) {
		t.Errorf("got %v", got)
	}
	if s := d.Stats(); s["unreadable"] != uint64(len(bad)-1) || s["ignored"] != 1 {
		t.Errorf("of %d: %v", len(bad), s)
	}
	if log := d.log.String(); strings.Contains(log, "@") || !strings.Contains(log, "left out") {
		t.Errorf("logged %s", log)
	}
}

// A delivery has so many events, and no more.
func TestFeedbackIsBounded(t *testing.T) {
	t.Parallel()
	batch := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,{"email":"a%d@example.com","event":"spamreport"}`, i)
		}
		return `[` + b.String()[1:] + `]`
	}
	d := newDesk(t, "sendgrid", nil)
	d.deliver(t, providers()["sendgrid"].sign(batch(maxEvents+1)), http.StatusInternalServerError)
	if got := d.suppressed(t); got != nil {
		t.Errorf("%d were suppressed", len(got))
	}
	d.deliver(t, providers()["sendgrid"].sign(batch(maxEvents)), http.StatusOK)
	if n := d.Stats()["suppressed"]; n != maxEvents {
		t.Errorf("%d were suppressed", n)
	}
	d.deliver(t, providers()["sendgrid"].sign(`[`+strings.Repeat(" ", 1<<20)+`]`), http.StatusRequestEntityTooLarge)
}

func fuzzFeedback(f *testing.F, who string) {
	for _, name := range files[who] {
		f.Add(sample(f, who+"-"+name))
	}
	d := newDesk(f, who, func(o *FeedbackOptions) { o.SoftBounces = 1 })
	f.Fuzz(func(t *testing.T, text string) {
		d.clear()
		_ = d.receive(t.Context(), verified(who, text))
		d.sane(t, text)
	})
}

func FuzzSendGrid(f *testing.F) { fuzzFeedback(f, "sendgrid") }
func FuzzPostmark(f *testing.F) { fuzzFeedback(f, "postmark") }
func FuzzResend(f *testing.F)   { fuzzFeedback(f, "resend") }
func FuzzMailgun(f *testing.F)  { fuzzFeedback(f, "mailgun") }
func FuzzSES(f *testing.F)      { fuzzFeedback(f, "ses") }
