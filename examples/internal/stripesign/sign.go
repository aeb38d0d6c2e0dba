// Package stripesign signs events as Stripe does, for examples that send some to
// themselves. It protects nothing by itself.
package stripesign

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
)

// Header returns the Stripe-Signature of a body: docs.stripe.com/webhooks.
func Header(secret mcpsec.Secret, at time.Time, body []byte) string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	h := hmac.New(sha256.New, []byte(secret.Reveal()))
	fmt.Fprintf(h, "%s.%s", stamp, body)
	return "t=" + stamp + ",v1=" + hex.EncodeToString(h.Sum(nil))
}
