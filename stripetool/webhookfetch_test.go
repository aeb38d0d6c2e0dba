package stripetool

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// The object is asked for by its kind and id, of the client's account, and what comes is
// that object.
func TestFetch(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/subscriptions/sub_1":
			fmt.Fprint(w, `{"id":"sub_1","object":"subscription","amount":2900,"later":{}}`)
		case "/v1/checkout/sessions/cs_test_1":
			fmt.Fprint(w, `{"id":"cs_test_1","object":"checkout.session"}`)
		case "/v1/invoices/in_other":
			fmt.Fprint(w, `{"id":"in_1","object":"invoice"}`)
		case "/v1/invoices/in_kind":
			fmt.Fprint(w, `{"id":"in_kind","object":"charge"}`)
		case "/v1/invoices/in_twice":
			fmt.Fprint(w, `{"id":"in_twice","object":"invoice","id":"in_twice"}`)
		case "/v1/invoices/in_type":
			fmt.Fprint(w, `{"id":"in_type","object":"invoice","amount":"4711"}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":{"type":"invalid_request_error","code":"resource_missing","message":"No such thing: 4711"}}`)
		}
	})
	c := f.client(t, func(o *Options) { o.Account, o.Resources = "acct_1Shop", nil })
	ev := func(kind, id string) WebhookEvent {
		return WebhookEvent{Kind: kind, Object: id, Account: "acct_1Shop"}
	}
	var got anObject
	if err := c.Fetch(t.Context(), ev("subscription", "sub_1"), &got); err != nil || got != (anObject{"sub_1", "subscription", 2900}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := c.Fetch(t.Context(), ev("checkout.session", "cs_test_1"), &got); err != nil {
		t.Error(err)
	}
	if h := f.asked()[0].Header.Get("Stripe-Account"); h != "acct_1Shop" {
		t.Errorf("asked for %q", h)
	}
	asked := len(f.asked())
	live, foreign := ev("subscription", "sub_1"), ev("subscription", "sub_1")
	live.Live, foreign.Account = true, "acct_1Other"
	for name, ev := range map[string]WebhookEvent{
		"live": live, "of another account": foreign, "of one's own": {Kind: "subscription", Object: "sub_1"}, "no id": ev("invoice", ""), "of another kind": ev("invoice", "ch_1"),
		"a path": ev("invoice", "in_1/../../x"), "a kind that is none": ev("person", "person_1"), "no kind": ev("", "in_1"), "many": ev("invoices", "in_1"),
	} {
		if err := c.Fetch(t.Context(), ev, &got); err == nil {
			t.Errorf("%s: fetched", name)
		}
	}
	if len(f.asked()) != asked {
		t.Errorf("%d requests", len(f.asked())-asked)
	}
	for _, id := range []string{"in_other", "in_kind", "in_twice", "in_type", "in_gone"} {
		if err := c.Fetch(t.Context(), ev("invoice", id), &got); err == nil || strings.Contains(err.Error(), "4711") {
			t.Errorf("%s: got %v", id, err)
		}
	}
}
