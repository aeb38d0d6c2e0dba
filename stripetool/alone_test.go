package stripetool

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// While a draft is billed nothing is added to it by another call.
func TestDraftIsAlone(t *testing.T) {
	t.Parallel()
	var c *Client
	draft := func(path string) plan {
		return plan{Text: path, Path: []string{path}, Alone: "in_1", Moves: Money{1, "EUR"}}
	}
	begin := func(ctx context.Context, path string) error {
		n, err := c.names("ann", path, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.carryOut(ctx, n, draft(path), fields("id"), time.Minute)
		return err
	}
	f := newFake(t, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 50*time.Millisecond)
		defer cancel()
		if r.URL.Path == "/v1/finalize" {
			if err := begin(ctx, "add"); err == nil || !strings.Contains(err.Error(), "another call changes the same object") {
				t.Errorf("added meanwhile: got error %v", err)
			}
		}
		fmt.Fprint(w, `{"id":"in_1"}`)
	})
	c = f.client(t, nil)
	for _, path := range []string{"finalize", "add"} {
		if err := begin(t.Context(), path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if len(f.asked()) != 2 {
		t.Errorf("got %d requests", len(f.asked()))
	}
}

// What adds to a draft and what bills it name the same.
func TestDraftIsNamed(t *testing.T) {
	t.Parallel()
	c := telling(t, map[string]string{"invoices/in_1": `{"id":"in_1","status":"draft","customer":"cus_1","currency":"eur","amount_due":100,"lines":{"data":[{}]}}`})
	add, err := c.planItem(t.Context(), itemIn{Invoice: "in_1", Amount: "EUR 1.00", Description: "x"})
	if err != nil || add.Alone != "in_1" {
		t.Errorf("got %q and error %v", add.Alone, err)
	}
	bill, err := c.planFinalize(t.Context(), finalizeIn{Invoice: "in_1"})
	if err != nil || bill.Alone != "in_1" {
		t.Errorf("got %q and error %v", bill.Alone, err)
	}
}

// A plan that would do something else than a person was asked about is not carried out,
// and takes nothing. One that was sent, and has left nothing to do, is sent again.
func TestPlanMustHold(t *testing.T) {
	t.Parallel()
	same := func(context.Context) (plan, error) { return aPlan(40), nil }
	more := func(context.Context) (plan, error) { return aPlan(41), nil }
	over := func(context.Context) (plan, error) { return plan{}, refuse("the invoice is open", "state") }
	away := func(context.Context) (plan, error) { return plan{}, refuse("Stripe does not answer", "unavailable") }
	for _, tc := range []struct {
		lost  bool
		again func(context.Context) (plan, error)
		want  string
	}{
		{false, same, ""}, {false, more, "call again"}, {false, over, "is open"}, {false, away, "does not answer"},
		{true, same, ""}, {true, more, "another idempotency_key"}, {true, over, ""}, {true, away, "does not answer"},
	} {
		f := newTeller(t)
		c := f.client(t, func(o *Options) { o.Caps = eur(50, 100) })
		n, err := c.names("ann", "t", nil, "")
		if err != nil {
			t.Fatal(err)
		}
		p, left, requests := aPlan(40), int64(100), 0
		p.Alone = "in_1"
		if tc.lost {
			f.status.Store(500)
			_, _ = c.carryOut(t.Context(), n, p, fields("id"), time.Minute)
			f.status.Store(200)
			if p, _, err = c.lost(t.Context(), n); err != nil || !p.Lost {
				t.Fatalf("got %+v and error %v", p, err)
			}
			left, requests = 60, 1
		}
		if tc.want == "" {
			left, requests = 60, requests+1
		}
		p.again = tc.again
		_, err = c.carryOut(t.Context(), n, p, fields("id"), time.Minute)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) || len(f.asked()) != requests || c.left(t) != left {
			t.Errorf("lost %t, want %q: got error %v, %d requests, %d left", tc.lost, tc.want, err, len(f.asked()), c.left(t))
		}
	}
}
