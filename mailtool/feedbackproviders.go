package mailtool

import (
	"strconv"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

type sendGridEvent struct {
	Email     string  `json:"email"`
	Event     string  `json:"event"`
	Type      string  `json:"type"`
	Status    string  `json:"status"`
	Reason    string  `json:"reason"`
	ID        string  `json:"sg_event_id"`
	Message   string  `json:"sg_message_id"`
	SMTPID    string  `json:"smtp-id"`
	Timestamp float64 `json:"timestamp"`
}

func parseSendGrid(ev webhook.Event, b *batch) error {
	list, err := split(ev.Body)
	if err != nil {
		return err
	}
	for _, raw := range list {
		e, err := decode[sendGridEvent](raw)
		if err != nil {
			b.counts[countUnreadable]++
			continue
		}
		message := e.SMTPID
		if message == "" {
			message = e.Message
		}
		if err := b.add(e.kind(), e.Email, e.ID, message, e.Status, seconds(e.Timestamp)); err != nil {
			return err
		}
	}
	return nil
}

// kind: a bounce of type blocked is one that the provider tries again with the next
// message. What is deferred is tried again with this one.
func (e sendGridEvent) kind() string {
	switch e.Event {
	case "bounce":
		if e.Type == "blocked" || strings.HasPrefix(e.Status, "4") {
			return kindSoft
		}
		return kindHard
	case "spamreport":
		return kindComplaint
	case "unsubscribe", "group_unsubscribe":
		return kindUnsubscribe
	case "delivered":
		return kindDelivered
	case "dropped":
		return e.dropped()
	}
	return ""
}

// dropped is what was not sent, some of it for what had come back before.
func (e sendGridEvent) dropped() string {
	switch e.Reason {
	case "Bounced Address":
		return kindHard
	case "Spam Reporting Address":
		return kindComplaint
	case "Unsubscribed Address":
		return kindUnsubscribe
	}
	return kindRejected
}

type postmarkEvent struct {
	RecordType        string `json:"RecordType"`
	ID                int64  `json:"ID"`
	Type              string `json:"Type"`
	Email             string `json:"Email"`
	Recipient         string `json:"Recipient"`
	MessageID         string `json:"MessageID"`
	BouncedAt         string `json:"BouncedAt"`
	DeliveredAt       string `json:"DeliveredAt"`
	ChangedAt         string `json:"ChangedAt"`
	SuppressSending   bool   `json:"SuppressSending"`
	SuppressionReason string `json:"SuppressionReason"`
}

func parsePostmark(ev webhook.Event, b *batch) error {
	e, err := decode[postmarkEvent](ev.Body)
	if err != nil {
		return err
	}
	id := e.RecordType + strconv.FormatInt(e.ID, 10)
	switch e.RecordType {
	case "Bounce":
		return b.add(postmarkBounce(e.Type), e.Email, id, e.MessageID, e.Type, stamp(e.BouncedAt))
	case "SpamComplaint":
		return b.add(kindComplaint, e.Email, id, e.MessageID, e.Type, stamp(e.BouncedAt))
	case "Delivery":
		return b.add(kindDelivered, e.Recipient, id, e.MessageID, "", stamp(e.DeliveredAt))
	case "SubscriptionChange":
		if !e.SuppressSending {
			return b.add("", "", "", "", "", b.now) // who may be written to again, a person says here
		}
		kind, ok := map[string]string{"HardBounce": kindHard, "SpamComplaint": kindComplaint}[e.SuppressionReason]
		if !ok {
			kind = kindUnsubscribe
		}
		return b.add(kind, e.Recipient, id, e.MessageID, e.SuppressionReason, stamp(e.ChangedAt))
	case "":
		return errBody
	}
	return b.add("", "", "", "", "", b.now)
}

func postmarkBounce(kind string) string {
	switch kind {
	case "HardBounce", "BadEmailAddress":
		return kindHard
	case "SpamComplaint":
		return kindComplaint
	case "Unsubscribe":
		return kindUnsubscribe
	case "AutoResponder", "Subscribe", "AddressChange", "ChallengeVerification", "OpenRelayTest":
		return "" // the message has arrived
	case "SpamNotification", "VirusNotification", "ManuallyDeactivated", "Unconfirmed", "SMTPApiError", "InboundError", "DMARCPolicy", "TemplateRenderingFailed":
		return kindRejected // for what it is, and not for whom it is to
	}
	return kindSoft // SoftBounce, Transient, DnsError, Blocked, Unknown, and what is new
}

type resendEvent struct {
	Type      string `json:"type"`
	CreatedAt string `json:"created_at"`
	Data      struct {
		EmailID string   `json:"email_id"`
		To      []string `json:"to"`
		Bounce  struct {
			Type    string `json:"type"`
			SubType string `json:"subType"`
		} `json:"bounce"`
	} `json:"data"`
}

func parseResend(ev webhook.Event, b *batch) error {
	e, err := decode[resendEvent](ev.Body)
	if err != nil || e.Type == "" {
		return errBody
	}
	kind, code := e.kind(), ""
	if e.Data.Bounce.Type != "" {
		code = e.Data.Bounce.Type + "/" + e.Data.Bounce.SubType
	}
	if kind == kindHard && len(e.Data.To) > 1 {
		kind = kindSoft // of one of them, and not told whose
	}
	if kind != "" && len(e.Data.To) == 0 {
		b.counts[countUnreadable]++
	}
	for _, to := range e.Data.To {
		if err := b.add(kind, to, ev.ID, e.Data.EmailID, code, stamp(e.CreatedAt)); err != nil {
			return err
		}
	}
	return nil
}

func (e resendEvent) kind() string {
	switch e.Type {
	case "email.bounced":
		if t := e.Data.Bounce.Type; t == "" || t == "Permanent" {
			return kindHard
		}
		return kindSoft // Transient, Undetermined
	case "email.complained":
		return kindComplaint
	case "email.delivered":
		return kindDelivered
	case "email.failed", "email.suppressed":
		return kindRejected
	}
	return ""
}

type mailgunEvent struct {
	Data struct {
		Event     string  `json:"event"`
		ID        string  `json:"id"`
		Severity  string  `json:"severity"`
		Reason    string  `json:"reason"`
		Recipient string  `json:"recipient"`
		Timestamp float64 `json:"timestamp"`
		Message   struct {
			Headers struct {
				MessageID string `json:"message-id"`
			} `json:"headers"`
		} `json:"message"`
		Status struct {
			Code int `json:"code"`
		} `json:"delivery-status"`
	} `json:"event-data"`
}

func parseMailgun(ev webhook.Event, b *batch) error {
	e, err := decode[mailgunEvent](ev.Body)
	if err != nil || e.Data.Event == "" {
		return errBody
	}
	code := e.Data.Reason
	if e.Data.Status.Code != 0 {
		code += "/" + strconv.Itoa(e.Data.Status.Code)
	}
	return b.add(e.kind(), e.Data.Recipient, e.Data.ID, e.Data.Message.Headers.MessageID, code, seconds(e.Data.Timestamp))
}

// kind: what failed for good did so for many reasons, of which some are the
// recipient's. What failed for now is tried again.
func (e mailgunEvent) kind() string {
	switch e.Data.Event {
	case "failed":
		if e.Data.Severity != "permanent" {
			return ""
		}
		switch e.Data.Reason {
		case "bounce", "suppress-bounce":
			return kindHard
		case "suppress-complaint":
			return kindComplaint
		case "suppress-unsubscribe":
			return kindUnsubscribe
		}
		return kindSoft
	case "complained":
		return kindComplaint
	case "unsubscribed":
		return kindUnsubscribe
	case "delivered":
		return kindDelivered
	case "rejected":
		return kindRejected
	}
	return ""
}
