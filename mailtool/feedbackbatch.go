package mailtool

import (
	"errors"
	"net/mail"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// The kinds of events.
const (
	kindHard        = "hard_bounce"
	kindSoft        = "soft_bounce"
	kindComplaint   = "complaint"
	kindUnsubscribe = "unsubscribe"
	kindDelivered   = "delivered"
	kindRejected    = "rejected"
)

var parsers = map[string]func(webhook.Event, *batch) error{
	"sendgrid": parseSendGrid, "postmark": parsePostmark, "resend": parseResend, "mailgun": parseMailgun, "ses": parseSES,
}

// maxEvents is how many events of interest one delivery may have. SendGrid, which
// sends the most, sends 768 KiB.
const maxEvents = 5000

// An event has a name, too, so that it is not counted twice.
type event struct {
	FeedbackEvent
	id string
}

// A batch is what one delivery says. That it is the provider's own tells nothing of
// what is in it: much of it was written by mail servers and by recipients.
type batch struct {
	provider string
	now      time.Time
	events   []event
	counts   map[string]uint64
}

var errTooMany = errors.New("there are more events in it than one delivery may have")

// add takes one event of one recipient, or counts it as left out. A kind of "" is of no
// interest. Everything else is still as it came.
func (b *batch) add(kind, address, id, message, code string, at time.Time) error {
	if kind == "" {
		b.counts[countIgnored]++
		return nil
	}
	a, err := feedbackAddress(address)
	if err != nil {
		b.counts[countUnreadable]++
		return nil
	}
	if len(b.events) >= maxEvents {
		return errTooMany
	}
	b.counts[kind]++
	b.events = append(b.events, event{FeedbackEvent{
		Kind: kind, Address: a.String(), MessageID: cleanID(message), Time: b.plausible(at), Provider: b.provider, Code: cleanCode(code),
	}, id})
	return nil
}

// feedbackAddress reads a recipient as providers write it: some with its name.
func feedbackAddress(s string) (address, error) {
	if len(s) > 1000 {
		return address{}, errAddress
	}
	if strings.HasSuffix(s, ">") {
		a, err := mail.ParseAddress(s)
		if err != nil {
			return address{}, errAddress
		}
		s = a.Address
	}
	return parseAddress(s)
}

// plausible is the time that an event tells, unless it cannot be.
func (b *batch) plausible(at time.Time) time.Time {
	if at.Year() < 2000 || at.After(b.now.Add(24*time.Hour)) {
		return b.now
	}
	return at.UTC()
}

// cleanID is a message's name, or nothing if it has characters that names do not have.
func cleanID(s string) string {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "<"), ">")
	if len(s) > 250 {
		return ""
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return ""
		}
	}
	return s
}

// cleanCode is what is left of a provider's code: no sentence, and nothing that a
// reader would follow.
func cleanCode(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if b.Len() == 64 {
			break
		}
		if alnum(c) || strings.IndexByte("._-/", c) >= 0 {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// stamp reads RFC 3339; what is none is the zero time.
func stamp(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// seconds reads seconds since 1970.
func seconds(f float64) time.Time {
	if !(f > 0 && f < 1<<40) {
		return time.Time{}
	}
	return time.UnixMicro(int64(f * 1e6))
}

// split takes a list of events apart, so that one that is not JSON for us, with members
// that stand twice or bytes that are not UTF-8, does not spoil the others.
func split(body []byte) (list []jsontext.Value, err error) {
	err = json.Unmarshal(body, &list, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, errBody
	}
	return list, nil
}

var errBody = errors.New("it has not the form of the provider's events")

// decode reads one event: exact names, each once, of the types that they must have.
// Members that are not known are skipped: providers add some.
func decode[T any](body []byte) (v T, err error) {
	if json.Unmarshal(body, &v) != nil {
		return v, errBody
	}
	return v, nil
}
