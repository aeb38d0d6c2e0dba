package stripetool

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// An account is what there is besides charges and refunds: objects by their path,
// which requests that write change as Stripe does.
type account struct {
	objects map[string]object
	done    []string // methods and paths of what had an effect, in order
}

type object = map[string]any

// permissions are all that there are.
var permissions = map[string][]string{
	"refunds": {"create"}, "customers": {"create", "update", "delete"}, "products": {"create", "update"}, "prices": {"create"}, "payment_intents": {"create", "confirm", "capture", "cancel"},
	"setup_intents": {"create"}, "payment_methods": {"attach", "detach"}, "coupons": {"create"}, "promotion_codes": {"create"}, "disputes": {"update", "close"},
}

// usual are the arguments of a call that a tool answers.
var usual = map[string]string{
	"stripe_create_customer":        `{"name":"Ann"}`,
	"stripe_update_customer":        `{"id":"cus_Ann","name":"Anna"}`,
	"stripe_delete_customer":        `{"id":"cus_Gone"}`,
	"stripe_create_product":         `{"name":"Tea"}`,
	"stripe_update_product":         `{"id":"prod_tea","active":false}`,
	"stripe_create_price":           `{"product":"prod_tea","amount":"EUR 4.00"}`,
	"stripe_create_payment_intent":  `{"amount":"EUR 0.01"}`,
	"stripe_confirm_payment_intent": `{"id":"pi_new"}`,
	"stripe_capture_payment_intent": `{"id":"pi_big","amount":"EUR 0.01"}`,
	"stripe_cancel_payment_intent":  `{"id":"pi_bare"}`,
	"stripe_create_setup_intent":    `{"customer":"cus_Ann"}`,
	"stripe_attach_payment_method":  `{"id":"pm_free","customer":"cus_Ann"}`,
	"stripe_detach_payment_method":  `{"id":"pm_gone"}`,
	"stripe_create_coupon":          `{"percent_off":10,"duration":"once","max_redemptions":5}`,
	"stripe_create_promotion_code":  `{"coupon":"half","max_redemptions":5}`,
	"stripe_update_dispute":         `{"id":"dp_open","evidence":{"product_description":"a mug"}}`,
	"stripe_close_dispute":          `{"id":"dp_two"}`,
}

func newAccount() *account {
	a := &account{objects: map[string]object{}}
	for _, id := range []string{"cus_Ann", "cus_Bob", "cus_Gone", "cus_pi"} {
		a.objects["customers/"+id] = object{"object": "customer", "name": strings.TrimPrefix(id, "cus_"), "email": strings.ToLower(id) + "@shop.example", "balance": -500, "currency": "eur", "metadata": object{},
			"invoice_prefix": secretWord, "address": object{"line1": secretWord}}
	}
	for id, customer := range map[string]any{"pm_ann": "cus_Ann", "pm_declined": "cus_Ann", "pm_bob": "cus_Bob", "pm_free": nil, "pm_other": nil, "pm_gone": "cus_Ann"} {
		a.objects["payment_methods/"+id] = object{"object": "payment_method", "type": "card", "customer": customer, "card": object{"brand": "visa", "last4": "4242", "fingerprint": secretWord}, "billing_details": object{"email": secretMail}}
	}
	for _, id := range []string{"pi_held", "pi_big", "pi_yen"} {
		a.objects["payment_intents/"+id] = intent(4900, "eur", "requires_capture", "manual", "pm_ann")
	}
	a.objects["payment_intents/pi_big"]["amount"], a.objects["payment_intents/pi_big"]["amount_capturable"] = 1_000_000, 1_000_000
	a.objects["payment_intents/pi_yen"]["currency"] = "jpy"
	a.objects["payment_intents/pi_new"] = intent(1900, "eur", "requires_confirmation", "automatic", "pm_ann")
	a.objects["payment_intents/pi_bare"] = intent(1900, "eur", "requires_payment_method", "automatic", nil)
	a.objects["payment_intents/pi_hold"] = intent(4500, "eur", "requires_confirmation", "manual", "pm_ann")
	a.objects["payment_intents/pi_large"] = intent(5001, "eur", "requires_confirmation", "manual", "pm_ann")
	a.objects["payment_intents/pi_dinar"] = intent(1250, "kwd", "requires_confirmation", "automatic", "pm_ann")
	a.objects["payment_intents/pi_paid"] = intent(1900, "eur", "succeeded", "automatic", "pm_ann")
	a.objects["payment_intents/pi_off"] = intent(1900, "eur", "canceled", "automatic", "pm_ann")
	a.objects["payment_intents/pi_wait"] = intent(1900, "eur", "requires_action", "automatic", "pm_ann")
	for id, status := range map[string]string{"dp_open": "needs_response", "dp_two": "needs_response", "dp_won": "won"} {
		a.objects["disputes/"+id] = object{"object": "dispute", "amount": 4900, "currency": "eur", "charge": "ch_one", "reason": "product_not_received", "status": status, "metadata": object{},
			"evidence": object{"customer_email_address": secretMail, "receipt": "file_1"}, "evidence_details": object{"submission_count": 0}}
	}
	for id, p := range map[string]object{"prod_tea": {"name": "Tea"}, "prod_cup": {"name": "Cup"}} {
		a.objects["products/"+id] = merged(object{"object": "product", "active": true, "metadata": object{}}, p)
	}
	a.objects["prices/price_tea"] = object{"object": "price", "product": "prod_tea"}
	a.objects["prices/price_cup"] = object{"object": "price", "product": "prod_cup"}
	for id, c := range map[string]object{"half": {"percent_off": 50, "duration": "once"}, "free": {"percent_off": 100, "duration": "forever"}, "fiver": {"amount_off": 500, "currency": "eur", "duration": "repeating", "duration_in_months": 3},
		"huge": {"amount_off": 500_000, "currency": "eur", "duration": "once"}, "spent": {"percent_off": 5, "duration": "once", "valid": false}} {
		a.objects["coupons/"+id] = merged(object{"object": "coupon", "name": id, "valid": true}, c)
	}
	for path, o := range a.objects {
		o["id"] = path[strings.LastIndex(path, "/")+1:]
	}
	return a
}

func merged(all ...object) object {
	out := object{}
	for _, o := range all {
		maps.Copy(out, o)
	}
	return out
}

func intent(amount int, currency, status, capture string, method any) object {
	o := object{"object": "payment_intent", "amount": amount, "amount_capturable": 0, "currency": currency, "status": status, "capture_method": capture, "customer": "cus_Ann", "payment_method": method,
		"client_secret": "pi_1_secret_" + secretWord, "receipt_email": secretMail, "metadata": object{}}
	if status == "requires_capture" {
		o["amount_capturable"] = amount
	}
	return o
}

// read answers for what there is, and is not, and nothing for what it does not know.
func (a *account) read(path string, q url.Values) (string, int) {
	if path == "subscriptions" && q.Get("customer") != "" {
		return `{"object":"list","has_more":false,"data":[{"id":"sub_1"},{"id":"sub_2"}]}`, 200
	}
	if o := a.objects[path]; o != nil {
		return text(o), 200
	}
	return "", 0
}

func text(o object) string {
	raw, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// write has the effect of a request, or answers 0 where it knows nothing of it.
func (a *account) write(method, path string, q url.Values) (int, string) {
	status, o := a.act(method, strings.Split(path, "/"), q)
	if status == 200 {
		a.done = append(a.done, method+" "+path)
		return status, text(o)
	}
	if status == 402 {
		return status, wrong("card_error", "card_declined", "insufficient_funds")
	}
	if status == 404 {
		return status, wrong("invalid_request_error", "resource_missing", "")
	}
	return status, wrong("invalid_request_error", "payment_intent_unexpected_state", "")
}

var prefixOf = map[string]string{"customers": "cus_", "products": "prod_", "prices": "price_", "payment_intents": "pi_", "setup_intents": "seti_", "coupons": "coupon_", "promotion_codes": "promo_"}

func (a *account) act(method string, parts []string, q url.Values) (int, object) {
	path := strings.Join(parts[:min(2, len(parts))], "/")
	o, action := a.objects[path], ""
	if len(parts) == 3 {
		action = parts[2]
	}
	switch {
	case len(parts) == 1 && prefixOf[path] != "":
		return 200, a.create(path, q)
	case o == nil:
		return 400, nil
	case method == http.MethodDelete && o["deleted"] == true:
		return 404, nil
	case method == http.MethodDelete:
		a.objects[path] = object{"id": o["id"], "object": o["object"], "deleted": true}
		return 200, a.objects[path]
	case action == "" && parts[0] == "disputes":
		if q.Get("submit") != "false" { // which is what Stripe does unless it is told not to
			o["evidence_details"] = object{"submission_count": 1}
		}
		q.Del("submit")
		assign(o, q)
	case action == "":
		assign(o, q)
	case action == "close":
		o["status"] = "lost"
	case action == "attach" && o["customer"] == nil:
		assign(o, q)
	case action == "detach" && o["customer"] != nil:
		o["customer"] = nil
	case parts[0] == "payment_intents":
		return pay(o, action, q), o
	default:
		return 400, nil
	}
	return 200, o
}

func (a *account) create(path string, q url.Values) object {
	o := object{"id": fmt.Sprintf("%s%d", prefixOf[path], len(a.done)+1), "object": strings.TrimSuffix(path, "s")}
	if path == "payment_intents" {
		o = merged(intent(0, "", "requires_payment_method", "automatic", nil), o, object{"customer": nil})
		if q.Get("payment_method") != "" {
			o["status"] = "requires_confirmation"
		}
	}
	o["client_secret"] = secretWord
	assign(o, q)
	a.objects[path+"/"+o["id"].(string)] = o
	return o
}

// pay takes a payment from one state to the next.
func pay(o object, action string, q url.Values) int {
	amount, _ := o["amount"].(int)
	held, _ := o["amount_capturable"].(int)
	switch part, _ := strconv.Atoi(q.Get("amount_to_capture")); {
	case action == "confirm" && slices.Contains([]any{"requires_confirmation", "requires_payment_method"}, o["status"]):
		assign(o, q)
		switch {
		case o["payment_method"] == "pm_declined":
			o["status"], o["payment_method"] = "requires_payment_method", nil
			return 402
		case o["capture_method"] == "manual":
			o["status"], o["amount_capturable"] = "requires_capture", amount
		default:
			o["status"], o["amount_received"] = "succeeded", amount
		}
	case action == "capture" && o["status"] == "requires_capture" && part > 0 && part <= held:
		o["status"], o["amount_capturable"], o["amount_received"] = "succeeded", 0, part
	case action == "cancel" && o["status"] != "succeeded" && o["status"] != "canceled":
		o["status"], o["amount_capturable"], o["cancellation_reason"] = "canceled", 0, q.Get("cancellation_reason")
	default:
		return 400
	}
	return 200
}

// assign sets members by parameters, as metadata[order]=6. An empty text is none.
func assign(o object, q url.Values) {
	for name := range q {
		at, path := o, strings.Split(strings.ReplaceAll(name, "]", ""), "[")
		for _, p := range path[:len(path)-1] {
			next, ok := at[p].(object)
			if !ok {
				next = object{}
				at[p] = next
			}
			at = next
		}
		last := path[len(path)-1]
		switch v := q.Get(name); {
		case v == "":
			at[last] = nil
		case v == "true" || v == "false":
			at[last] = v == "true"
		case slices.Contains([]string{"amount", "unit_amount", "amount_off", "percent_off", "max_redemptions", "interval_count", "duration_in_months"}, last):
			at[last], _ = strconv.Atoi(v)
		default:
			at[last] = v
		}
	}
}
