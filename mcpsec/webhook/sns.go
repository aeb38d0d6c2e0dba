package webhook

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

// SNSOptions says whose messages [SNS] accepts, and how it gets Amazon's
// certificates.
type SNSOptions struct {
	// Topics are the ARNs of the topics that are accepted. Anybody can have
	// Amazon sign messages of a topic of their own. Required.
	Topics []string
	// Client fetches certificates. Redirects are not followed, whatever it
	// says. Defaults to a client with a timeout of ten seconds.
	Client *http.Client
	// Roots are what certificates must lead to. Defaults to the system's.
	Roots *x509.CertPool
	// Intermediates help to get there. Defaults to none: what is needed is
	// fetched from Amazon Trust Services, where the certificate says so. China's
	// regions use other issuers, whose certificates belong here.
	Intermediates *x509.CertPool
}

// SNS returns a verifier of Amazon SNS's messages to HTTPS endpoints, with
// signature version 2 (RSA, SHA-256). Version 1 is SHA-1 and refused: set the
// topic's attribute SignatureVersion to 2. Raw message delivery is not signed, and
// refused.
//
// The certificate's URL stands in the message. It must be of the SNS host of the
// topic's own region; what is fetched is bounded, must lead to a root, be valid
// now and be named for SNS, and is kept for a day. Messages must have been
// published at most an hour ago, for which Amazon goes on to deliver, and five
// minutes in the future.
//
// Signed are some members only. Body is a JSON object of just these: Message,
// MessageId, Subject, SubscribeURL, Timestamp, Token, TopicArn and Type, as far as
// they were there; MessageAttributes are not. The ID is MessageId.
//
// Type is Notification, SubscriptionConfirmation or UnsubscribeConfirmation. The
// last two ask to visit SubscribeURL, which is never done here. It is checked to
// lead to the SNS host of the topic's region, so a handler that wants the
// subscription may get it. One that did not ask for it should not.
func SNS(o SNSOptions) (*Verifier, error) {
	hosts := map[string]string{}
	for _, arn := range o.Topics {
		host, err := snsHost(arn)
		if err != nil {
			return nil, fmt.Errorf("webhook: sns: %w", err)
		}
		hosts[arn] = host
	}
	if len(hosts) == 0 {
		return nil, errors.New("webhook: sns: Topics is required: anybody can have a topic")
	}
	store := newCertificates(o)
	return &Verifier{
		scheme: "sns", types: []string{"text/plain"}, past: time.Hour, future: defaultTolerance,
		check: func(ctx context.Context, d delivery) (Event, error) { return verifySNS(ctx, hosts, store, d) },
	}, nil
}

var topicARN = lazy.Regexp(`^arn:(aws|aws-cn|aws-us-gov):sns:([a-z]{2}(?:-[a-z]+)+-[0-9]{1,2}):[0-9]{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?$`)

// snsHost returns the host of SNS in a topic's region.
func snsHost(arn string) (string, error) {
	m := topicARN().FindStringSubmatch(arn)
	switch {
	case m == nil:
		return "", errors.New("a topic is not of the form arn:aws:sns:region:account:name")
	case m[1] == "aws-cn":
		return "sns." + m[2] + ".amazonaws.com.cn", nil
	}
	return "sns." + m[2] + ".amazonaws.com", nil
}

// snsSigned are the members that are signed. Pointers tell what was absent.
type snsSigned struct {
	Message      *string `json:"Message,omitempty"`
	MessageID    *string `json:"MessageId,omitempty"`
	Subject      *string `json:"Subject,omitempty"`
	SubscribeURL *string `json:"SubscribeURL,omitempty"`
	Timestamp    *string `json:"Timestamp,omitempty"`
	Token        *string `json:"Token,omitempty"`
	TopicARN     *string `json:"TopicArn,omitempty"`
	Type         *string `json:"Type,omitempty"`
}

type snsMessage struct {
	snsSigned
	SignatureVersion string `json:"SignatureVersion"`
	Signature        string `json:"Signature"`
	SigningCertURL   string `json:"SigningCertURL"`
}

func verifySNS(ctx context.Context, hosts map[string]string, store *certificates, d delivery) (Event, error) {
	var m snsMessage
	if err := json.Unmarshal(d.body, &m); err != nil {
		return Event{}, refuse(reasonHeader, "the body is not an SNS message")
	}
	content, err := m.stringToSign()
	if err != nil {
		return Event{}, err
	}
	signed, err := time.Parse("2006-01-02T15:04:05.000Z", *m.Timestamp)
	if err != nil {
		return Event{}, refuse(reasonHeader, "Timestamp is malformed")
	}
	if err := d.fresh(signed); err != nil {
		return Event{}, err
	}
	host, ok := hosts[*m.TopicARN]
	if !ok {
		return Event{}, refuse(reasonSignature, "the topic is not among Topics")
	}
	key, err := store.key(ctx, m.SigningCertURL, host, d.now)
	if err != nil {
		return Event{}, err
	}
	sig, ok := unbase64(m.Signature)
	sum := sha256.Sum256([]byte(content))
	if !ok || rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], sig) != nil {
		return Event{}, refuse(reasonSignature, "the signature does not fit")
	}
	return m.event(host, signed)
}

// event is read after the signature was found good.
func (m *snsMessage) event(host string, signed time.Time) (Event, error) {
	if m.SubscribeURL != nil && !onHost(*m.SubscribeURL, host) {
		return Event{}, refuse(reasonEvent, "SubscribeURL leads elsewhere")
	}
	body, err := json.Marshal(m.snsSigned)
	if err != nil {
		return Event{}, refuse(reasonEvent, "the message cannot be encoded")
	}
	return Event{ID: *m.MessageID, Type: *m.Type, Time: signed, Body: body}, nil
}

// stringToSign is the text of names and values, a line each, that Amazon signs.
// Values are not escaped in it, so a Message of several lines could be read as the
// members after it, if those could have several lines as well.
func (m *snsMessage) stringToSign() (string, error) {
	if m.SignatureVersion != "2" {
		return "", refuse(reasonHeader, "the signature version is not 2: set the topic's attribute SignatureVersion")
	}
	type member struct {
		name  string
		value *string
	}
	lines := []member{{"Message", m.Message}, {"MessageId", m.MessageID}}
	switch {
	case m.Type == nil:
		return "", refuse(reasonHeader, "the message has no Type")
	case *m.Type == "Notification":
		if m.SubscribeURL != nil || m.Token != nil {
			return "", refuse(reasonHeader, "the message has members that its Type does not sign")
		}
		if m.Subject != nil {
			lines = append(lines, member{"Subject", m.Subject})
		}
		lines = append(lines, member{"Timestamp", m.Timestamp})
	case *m.Type == "SubscriptionConfirmation" || *m.Type == "UnsubscribeConfirmation":
		if m.Subject != nil {
			return "", refuse(reasonHeader, "the message has members that its Type does not sign")
		}
		lines = append(lines, member{"SubscribeURL", m.SubscribeURL}, member{"Timestamp", m.Timestamp}, member{"Token", m.Token})
	default:
		return "", refuse(reasonHeader, "the Type is unknown")
	}
	var b strings.Builder
	for _, l := range append(lines, member{"TopicArn", m.TopicARN}, member{"Type", m.Type}) {
		if l.value == nil || l.name != "Message" && strings.ContainsAny(*l.value, "\r\n") {
			return "", refuse(reasonHeader, l.name+" is missing, or more than a line")
		}
		b.WriteString(l.name + "\n" + *l.value + "\n")
	}
	return b.String(), nil
}

// onHost reports whether a URL leads to the host by https and by nothing else.
func onHost(text, host string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Host == host && u.User == nil && u.Opaque == "" && u.Fragment == ""
}
