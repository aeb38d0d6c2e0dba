package stripetool

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/internal/strictjson"
)

// A WebhookEvent is what a handler is told besides the object. It says who wrote the
// event, and when: not that it still holds. See [Client.Fetch].
type WebhookEvent struct {
	ID      string    // evt_…: one for an event, however often it is delivered
	Type    string    // as in invoice.paid
	Created time.Time // to the second
	Live    bool      // real money
	Version string    // of the API, by which the object is written
	Account string    // the connected account (acct_…) that it is of; "" is one's own
	Kind    string    // of the object, as in invoice
	Object  string    // the object's id; "" if it has none, as that of invoice.upcoming
	// Previous has what members of the object were before an update, as an object;
	// nil if the event does not say.
	Previous json.RawMessage
}

// An event is one with its object, undecoded.
type event struct {
	WebhookEvent
	object jsontext.Value
}

func malformed(text string) error { return &refusedEvent{"malformed", text} }

// maxDepth is how deep Stripe nests, several times over.
const maxDepth = 64

var eventID = lazy.Regexp(`^evt_[A-Za-z0-9_]{1,190}$`)

// readEvent reads a snapshot event. There is one way to read what it accepts: each
// member stands once, at every depth, and those that count in no other case.
func readEvent(body []byte) (event, error) {
	if strictjson.Depth(body, maxDepth) {
		return event{}, malformed("it nests too deep")
	}
	top, err := members(body, "id", "object", "type", "created", "livemode", "api_version", "account", "context", "data")
	if err != nil {
		return event{}, malformed(err.Error())
	}
	if strings.HasPrefix(unquoted(top["object"]), "v2.") {
		return event{}, &refusedEvent{"thin", "it is a thin event of API v2, which has no object: make an endpoint, or an event destination, for snapshot events"}
	}
	var e event
	e.ID, e.Type, e.Version = unquoted(top["id"]), unquoted(top["type"]), unquoted(top["api_version"])
	created, ok := seconds(top["created"])
	live := string(top["livemode"])
	switch {
	case unquoted(top["object"]) != "event":
		return event{}, malformed("its object is not event")
	case !eventID().MatchString(e.ID) || !eventType().MatchString(e.Type):
		return event{}, malformed("its id or type has another form")
	case e.Version == "" && !absent(top["api_version"]):
		return event{}, malformed("its api_version is no text")
	case !ok:
		return event{}, malformed("its created is no time")
	case live != "true" && live != "false":
		return event{}, malformed("its livemode is neither true nor false")
	}
	e.Created, e.Live = created, live == "true"
	if e.Account, err = account(top["account"], top["context"]); err != nil {
		return event{}, err
	}
	return e, e.readData(top["data"])
}

// account is the connected account that an event is of.
func account(values ...jsontext.Value) (string, error) {
	account := ""
	for _, v := range values {
		if absent(v) {
			continue
		}
		id := unquoted(v)
		if !accountID().MatchString(id) || account != "" && account != id {
			return "", malformed("its account is not the id of one")
		}
		account = id
	}
	return account, nil
}

// readData reads the object that an event is about.
func (e *event) readData(raw jsontext.Value) error {
	data, err := members(raw, "object", "previous_attributes")
	if err != nil {
		return malformed("its data: " + err.Error())
	}
	object, err := members(data["object"], "id", "object")
	if err != nil {
		return malformed("its data.object: " + err.Error())
	}
	if e.Kind = unquoted(object["object"]); !objectKind().MatchString(e.Kind) {
		return malformed("its data.object does not say of which kind it is")
	}
	if id := object["id"]; !absent(id) {
		if e.Object = unquoted(id); e.Object == "" || len(e.Object) > 500 {
			return malformed("the id of its data.object is none")
		}
	}
	if previous := data["previous_attributes"]; !absent(previous) {
		if previous.Kind() != '{' {
			return malformed("its data.previous_attributes is no object")
		}
		e.Previous = json.RawMessage(previous)
	}
	e.object = data["object"]
	return nil
}

var (
	errNoObject = errors.New("it is no JSON object, or one in which a member stands twice")
	errCase     = errors.New("it has a member in another case")
)

// members returns the named members of a JSON object. A member whose
// name differs from one of them in case only is an error: another reader may take it.
func members(raw []byte, names ...string) (map[string]jsontext.Value, error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw)) // which refuses duplicates and invalid UTF-8, and does not change raw
	if dec.PeekKind() != '{' {
		return nil, errNoObject
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, errNoObject
	}
	found := map[string]jsontext.Value{}
	for dec.PeekKind() == '"' {
		token, err := dec.ReadToken()
		if err != nil {
			return nil, errNoObject
		}
		name := token.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, errNoObject
		}
		for _, want := range names {
			if name == want {
				found[want] = value.Clone() // the decoder's otherwise
			} else if strings.EqualFold(name, want) {
				return nil, errCase
			}
		}
	}
	if _, err := dec.ReadToken(); err != nil { // the closing brace
		return nil, errNoObject
	}
	if _, err := dec.ReadToken(); err != io.EOF {
		return nil, errNoObject
	}
	return found, nil
}

func absent(v jsontext.Value) bool { return len(v) == 0 || string(v) == "null" }

// unquoted is a JSON string's text; "" if it is no string.
func unquoted(v jsontext.Value) string {
	if v.Kind() != '"' {
		return ""
	}
	b, err := jsontext.AppendUnquote(nil, v)
	if err != nil {
		return ""
	}
	return string(b)
}

// seconds reads a time as Stripe writes it.
func seconds(v jsontext.Value) (time.Time, bool) {
	n, err := strconv.ParseInt(string(v), 10, 64)
	return time.Unix(n, 0).UTC(), err == nil && n > 0 && n < 1<<40
}
