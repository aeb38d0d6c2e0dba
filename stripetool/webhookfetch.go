package stripetool

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Fetch reads the object that an event is about as it is now, into a pointer to a
// struct of yours. It is better than the object that came with the event: that is as
// old as the event, and events come in any order. One of Stripe's own may be gone by
// then: it comes with "deleted": true, or is an error.
//
// The event must be of the mode and the account that the client is for, and of one of
// the kinds that Options.Resources can name; WebhookEvent.Kind is its name without the s.
// Options.Resources does not matter: that is what a model may read. Errors hold no
// piece of Stripe's answer.
func (c *Client) Fetch(ctx context.Context, ev WebhookEvent, out any) error {
	r := resources[strings.ReplaceAll(ev.Kind, ".", "_")+"s"]
	switch {
	case r == nil:
		return fmt.Errorf("stripetool: fetching: objects of the kind %q cannot be fetched", ev.Kind)
	case ev.Live != c.live:
		return errors.New("stripetool: fetching: the event is of another mode than the client's key")
	case ev.Account != c.o.Account:
		return errors.New("stripetool: fetching: the event is of another account than the client's")
	case r.id(ev.Object) != nil:
		return fmt.Errorf("stripetool: fetching: the event's object has no id of the kind %q", ev.Kind)
	}
	raw, err := c.call(ctx, request{method: http.MethodGet, path: append(append([]string{}, r.path...), ev.Object)})
	if err != nil {
		return fmt.Errorf("stripetool: fetching: %w", err)
	}
	object, err := members(raw, "id", "object")
	if err != nil || unquoted(object["id"]) != ev.Object || unquoted(object["object"]) != ev.Kind {
		return fmt.Errorf("stripetool: fetching: %w", errAnswer)
	}
	if err := decodeObject(raw, out); err != nil {
		return fmt.Errorf("stripetool: fetching: %w", err)
	}
	return nil
}
