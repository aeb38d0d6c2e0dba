package mailtool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/mcpsec/mcpsec-go/internal/seal"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// UnsubscribeOptions configures [NewUnsubscribe]. URL, Keys and Handle are
// required.
type UnsubscribeOptions struct {
	// URL is where the handler is served, as in "https://mail.example.com/u": https,
	// without query and fragment, at most 256 bytes. Required.
	URL string
	// Keys are secrets of 32 random bytes or more. The first makes links, all of them
	// are good for links that are out: put a new key in front, and keep the old one
	// as long as people may look into old mail. Required.
	Keys []mcpsec.Secret
	// Handle ends the mail to a recipient, as Link was given it, of a list. It is
	// called once for each POST and must not mind to be called again. An error is a
	// 503, and is logged. Required.
	Handle func(ctx context.Context, recipient, list string) error
	// Lifetime is how long a link is good. Laws want 10 to 60 days. Defaults to for
	// ever.
	Lifetime time.Duration
	// Log is told what went wrong, without addresses and links. Defaults to
	// slog.Default().
	Log *slog.Logger
}

// Unsubscribe makes the links by which mail is left with one click (RFC 8058), and is
// the http.Handler that they lead to. It is safe for concurrent use.
//
// A link holds recipient, list and expiry, sealed: who reads it, in a log or on the
// way, learns nothing of them, and who changes it has a link to nothing. Whoever has a
// mail can unsubscribe its recipient; that is what the link is for.
type Unsubscribe struct {
	o    UnsubscribeOptions
	ring *seal.Ring
	now  func() time.Time
}

const (
	maxUnsubscribeURL = 256
	maxRecipient      = 254 // RFC 5321, 4.5.3.1.3
	maxList           = 64
)

// NewUnsubscribe checks the options, and derives what seals links from the keys.
func NewUnsubscribe(o UnsubscribeOptions) (*Unsubscribe, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(o.URL, "#") || len(o.URL) > maxUnsubscribeURL || strings.ContainsFunc(o.URL, notURL):
		return nil, fmt.Errorf("UnsubscribeOptions.URL must be an https URL of at most %d bytes, without credentials, query and fragment", maxUnsubscribeURL)
	case o.Handle == nil:
		return nil, errors.New("UnsubscribeOptions.Handle is required: it ends the mail")
	case o.Lifetime < 0:
		return nil, errors.New("UnsubscribeOptions.Lifetime must not be negative")
	}
	keys := make([][]byte, len(o.Keys))
	for i, k := range o.Keys {
		if err := k.CheckRandom(128); err != nil {
			return nil, fmt.Errorf("UnsubscribeOptions.Keys[%d]: %w", i, err)
		}
		keys[i] = []byte(k.Reveal())
	}
	ring, err := seal.New("mailtool unsubscribe", keys...)
	if err != nil {
		return nil, fmt.Errorf("UnsubscribeOptions.Keys: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Unsubscribe{o: o, ring: ring, now: time.Now}, nil
}

// notURL tells what would end the header's angle brackets, or the header.
func notURL(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`<>,"\`, r) }

// Link returns the link for a mail to one recipient, for [Message].Unsubscribe. The list
// is a name of the operator's of 1 to 64 bytes. Each recipient needs a mail of their own.
func (u *Unsubscribe) Link(recipient, list string) (string, error) {
	if !plainText(recipient, maxRecipient) || !plainText(list, maxList) {
		return "", fmt.Errorf("recipient and list must be 1 to %d and 1 to %d bytes of printable text", maxRecipient, maxList)
	}
	return u.o.URL + "?t=" + u.token(recipient, list), nil
}

func plainText(s string, limit int) bool {
	return s != "" && len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// token seals expiry, list and recipient.
func (u *Unsubscribe) token(recipient, list string) string {
	var expiry uint64
	if u.o.Lifetime > 0 {
		expiry = uint64(u.now().Add(u.o.Lifetime).Unix())
	}
	b := binary.BigEndian.AppendUint64(nil, expiry)
	b = append(b, byte(len(list)))
	b = append(b, list...)
	return u.ring.Seal(append(b, recipient...))
}

var (
	errLink    = errors.New("the link is not one of ours, or is not complete")
	errExpired = errors.New("the link is too old")
)

// open reads a token. What the seal vouches for is looked at all the same.
func (u *Unsubscribe) open(token string) (recipient, list string, err error) {
	b, err := u.ring.Open(token)
	if err != nil || len(b) < 9 || len(b) < 9+int(b[8]) {
		return "", "", errLink
	}
	end := 9 + int(b[8])
	if expiry := binary.BigEndian.Uint64(b); expiry != 0 && uint64(u.now().Unix()) >= expiry {
		return "", "", errExpired
	}
	list, recipient = string(b[9:end]), string(b[end:])
	if !plainText(recipient, maxRecipient) || !plainText(list, maxList) {
		return "", "", errLink
	}
	return recipient, list, nil
}
