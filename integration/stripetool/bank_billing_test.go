package stripetool

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// secretPage stands in addresses of pages, which only the tools that make them return.
const secretPage = "q7page"

// billing is what a bank knows of invoices, subscriptions and pages. The bank's lock
// guards it.
type billing struct {
	prices   map[string]string
	invoices map[string]*bill
	subs     map[string]*sub
	links    map[string]bool
	made     []string // method, path and parameters of what was done
	billed   int64
}

type bill struct {
	Status, Customer, Currency, Collection string
	Due                                    int64
	Lines                                  int
	Auto, NoMail                           bool
}

type sub struct {
	Status string
	Items  []subItem
	Ends   bool
	Paused string
}

type subItem struct {
	ID, Price string
	Quantity  int64
}

func newBilling() *billing {
	price := func(id, more string) string {
		return fmt.Sprintf(`{"id":%q,"object":"price","active":true,"currency":"eur","billing_scheme":"per_unit",%s}`, id, more)
	}
	monthly := `"type":"recurring","recurring":{"interval":"month","interval_count":1,"usage_type":"licensed"}`
	b := &billing{links: map[string]bool{"plink_On": true, "plink_Off": false}, prices: map[string]string{}}
	for id, more := range map[string]string{
		"price_Desk": `"type":"one_time","unit_amount":1900`, "price_Lamp": `"type":"one_time","unit_amount":250`,
		"price_Basic": `"unit_amount":1000,` + monthly, "price_Pro": `"unit_amount":3000,` + monthly, "price_Dear": `"unit_amount":900000,` + monthly,
		"price_Tiers":  `"unit_amount":null,"billing_scheme":"tiered",` + monthly,
		"price_Calls":  `"unit_amount":null,"unit_amount_decimal":"0.5",` + strings.Replace(monthly, "licensed", "metered", 1),
		"price_Steps":  `"unit_amount":null,"billing_scheme":"tiered",` + strings.Replace(monthly, "licensed", "metered", 1),
		"price_Old":    `"unit_amount":1,"active":false`,
		"price_Yen":    `"unit_amount":500,"currency":"jpy",` + monthly,
		"price_Dollar": `"unit_amount":500,"currency":"usd"`,
	} {
		b.prices[id] = price(id, more)
	}
	b.invoices = map[string]*bill{
		"in_Draft": {Status: "draft", Collection: "charge_automatically", Due: 4900, Lines: 3}, "in_Mailed": {Status: "draft", Collection: "send_invoice", Due: 4900, Lines: 1},
		"in_Self": {Status: "draft", Collection: "charge_automatically", Due: 100, Lines: 1, Auto: true}, "in_Empty": {Status: "draft", Collection: "send_invoice"},
		"in_Big": {Status: "draft", Collection: "send_invoice", Due: 5001, Lines: 1}, "in_Decline": {Status: "draft", Collection: "send_invoice", Due: 666, Lines: 1},
		"in_Dollar": {Status: "draft", Collection: "send_invoice", Due: 100, Lines: 1, Currency: "usd"},
		"in_Open":   {Status: "open", Collection: "send_invoice", Due: 4900, Lines: 1}, "in_NoMail": {Status: "open", Collection: "send_invoice", Due: 4900, Lines: 1, NoMail: true},
		"in_Bad": {Status: "uncollectible", Collection: "send_invoice", Due: 4900, Lines: 1}, "in_Paid": {Status: "paid", Collection: "send_invoice", Due: 4900, Lines: 1}, "in_Void": {Status: "void", Collection: "send_invoice", Due: 4900, Lines: 1},
	}
	for _, i := range b.invoices {
		i.Customer = "cus_Pat"
		if i.Currency == "" {
			i.Currency = "eur"
		}
	}
	b.subs = map[string]*sub{
		"sub_One": {Status: "active", Items: []subItem{{"si_Basic", "price_Basic", 1}}}, "sub_Two": {Status: "trialing", Items: []subItem{{"si_A", "price_Basic", 1}, {"si_Calls", "price_Calls", 0}}},
		"sub_Ends": {Status: "active", Ends: true, Items: []subItem{{"si_E", "price_Pro", 2}}}, "sub_Gone": {Status: "canceled", Items: []subItem{{"si_Gone", "price_Calls", 0}}},
		"sub_Paused": {Status: "active", Paused: "void", Items: []subItem{{"si_P", "price_Basic", 1}}}, "sub_Halt": {Status: "active", Paused: "void", Items: []subItem{{"si_Halt", "price_Calls", 0}}}, "sub_Steps": {Status: "active", Items: []subItem{{"si_Steps", "price_Steps", 0}}},
	}
	return b
}

func (b *billing) invoice(id string) string {
	i := b.invoices[id]
	out := map[string]any{
		"id": id, "object": "invoice", "status": i.Status, "customer": i.Customer, "customer_email": secretMail, "currency": i.Currency, "amount_due": i.Due, "amount_remaining": i.Due, "total": i.Due,
		"collection_method": i.Collection, "auto_advance": i.Auto, "hosted_invoice_url": "https://invoice.stripe.com/" + secretPage, "invoice_pdf": "https://pay.stripe.com/" + secretPage,
		"lines": map[string]any{"object": "list", "data": make([]struct{}, min(i.Lines, 2)), "has_more": i.Lines > 2, "total_count": i.Lines}, "payment_intent": map[string]string{"client_secret": secretWord},
	}
	if i.NoMail {
		out["customer_email"] = nil
	}
	return marshal(out)
}

func (b *billing) sub(id string) string {
	s := b.subs[id]
	var items []any
	for _, it := range s.Items {
		items = append(items, map[string]any{"id": it.ID, "object": "subscription_item", "quantity": it.Quantity, "subscription": id, "price": json.RawMessage(b.prices[it.Price])})
	}
	out := map[string]any{
		"id": id, "object": "subscription", "status": s.Status, "customer": "cus_Pat", "currency": "eur", "current_period_start": 1_767_225_600, "current_period_end": 1_769_904_000, "cancel_at_period_end": s.Ends,
		"items": map[string]any{"object": "list", "data": items, "has_more": false}, "latest_invoice": map[string]any{"payment_intent": map[string]string{"client_secret": secretWord}}, "pending_setup_intent": secretWord,
	}
	if s.Paused != "" {
		out["pause_collection"] = map[string]any{"behavior": s.Paused}
	}
	return marshal(out)
}

func marshal(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// read answers for the bank what billing knows, or with nothing.
func (b *billing) read(path string, q url.Values) (string, int) {
	if path == "invoices/upcoming" {
		return b.upcoming(q)
	}
	kind, id, _ := strings.Cut(path, "/")
	text := ""
	switch {
	case kind == "prices":
		text = b.prices[id]
	case kind == "invoices" && b.invoices[id] != nil:
		text = b.invoice(id)
	case kind == "subscriptions" && b.subs[id] != nil:
		text = b.sub(id)
	case kind == "customers" && slices.Contains(strings.Fields("cus_Pat cus_Quin cus_Cid cus_Dan cus_Eva cus_Away"), id):
		text = fmt.Sprintf(`{"id":%q,"object":"customer","deleted":%t,"email":%q}`, id, id == "cus_Away", secretMail)
	case kind == "payment_links":
		if on, ok := b.links[id]; ok {
			text = fmt.Sprintf(`{"id":%q,"object":"payment_link","active":%t,"url":"https://buy.stripe.com/%s"}`, id, on, secretPage)
		}
	case kind == "subscription_items":
		text = b.item(id)
	}
	if text == "" {
		return "", 0
	}
	return text, 200
}

func (b *billing) item(id string) string {
	for name, s := range b.subs {
		for _, it := range s.Items {
			if it.ID == id {
				return fmt.Sprintf(`{"id":%q,"object":"subscription_item","quantity":%d,"subscription":%q,"price":%s}`, id, it.Quantity, name, b.prices[it.Price])
			}
		}
	}
	return ""
}

// upcoming is what items cost: nothing in a trial, and half with the coupon HALF.
func (b *billing) upcoming(q url.Values) (string, int) {
	items := map[string]subItem{}
	if s := b.subs[q.Get("subscription")]; s != nil {
		for _, it := range s.Items {
			items[it.ID] = it
		}
	}
	for i := 0; ; i++ {
		at := fmt.Sprintf("subscription_items[%d]", i)
		p, key := q.Get(at+"[price]"), q.Get(at+"[id]")
		if p == "" {
			break
		}
		if key == "" {
			key = p
		}
		n, _ := strconv.ParseInt(q.Get(at+"[quantity]"), 10, 64)
		items[key] = subItem{key, p, n}
	}
	var due int64
	currency := "eur"
	for _, it := range items {
		var p struct {
			Amount   int64 `json:"unit_amount"`
			Currency string
		}
		if json.Unmarshal([]byte(b.prices[it.Price]), &p) != nil || p.Currency == "" {
			return wrong("invalid_request_error", "resource_missing", ""), 404
		}
		due, currency = due+p.Amount*it.Quantity, p.Currency
	}
	if q.Get("coupon") == "HALF" || q.Get("discounts[0][promotion_code]") == "promo_Half" {
		due /= 2
	}
	if q.Get("subscription_trial_end") != "" {
		due = 0
	}
	return fmt.Sprintf(`{"object":"invoice","customer":"cus_Pat","customer_email":%q,"currency":%q,"amount_due":%d,"amount_remaining":%d,"total":%d,"lines":{"object":"list","data":[{"amount":%d,"currency":%q,"description":"a line","quantity":1,"proration":false,"plan":{"id":%q}}],"has_more":false}}`,
		secretMail, currency, due, due, due, due, currency, secretWord), 200
}

// write does for the bank what changes billing, or answers with nothing.
func (b *billing) write(method, path string, q url.Values) (int, string) {
	status, body := b.change(method, strings.Split(path, "/"), q)
	if status == 200 {
		b.made = append(b.made, strings.TrimPrefix(method+" ", "POST ")+"/v1/"+path+" "+q.Encode())
	}
	return status, body
}

func (b *billing) change(method string, parts []string, q url.Values) (int, string) {
	n := len(b.made) + 1
	switch what := strings.Join(parts, "/"); {
	case what == "checkout/sessions":
		return 200, fmt.Sprintf(`{"id":"cs_test_q%d","object":"checkout.session","mode":%q,"status":"open","customer_details":{"email":%q},"client_secret":%q,"url":"https://checkout.stripe.com/c/pay/cs_test_q%d#%s"}`, n, q.Get("mode"), secretMail, secretWord, n, secretPage)
	case what == "payment_links":
		return 200, fmt.Sprintf(`{"id":"plink_q%d","object":"payment_link","active":true,"currency":"eur","url":"https://buy.stripe.com/test_%s%d"}`, n, secretPage, n)
	case parts[0] == "payment_links":
		b.links[parts[1]] = q.Get("active") == "true"
		return 200, fmt.Sprintf(`{"id":%q,"object":"payment_link","active":%s,"url":"https://buy.stripe.com/%s"}`, parts[1], q.Get("active"), secretPage)
	case what == "billing_portal/sessions":
		return 200, fmt.Sprintf(`{"id":"bps_q%d","object":"billing_portal.session","customer":%q,"url":%q}`, n, q.Get("customer"), portalAddress)
	case what == "invoices":
		id := fmt.Sprintf("in_q%d", n)
		b.invoices[id] = &bill{Status: "draft", Customer: q.Get("customer"), Currency: "eur", Collection: q.Get("collection_method"), Auto: q.Get("auto_advance") != "false"}
		return 200, b.invoice(id)
	case what == "invoiceitems":
		i := b.invoices[q.Get("invoice")]
		amount, _ := strconv.ParseInt(q.Get("amount"), 10, 64)
		if q.Get("price") == "price_Desk" {
			quantity, _ := strconv.ParseInt(q.Get("quantity"), 10, 64)
			amount = 1900 * quantity
		}
		i.Due, i.Lines = i.Due+amount, i.Lines+1
		return 200, fmt.Sprintf(`{"id":"ii_q%d","object":"invoiceitem","amount":%d,"currency":"eur","invoice":%q,"description":%q}`, n, amount, q.Get("invoice"), q.Get("description"))
	case parts[0] == "invoices":
		return b.settle(parts[1], parts[2], q)
	case parts[0] == "subscriptions":
		return b.subscribe(method, parts, q)
	case len(parts) == 3 && parts[2] == "usage_records":
		return 200, fmt.Sprintf(`{"id":"mbur_q%d","object":"usage_record","quantity":%s,"subscription_item":%q,"timestamp":1767225600}`, n, q.Get("quantity"), parts[1])
	}
	return 0, ""
}

// portalAddress is of the form that Stripe's have.
const portalAddress = "https://billing.stripe.com/p/session/" + "test_YWNjdF8xNkNMRUVGcXd2bU1MZlhPLF9EcUlEZkphNXhmOGRPYmhTTFZUdk1JZm5kT3JWeHhX0100" + secretPage

func (b *billing) settle(id, action string, q url.Values) (int, string) {
	i := b.invoices[id]
	switch {
	case action == "finalize" && i.Due == 666:
		return 402, wrong("card_error", "card_declined", "lost_card")
	case action == "finalize" && i.Status == "draft":
		i.Status = "open"
		if q.Get("auto_advance") == "true" && i.Collection == "charge_automatically" {
			i.Status = "paid"
		}
		b.billed += i.Due
	case action == "send" && i.Status == "open":
	case action == "void" && slices.Contains([]string{"open", "uncollectible"}, i.Status):
		i.Status = "void"
	default:
		return 400, wrong("invalid_request_error", "invoice_not_editable", "")
	}
	return 200, b.invoice(id)
}

func (b *billing) subscribe(method string, parts []string, q url.Values) (int, string) {
	if len(parts) == 1 {
		id := fmt.Sprintf("sub_q%d", len(b.made)+1)
		b.subs[id] = &sub{Status: "active", Items: []subItem{{"si_q", q.Get("items[0][price]"), 1}}}
		return 200, b.sub(id)
	}
	s := b.subs[parts[1]]
	if method == http.MethodDelete {
		if s.Status == "canceled" {
			return 404, wrong("invalid_request_error", "resource_missing", "")
		}
		s.Status = "canceled"
		return 200, b.sub(parts[1])
	}
	if q.Has("cancel_at_period_end") {
		s.Ends = q.Get("cancel_at_period_end") == "true"
	}
	if q.Has("pause_collection") || q.Has("pause_collection[behavior]") {
		s.Paused = q.Get("pause_collection[behavior]")
	}
	for i := range s.Items {
		if s.Items[i].ID == q.Get("items[0][id]") {
			s.Items[i].Price = q.Get("items[0][price]")
			s.Items[i].Quantity, _ = strconv.ParseInt(q.Get("items[0][quantity]"), 10, 64)
		}
	}
	return 200, b.sub(parts[1])
}

// billingOptions permit all that writes pages, invoices and subscriptions.
func billingOptions(url string) stripetool.Options {
	o := options(url)
	o.Redirects = []string{"https://shop.example.com/pay"}
	o.Permissions = map[string][]string{
		"checkout_sessions": {"create"}, "payment_links": {"create", "update"}, "billing_portal_sessions": {"create"}, "invoices": {"create", "add_item", "finalize", "send", "void", "preview"},
		"subscriptions": {"create", "update", "cancel"}, "usage_records": {"create"},
	}
	return o
}

// billed is what was done, in order.
func (b *bank) billed() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.billing.made)
}

// one calls a tool that a person is asked about, whose question has what in it, and
// that makes one request.
func (s *session) one(b *bank, tool, arguments, question, request string, parts ...string) string {
	s.t.Helper()
	asked, made := len(s.questions()), len(b.billed())
	out := s.ok(tool, arguments, parts...)
	q, done := s.questions()[asked:], b.billed()[made:]
	if question != "" && (len(q) != 1 || !strings.Contains(q[0], question)) {
		s.t.Errorf("%s %s: was asked %q, want %q", tool, arguments, q, question)
	}
	if len(done) != 1 || done[0] != request {
		s.t.Errorf("%s %s: did\n%q, want\n%q", tool, arguments, done, request)
	}
	return out
}

// none calls a tool that refuses before anybody is asked, or anything is sent.
func (s *session) none(b *bank, why, tool, arguments string) {
	s.t.Helper()
	asked, made := len(s.questions()), b.writes()
	s.deny(why, tool, arguments)
	if len(s.questions()) != asked || b.writes() != made {
		s.t.Errorf("%s %s: was asked %q, %d requests that write", tool, arguments, s.questions()[asked:], b.writes()-made)
	}
}

func (b *bank) writes() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.posts
}

// never says no.
func never(mcpsec.Question) bool { return false }

// answers is a fault: all that writes is answered with text.
func answers(text string) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodGet {
			return false
		}
		_, _ = io.WriteString(w, text)
		return true
	}
}
