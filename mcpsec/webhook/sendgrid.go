package webhook

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
)

// SendGrid returns a verifier of SendGrid's signed Event Webhook (ECDSA P-256), by
// the verification keys that it shows: base64 of a DER public key. Several are for
// rotation.
//
// Signed are the time, by default at most five minutes away, and the whole body,
// which is a list of events. The ID is a digest of the body, and Type is empty. A
// sender that batches again after a failure puts an event into another list: the
// handler should look at each sg_event_id.
func SendGrid(publicKeys ...string) (*Verifier, error) {
	if len(publicKeys) == 0 || len(publicKeys) > maxSecrets {
		return nil, fmt.Errorf("webhook: sendgrid needs a public key, and takes up to %d for rotation", maxSecrets)
	}
	keys := make([]*ecdsa.PublicKey, len(publicKeys))
	for i, text := range publicKeys {
		key, err := sendGridKey(text)
		if err != nil {
			return nil, fmt.Errorf("webhook: sendgrid: public key %d %w", i+1, err)
		}
		keys[i] = key
	}
	return &Verifier{
		scheme: "sendgrid", past: defaultTolerance, future: defaultTolerance,
		check: func(_ context.Context, d delivery) (Event, error) { return verifySendGrid(keys, d) },
	}, nil
}

func sendGridKey(text string) (*ecdsa.PublicKey, error) {
	der, ok := unbase64(text)
	if !ok {
		return nil, errors.New("is not base64")
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("is not a DER public key")
	}
	key, ok := public.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("is not of the curve P-256")
	}
	return key, nil
}

func verifySendGrid(keys []*ecdsa.PublicKey, d delivery) (Event, error) {
	text, err := one(d.header, "X-Twilio-Email-Event-Webhook-Signature")
	if err != nil {
		return Event{}, err
	}
	stamp, err := one(d.header, "X-Twilio-Email-Event-Webhook-Timestamp")
	if err != nil {
		return Event{}, err
	}
	sig, ok := unbase64(text)
	signed, isTime := unix(stamp)
	if !ok || !isTime {
		return Event{}, refuse(reasonHeader, "X-Twilio-Email-Event-Webhook-… is malformed")
	}
	if err := d.fresh(signed); err != nil {
		return Event{}, err
	}
	// Nothing stands between time and body. A body that begins with a bracket
	// cannot be read as more digits of the time.
	if at(d.body, 0) != '[' {
		return Event{}, refuse(reasonSignature, "the body is not a list of events")
	}
	h := sha256.New()
	_, _ = h.Write([]byte(stamp))
	_, _ = h.Write(d.body)
	sum := h.Sum(nil)
	for _, key := range keys {
		if ecdsa.VerifyASN1(key, sum, sig) {
			return Event{ID: digest(d.body), Time: signed}, nil
		}
	}
	return Event{}, refuse(reasonSignature, "the signature does not fit")
}
