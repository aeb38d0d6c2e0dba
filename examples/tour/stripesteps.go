package main

import (
	"fmt"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
)

const (
	refundTool = "stripe_create_refund"
	lamp       = `{"resource":"charges","id":"ch_Lamp"}`
)

// cardNumber is that of Stripe's for tests.
var cardNumber = "4242" + "4242" + "4242" + "4242"

func refundOf(charge, amount, key string) string {
	return fmt.Sprintf(`{"payment":%q,"amount":%q,"idempotency_key":%q}`, charge, amount, key)
}

var nineteen = refundOf("ch_Lamp", "EUR 19.00", "first")

const nineteenQuestion = "refund EUR 19.00 of EUR 49.00 paid by customer cus_Ann, charge ch_Lamp, no earlier refunds"

var declined = []tour.Step{
	{Asked: "A refund, and the person says no", Tool: refundTool, Args: nineteen, Failed: true, Want: "said no", Question: nineteenQuestion, Declined: true,
		Why: "they are asked with what Stripe tells of the payment, not with what the model says"},
	{Asked: "What became of it?", Tool: "stripe_get", Args: lamp, Want: `"amount_refunded":0`, Why: "nothing happened"},
}

var stripeAttacks = []tour.Step{
	{Asked: "more than a call may move", Tool: refundTool, Args: refundOf("ch_Sofa", "EUR 50.01", "a"), Failed: true, Want: "one call may move at most EUR 50.00",
		Why: "the operator's cap, to the cent; nobody is asked"},
	{Asked: "more than is left of the day", Tool: refundTool, Args: refundOf("ch_Sofa", "EUR 31.01", "b"), Failed: true, Want: "the day's cap of EUR 60.00 has less left", Question: "refund EUR 31.01",
		Why: "EUR 29.00 were moved, whatever the person says; replicas with one database share the day"},
	{Asked: "more than is left of the payment", Tool: refundTool, Args: refundOf("ch_Lamp", "EUR 20.01", "c"), Failed: true, Want: "of EUR 49.00 paid, EUR 20.00 is left",
		Why: "read just before"},
	{Asked: "1900, and no currency", Tool: refundTool, Args: refundOf("ch_Lamp", "1900", "d"), Failed: true, Want: "amount must be written",
		Why: "there is one way to write an amount: nobody takes 1900 for 19.00"},
	{Asked: "two thousand yen, of euros", Tool: refundTool, Args: refundOf("ch_Lamp", "JPY 2000", "e"), Failed: true, Want: "no cap for this currency",
		Why: "what is not capped is not moved"},
	{Asked: "a refund with a yes that nobody gave", Tool: refundTool, Args: refundOf("ch_Lamp", "EUR 1.00", "f"), Failed: true, Forged: true, Want: "not one of this server's",
		Why: "a yes counts with the server's sealed question only, once, for these arguments"},
	{Asked: "a card number in an argument", Tool: "stripe_search", Args: `{"resource":"charges","where":[{"field":"metadata.card","op":"eq","value":"` + cardNumber + `"}]}`, Failed: true, Want: "a card number", Never: cardNumber,
		Why: "card numbers belong on Stripe's own pages; the answer and the record do not repeat it"},
	{Asked: "../customers for an id", Tool: "stripe_get", Args: `{"resource":"charges","id":"../customers"}`, Failed: true, Want: "no id of the resource",
		Why: "an id has the form of the resource's before it gets into a path"},
	{Asked: "a customer's address", Tool: "stripe_get", Args: `{"resource":"customers","id":"cus_Ann"}`, Failed: true, Want: "has not listed this resource", Never: "@",
		Why: "the operator has listed charges and refunds, and there is nothing else"},
	{Asked: "somebody else's account", Tool: "stripe_get", Args: `{"resource":"charges","id":"ch_Lamp","account":"acct_1Other"}`, Failed: true, Want: "unknown member", Never: "acct_1Other",
		Why: "the account is the operator's choice, and no argument"},
}
