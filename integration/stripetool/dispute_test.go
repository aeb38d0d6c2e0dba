package stripetool

import (
	"strings"
	"testing"
)

func TestStripeUpdateDispute(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	s.ok("stripe_update_dispute", `{"id":"dp_open","evidence":{"product_description":"a mug,\nblue","uncategorized_text":"`+strings.Repeat("x", 3000)+`"}}`, `"id":"dp_open"`)
	s.wasAsked(`set evidence of dispute dp_open of EUR 49.00, charge "ch_one", reason "product_not_received": evidence[product_description] "a mug,\nblue" in place of "", evidence[uncategorized_text] "` + strings.Repeat("x", 80) + `"… of 3000 characters in place of "" [`)
	s.ok("stripe_update_dispute", `{"id":"dp_open","evidence":{"product_description":"a cup"}}`)
	if got := b.of("disputes/dp_open", "evidence_details"); got != "map[submission_count:0]" {
		t.Errorf("it was sent unasked: %s", got)
	}
	s.ok("stripe_update_dispute", `{"id":"dp_open","evidence":{"product_description":"a mug"},"submit":true}`)
	s.wasAsked(`send evidence to the bank, which cannot be undone, of dispute dp_open`)
	s.ok("stripe_update_dispute", `{"id":"dp_open","evidence":{"product_description":"a mug"},"submit":true}`)
	s.wasAsked("does nothing more")
	for _, tc := range [][2]string{
		{"evidence has the names", `{"id":"dp_open","evidence":{"receipt":"file_1"}}`},
		{"evidence has the names", `{"id":"dp_open","evidence":{"x][y":"z"}}`},
		{"", `{"id":"dp_open","evidence":{}}`},
		{"", `{"id":"dp_open","evidence":{"uncategorized_text":"` + strings.Repeat("x", 5001) + `"}}`},
		{"no invisible characters", `{"id":"dp_open","evidence":{"uncategorized_text":"a\u202eb"}}`},
		{"the dispute is decided", `{"id":"dp_won","evidence":{"product_description":"a mug"}}`},
		{"there is no such object", `{"id":"dp_missing","evidence":{"product_description":""}}`},
	} {
		s.deny(tc[0], "stripe_update_dispute", tc[1])
	}
	b.had("POST disputes/dp_open", "POST disputes/dp_open", "POST disputes/dp_open")
}

func TestStripeCloseDispute(t *testing.T) {
	t.Parallel()
	b := newBank(t)
	s := serve(t, options(b.URL))
	s.ok("stripe_close_dispute", `{"id":"dp_open"}`, `"status":"lost"`)
	s.wasAsked(`accept the loss of dispute dp_open of EUR 49.00, charge "ch_one", reason "product_not_received": its amount is not got back, and it cannot be contested any more [`)
	s.ok("stripe_close_dispute", `{"id":"dp_open"}`, `"status":"lost"`)
	s.deny("the dispute is decided", "stripe_close_dispute", `{"id":"dp_won"}`)
	b.had("POST disputes/dp_open/close")
}
