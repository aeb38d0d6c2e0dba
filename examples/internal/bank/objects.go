package bank

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Prices are what subscriptions cost a month, in cents of EUR.
var Prices = map[string]int64{"price_basic": 19_00, "price_pro": 49_00}

// create makes an object of a kind. Whose address begins with declined has a card that
// never pays.
func (b *Bank) create(kind string, form url.Values) (object, int) {
	switch kind {
	case "customers":
		return b.add("cus", "customer", object{"email": form.Get("email"), "name": form.Get("name")}), http.StatusOK
	case "subscriptions":
		return b.subscribe(form.Get("customer"), form.Get("items[0][price]"))
	case "refunds":
		return b.refund(form)
	}
	return nil, http.StatusOK
}

func (b *Bank) subscribe(customer, price string) (object, int) {
	c, cents := b.objects[customer], Prices[price]
	switch {
	case c == nil || c["deleted"] == true || cents == 0:
		return wrong("resource_missing"), http.StatusBadRequest
	case strings.HasPrefix(c["email"].(string), "declined"):
		return object{"error": object{"type": "card_error", "code": "card_declined"}}, http.StatusPaymentRequired
	}
	charge := b.add("ch", "charge", object{"customer": customer, "amount": cents, "amount_refunded": int64(0), "currency": "eur", "paid": true})
	s := b.add("sub", "subscription", object{"customer": customer, "status": "active"})
	b.happen("invoice.paid", b.add("in", "invoice", object{
		"customer": customer, "subscription": s["id"], "charge": charge["id"], "amount_paid": cents, "currency": "eur", "status": "paid",
	}))
	return s, http.StatusOK
}

func (b *Bank) refund(form url.Values) (object, int) {
	c := b.objects[form.Get("charge")]
	cents, err := strconv.ParseInt(form.Get("amount"), 10, 64)
	if c == nil || err != nil || cents < 1 {
		return wrong("resource_missing"), http.StatusBadRequest
	}
	if c["amount_refunded"].(int64)+cents > c["amount"].(int64) {
		return wrong("charge_already_refunded"), http.StatusBadRequest
	}
	c["amount_refunded"] = c["amount_refunded"].(int64) + cents
	return b.add("re", "refund", object{"charge": c["id"], "amount": cents, "currency": "eur", "status": "succeeded"}), http.StatusOK
}

// end deletes a customer or cancels a subscription, once.
func (b *Bank) end(id string) (object, int) {
	o := b.objects[id]
	switch {
	case o["deleted"] == true || o["status"] == "canceled":
		return wrong("resource_missing"), http.StatusNotFound
	case o["object"] == "customer":
		o["deleted"] = true
		return object{"id": id, "object": "customer", "deleted": true}, http.StatusOK
	}
	o["status"] = "canceled"
	b.happen("customer.subscription.deleted", o)
	return o, http.StatusOK
}
