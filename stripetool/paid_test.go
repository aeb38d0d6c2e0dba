package stripetool

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// A usage is sent in one form, however late: to one key, Stripe takes no other.
func TestUsageIsSentAsItWas(t *testing.T) {
	t.Parallel()
	f := newFake(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id":"mbur_1"}`) })
	c := f.client(t, nil)
	u := usage{Item: "si_1", Units: 3, At: 1_700_000_000, Call: "A"}
	for _, late := range []time.Duration{0, 20 * time.Hour} {
		c.now = func() time.Time { return time.Unix(u.At, 0).Add(late) }
		if err := c.record(t.Context(), u); err != nil {
			t.Error(err)
		}
	}
	u.Call = "B"
	if err := c.record(t.Context(), u); err != nil {
		t.Error(err)
	}
	var keys []string
	for i, b := range f.bodies {
		keys = append(keys, f.asked()[i].Header.Get("Idempotency-Key"))
		if b != "quantity=3&timestamp=1700000000&action=increment" {
			t.Errorf("sent %s", b)
		}
	}
	if len(keys) != 3 || keys[0] != keys[1] || keys[1] == keys[2] {
		t.Errorf("sent with keys %q", keys)
	}
}
