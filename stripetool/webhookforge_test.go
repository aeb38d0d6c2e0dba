package stripetool

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// A forgery is a delivery that must not run a handler.
type forgery struct {
	name string
	r    *http.Request
}

// forgeries are what can be made of a genuine event: by whoever has captured it, by
// whoever has another secret, and, as if Stripe's own signer had been talked into it,
// with the right one.
func forgeries(g genuine) []forgery {
	body := g.body()
	return append(append(captured(body), misdelivered(body)...), missigned(body)...)
}

// captured are genuine deliveries with one bit changed, of the body and the header.
func captured(body []byte) (all []forgery) {
	header := signature(endpointSecret, time.Now(), body)
	for i := range 40 {
		at := i * len(body) / 40
		changed := bytes.Clone(body)
		changed[at] ^= 1 << (i % 7)
		all = append(all, forgery{fmt.Sprint("a bit at ", at), delivery(changed, header)})
	}
	for i := range header {
		changed := []byte(header)
		changed[i] ^= 1
		all = append(all, forgery{fmt.Sprint("a bit of the header at ", i), delivery(body, string(changed))})
	}
	return all
}

// misdelivered are those that are signed, sent or timed in another way.
func misdelivered(body []byte) []forgery {
	now := time.Now()
	good := signature(endpointSecret, now, body)
	stamp, sig, _ := strings.Cut(strings.TrimPrefix(good, "t="), ",v1=")
	with := func(change func(*http.Request)) *http.Request {
		r := delivery(body, good)
		change(r)
		return r
	}
	unstamped := mcpsectest.Sender{Secret: redact.NewSecret(endpointSecret)}.HMAC(webhook.HMACOptions{SignatureHeader: "X"}, "", "."+string(body)).Header.Get("X")
	return []forgery{
		{"no signature", with(func(r *http.Request) { r.Header.Del("Stripe-Signature") })},
		{"an empty signature", delivery(body, "")},
		{"two headers", with(func(r *http.Request) { r.Header.Add("Stripe-Signature", good) })},
		{"two headers, one forged", with(func(r *http.Request) { r.Header["Stripe-Signature"] = []string{"t=1,v1=" + sig, good} })},
		{"two types of content", with(func(r *http.Request) { r.Header.Add("Content-Type", "application/json") })},
		{"a form", with(func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") })},
		{"no type of content", with(func(r *http.Request) { r.Header.Del("Content-Type") })},
		{"gzip", with(func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") })},
		{"GET", with(func(r *http.Request) { r.Method = http.MethodGet })},
		{"PUT", with(func(r *http.Request) { r.Method = http.MethodPut })},
		{"another secret", delivery(body, signature("whsec_"+strings.Repeat("x", 32), now, body))},
		{"an empty secret", delivery(body, signature("", now, body))},
		{"the secret without its prefix", delivery(body, signature(strings.TrimPrefix(endpointSecret, "whsec_"), now, body))},
		{"v0", delivery(body, "t="+stamp+",v0="+sig)},
		{"upper case", delivery(body, "t="+stamp+",v1="+strings.ToUpper(sig))},
		{"cut", delivery(body, "t="+stamp+",v1="+sig[:62])},
		{"longer", delivery(body, good+"00")},
		{"a space", delivery(body, "t="+stamp+", v1="+sig)},
		{"two times", delivery(body, "t=1,"+good)},
		{"no time", delivery(body, "v1="+sig)},
		{"signed without its time", delivery(body, "t="+stamp+",v1="+unstamped)},
		{"old", delivery(body, signature(endpointSecret, now.Add(-6*time.Minute), body))},
		{"very old", delivery(body, signature(endpointSecret, time.Unix(1, 0), body))},
		{"ahead", delivery(body, signature(endpointSecret, now.Add(6*time.Minute), body))},
		{"ten years ahead", delivery(body, signature(endpointSecret, now.AddDate(10, 0, 0), body))},
		{"an empty body", delivery(nil, signature(endpointSecret, now, nil))},
		{"an empty body, captured", delivery(nil, good)},
		{"oversized", signed(append(bytes.Clone(body), bytes.Repeat([]byte(" "), 1<<20)...))},
		{"endless", with(func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(io.MultiReader(bytes.NewReader(body), forever{})), -1
		})},
	}
}

type forever struct{}

func (forever) Read(p []byte) (int, error) { return copy(p, "          "), nil }

// ordered is a JSON object by its members, in their order.
type ordered [][2]string

func readOrdered(raw string) (o ordered) {
	dec := jsontext.NewDecoder(strings.NewReader(raw))
	if _, err := dec.ReadToken(); err != nil {
		panic(err)
	}
	for dec.PeekKind() == '"' {
		name, _ := dec.ReadToken()
		s := name.String()
		value, _ := dec.ReadValue()
		o = append(o, [2]string{s, string(value)})
	}
	return o
}

func (o ordered) String() string {
	parts := make([]string, len(o))
	for i, m := range o {
		parts[i] = `"` + m[0] + `": ` + m[1]
	}
	return "{" + strings.Join(parts, ",\n ") + "}"
}

func (o ordered) at(name string) int {
	return slices.IndexFunc(o, func(m [2]string) bool { return m[0] == name })
}

// with has other values for a member's name and value.
func (o ordered) with(name, newName, value string) ordered {
	o = slices.Clone(o)
	o[o.at(name)] = [2]string{newName, value}
	return o
}

func (o ordered) first(name, value string) ordered { return append(ordered{{name, value}}, o...) }
func (o ordered) last(name, value string) ordered {
	return append(slices.Clone(o), [2]string{name, value})
}

// missigned are events that Stripe does not send, with a signature that fits.
func missigned(body []byte) (all []forgery) {
	add := func(name, changed string) { all = append(all, forgery{name, signed([]byte(changed))}) }
	top := readOrdered(string(body))
	data := readOrdered(top[top.at("data")][1])
	object := readOrdered(data[data.at("object")][1])
	inData := func(d ordered) string { return top.with("data", "data", d.String()).String() }
	inObject := func(o ordered) string { return inData(data.with("object", "object", o.String())) }
	for name, old := range map[string]string{"livemode": "true", "api_version": `"2024-04-10"`} {
		add("another "+name, top.with(name, name, old).String())
	}
	for _, name := range []string{"account", "context"} {
		for _, value := range []string{`"acct_1Other"`, `"cus_1"`, `""`, "1", "{}", "false"} {
			add(name+" is "+value, top.first(name, value).String())
		}
	}
	add("two accounts", top.first("account", `"acct_1A"`).first("context", `"acct_1B"`).String())
	for _, name := range []string{"id", "object", "type", "created", "livemode", "api_version", "data"} {
		value := top[top.at(name)][1]
		add("no "+name, top.with(name, "x_"+name, value).String())
		for _, other := range []string{"null", `""`, "1.5", "-1", "0", `["x"]`, `{"a":1}`, `"null"`, `"true"`, `"a b"`} {
			add(name+" is "+other, top.with(name, name, other).String())
		}
		add(name+" twice", top.first(name, value).String())
		add(name+" twice, the first one other", top.first(name, `"x"`).String())
		add(name+" twice, the last one other", top.last(name, `"x"`).String())
		add(name+" twice, by an escape", top.first(fmt.Sprintf(`\u%04x%s`, name[0], name[1:]), value).String())
		for _, other := range cases(name) {
			add(name+" as "+other, top.with(name, other, value).String())
			add(name+" and "+other, top.last(other, value).String())
		}
	}
	for _, other := range append(cases("object"), cases("previous_attributes")...) {
		add("data with "+other, inData(data.last(other, "{}")))
	}
	for _, other := range append(cases("object"), cases("id")...) {
		add("an object with "+other, inObject(object.first(other, `"x"`)))
	}
	for _, value := range []string{"null", "[]", `"in_1"`, "1", "{}", `{"object":"invoice","object":"invoice"}`} {
		add("the object is "+value, inData(data.with("object", "object", value)))
	}
	add("no object", inData(ordered{{"previous_attributes", "{}"}}))
	add("previous is a list", inData(ordered{{"object", object.String()}, {"previous_attributes", "[1]"}}))
	for _, kind := range []string{`"account"`, `"event"`, `"Invoice"`, `""`, "1", "null"} {
		add("of the kind "+kind, inObject(object.with("object", "object", kind)))
	}
	for _, id := range []string{"1", "{}", `""`, `"` + strings.Repeat("x", 501) + `"`} {
		add("the object's id is "+id[:min(9, len(id))], inObject(object.with("id", "id", id)))
	}
	add("two ids of the object", inObject(object.first("id", `"in_2"`)))
	add("two amounts", inObject(object.last("amount", "1")))
	return append(all, misspelt(string(body))...)
}

// misspelt are texts that are no JSON, or can be read in two ways.
func misspelt(text string) (all []forgery) {
	add := func(name, changed string) {
		if changed == text {
			panic("nothing is changed: " + name)
		}
		all = append(all, forgery{name, signed([]byte(changed))})
	}
	replace := func(name, old, new string) { add(name, strings.Replace(text, old, new, 1)) }
	replace("two of a name, three deep", `"order": "4711"`, `"order": "4711", "order": "4712"`)
	replace("two of a name, by an escape", `"order": "4711"`, `"order": "4711", "\u006frder": "4712"`)
	replace("two of a name in a list", `"id": "il_1"`, `"id": "il_1", "id": "il_2"`)
	replace("invalid UTF-8", "4711", "47\xff11")
	replace("half a surrogate", "4711", `\ud800`)
	replace("a control character", "4711", "47\x0111")
	replace("a comment", "{", "{ /* */")
	replace("a comma too many", `"livemode"`, `,"livemode"`)
	replace("NaN", "1900", "NaN")
	replace("a leading zero", "1900", "01900")
	replace("deep", `"4711"`, strings.Repeat("[", 100)+strings.Repeat("]", 100))
	add("two values", text+text)
	add("something behind", text+"x")
	add("a mark in front", "\xef\xbb\xbf"+text)
	add("a NUL behind", text+"\x00")
	add("cut", text[:len(text)-2])
	add("in a list", "["+text+"]")
	add("a string", `"`+strings.ReplaceAll(text, `"`, `'`)+`"`)
	add("null", "null")
	add("empty", "{}")
	add("thin", `{"id":"evt_1","object":"v2.core.event","type":"v1.billing.meter.error_report_triggered","livemode":false,"created":"2024-09-26T17:46:22.134Z"}`)
	return all
}

// cases are other ways to write a name, which some readers take for the same.
func cases(name string) []string {
	all := []string{strings.ToUpper(name[:1]) + name[1:], strings.ToUpper(name)}
	if strings.Contains(name, "s") {
		all = append(all, strings.Replace(name, "s", "ſ", 1))
	}
	if name == "livemode" {
		all = append(all, "LiveMode", "liveMode")
	}
	return all
}

// None of what can be made of a genuine event runs a handler or is answered with a 2xx;
// the event itself runs it once afterwards.
func TestWebhookForgeries(t *testing.T) {
	t.Parallel()
	for _, g := range genuines() {
		t.Run(g.eventType, func(t *testing.T) {
			t.Parallel()
			var r runs
			w := newWebhook(t, nil, r.on(g.eventType))
			all := forgeries(g)
			if len(all) < 250 {
				t.Fatalf("%d forgeries", len(all))
			}
			for _, f := range all {
				if status := serve(w, f.r); status < 400 || status > 499 || r.n.Load() != 0 {
					t.Fatalf("%s: got %d after %d runs", f.name, status, r.n.Load())
				}
			}
			for range 3 {
				if status := serve(w, signed(g.body())); status != http.StatusOK || r.n.Load() != 1 {
					t.Fatalf("genuine: got %d after %d runs", status, r.n.Load())
				}
			}
			replay := delivery(g.body(), signature(endpointSecret, time.Now().Add(-4*time.Minute), g.body()))
			if status := serve(w, replay); status != http.StatusOK || r.n.Load() != 1 {
				t.Errorf("replayed: got %d after %d runs", status, r.n.Load())
			}
		})
	}
}
