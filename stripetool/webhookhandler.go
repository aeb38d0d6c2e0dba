package stripetool

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// A WebhookHandler is what is done about events of one type: see [On].
type WebhookHandler struct {
	eventType string
	kinds     []string // that the object may be of
	inOrder   bool
	decode    func(context.Context, WebhookEvent, jsontext.Value) error
	wrong     error // with the program
}

var (
	eventType  = lazy.Regexp(`^[a-z][a-z0-9_]{0,60}(\.[a-z0-9_]{1,60}){1,5}$`)
	objectKind = lazy.Regexp(`^[a-z][a-z0-9_.]{0,99}$`)
)

// On returns what handles events of a type, as in invoice.paid. The event's object is
// decoded into a T of yours: a struct with the members that you need, by exact names
// and without rounding, or json.RawMessage for all of it. What a struct does not have
// is left out; what the object does not have is zero.
//
// handle is called for an event until it returns nil, once if that is the first time:
// see webhook.Receiver. An error, a panic, and an object that does not fit T are
// failures: Stripe delivers the event again, until WebhookOptions.DeadLetter has it.
// Return nil for what will never succeed. An error that wraps a webhook.Error with the
// Reason busy or refused is no failure: it is not counted as one.
//
// Events come late, twice and in any order. For the state of an object do not trust
// the event: use [Client.Fetch] in a handler that is [WebhookHandler.InOrder].
func On[T any](eventType string, handle func(context.Context, WebhookEvent, T) error) WebhookHandler {
	h := WebhookHandler{eventType: eventType, kinds: kindsOf(eventType)}
	if handle == nil {
		h.wrong = errors.New("needs a func that handles events")
	} else if t := reflect.TypeFor[T](); !holdsObject(t) {
		h.wrong = fmt.Errorf("needs a func of a struct, and %s holds no object", t)
	}
	h.decode = func(ctx context.Context, ev WebhookEvent, object jsontext.Value) error {
		var v T
		if err := decodeObject(object, &v); err != nil {
			return err
		}
		return handle(ctx, ev, v)
	}
	return h
}

// InOrder returns a handler that is run for one event of an object at a time, on all
// replicas that share WebhookOptions.State, and for none that was created before one
// that an InOrder handler of this receiver has handled, of whatever type: such an event
// is done with, and counted as stale. Times are in seconds: events of the same second
// are handled as they come. So are those of an object without an id.
//
// An event that has to wait for half the handler's time is answered with 503. Take it
// for handlers that keep a copy of an object, and not for those that act upon what has
// happened: these would miss what comes late.
func (h WebhookHandler) InOrder() WebhookHandler {
	h.inOrder = true
	return h
}

// Of returns a handler of a type that this package does not know, with the kinds of
// objects that its events are about, as in invoice. A type that is neither known nor
// has an Of is refused by [NewWebhook]: it may be misspelt.
func (h WebhookHandler) Of(kinds ...string) WebhookHandler {
	h.kinds = slices.Clone(kinds)
	return h
}

// holdsObject reports whether JSON objects can be decoded into values of a type.
func holdsObject(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	_, own := reflect.PointerTo(t).MethodByName("UnmarshalJSON")
	return own || t.Kind() == reflect.Struct || t.Kind() == reflect.Map
}

// registry returns handlers by the type of their events.
func registry(handlers []WebhookHandler) (map[string]WebhookHandler, error) {
	m := map[string]WebhookHandler{}
	for _, h := range handlers {
		_, twice := m[h.eventType]
		switch {
		case !eventType().MatchString(h.eventType):
			return nil, fmt.Errorf("%q is no type of events: they look like invoice.paid", h.eventType)
		case h.wrong != nil:
			return nil, fmt.Errorf("%s %w", h.eventType, h.wrong)
		case twice:
			return nil, fmt.Errorf("%s has two handlers", h.eventType)
		case len(h.kinds) == 0:
			return nil, fmt.Errorf("%s is no type of events that is known here: is it misspelt? If not, say with Of which kinds of objects it is about", h.eventType)
		case slices.ContainsFunc(h.kinds, func(k string) bool { return !objectKind().MatchString(k) }):
			return nil, fmt.Errorf("%s: kinds of objects look like invoice", h.eventType)
		}
		m[h.eventType] = h
	}
	return m, nil
}

// fits refuses an event about an object of another kind than its type says.
func (h WebhookHandler) fits(e event) error {
	if !slices.Contains(h.kinds, e.Kind) {
		return &refusedEvent{"object", fmt.Sprintf("an event of type %s is about %s, and this one about %s", e.Type, list(h.kinds), e.Kind)}
	}
	return nil
}

// call runs the handler, and turns a panic into an error.
func (h WebhookHandler) call(ctx context.Context, e event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the handler panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return h.decode(ctx, e.WebhookEvent, e.object)
}

var pointer = lazy.Regexp(`^(/[a-z0-9_]{1,60}){1,10}$`)

// decodeObject decodes an object into a value of the program's. Its errors say where the
// object does not fit, and nothing that stands there.
func decodeObject(object []byte, into any) error {
	err := json.Unmarshal(object, into)
	if err == nil {
		return nil
	}
	var e *json.SemanticError
	if !errors.As(err, &e) || e.GoType == nil {
		return errors.New("the object does not fit the handler's type")
	}
	at := "the object"
	if p := string(e.JSONPointer); pointer().MatchString(p) {
		at = p
	}
	return fmt.Errorf("the object does not fit the handler's type: %s is no %s", at, e.GoType)
}
