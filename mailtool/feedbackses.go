package mailtool

import (
	"context"
	"errors"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

type snsBody struct {
	Message      string `json:"Message"`
	SubscribeURL string `json:"SubscribeURL"`
}

// subscription confirms one, if the operator wants that.
func (f *Feedback) subscription(ctx context.Context, ev webhook.Event) error {
	if ev.Type != "SubscriptionConfirmation" {
		return nil // to visit the URL of the other one would subscribe again
	}
	body, err := decode[snsBody](ev.Body)
	switch {
	case err != nil:
		return err
	case f.o.Confirm == nil:
		return errors.New("SNS asks to confirm a subscription, and FeedbackOptions.Confirm is not there to do so")
	}
	return f.o.Confirm(ctx, body.SubscribeURL)
}

type sesRecipient struct {
	Address string `json:"emailAddress"`
	Status  string `json:"status"`
}

type sesEvent struct {
	Notification string `json:"notificationType"`
	Event        string `json:"eventType"`
	Mail         struct {
		MessageID   string   `json:"messageId"`
		Timestamp   string   `json:"timestamp"`
		Destination []string `json:"destination"`
		Headers     struct {
			MessageID string `json:"messageId"`
		} `json:"commonHeaders"`
	} `json:"mail"`
	Bounce struct {
		Type       string         `json:"bounceType"`
		SubType    string         `json:"bounceSubType"`
		Recipients []sesRecipient `json:"bouncedRecipients"`
		Timestamp  string         `json:"timestamp"`
	} `json:"bounce"`
	Complaint struct {
		Recipients []sesRecipient `json:"complainedRecipients"`
		Feedback   string         `json:"complaintFeedbackType"`
		Timestamp  string         `json:"timestamp"`
	} `json:"complaint"`
	Delivery struct {
		Recipients []string `json:"recipients"`
		Timestamp  string   `json:"timestamp"`
	} `json:"delivery"`
}

func parseSES(ev webhook.Event, b *batch) error {
	if ev.Scheme != "sns" {
		return errors.New("only SNS signs what SES tells: the verifier must be webhook.SNS")
	}
	body, err := decode[snsBody](ev.Body)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(strings.TrimLeft(body.Message, " \r\n\t"), "{") {
		return b.add("", "", "", "", "", b.now) // the text that SES sends when a topic is set up
	}
	e, err := decode[sesEvent]([]byte(body.Message))
	if err != nil {
		return err
	}
	return e.addTo(b, ev.ID)
}

func (e sesEvent) addTo(b *batch, id string) error {
	kind, to, code, at := "", []sesRecipient{{}}, "", ""
	what := e.Event // of event publishing; of notifications it has the other name
	if what == "" {
		what = e.Notification
	}
	switch what {
	case "Bounce":
		kind, to, code, at = kindSoft, e.Bounce.Recipients, e.Bounce.Type+"/"+e.Bounce.SubType, e.Bounce.Timestamp
		if e.Bounce.Type == "Permanent" {
			kind = kindHard
		}
	case "Complaint":
		if e.Complaint.Feedback != "not-spam" { // RFC 6430: the opposite
			kind, to, code, at = kindComplaint, e.Complaint.Recipients, e.Complaint.Feedback, e.Complaint.Timestamp
		}
	case "Delivery":
		kind, to, at = kindDelivered, recipientsOf(e.Delivery.Recipients), e.Delivery.Timestamp
	case "Reject", "Rendering Failure":
		kind, to, at = kindRejected, recipientsOf(e.Mail.Destination), e.Mail.Timestamp
	case "":
		return errBody
	}
	message := e.Mail.Headers.MessageID
	if message == "" {
		message = e.Mail.MessageID
	}
	if len(to) == 0 {
		b.counts[countUnreadable]++
	}
	for _, r := range to {
		detail := code
		if r.Status != "" {
			detail += "/" + r.Status
		}
		if err := b.add(kind, r.Address, id, message, detail, stamp(at)); err != nil {
			return err
		}
	}
	return nil
}

func recipientsOf(addresses []string) []sesRecipient {
	out := make([]sesRecipient, len(addresses))
	for i, a := range addresses {
		out[i].Address = a
	}
	return out
}
