package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/racing"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

// What verifying costs in allocations, which does not grow with the event.
func TestVerifyAllocates(t *testing.T) { // not parallel: it counts
	if racing.Enabled {
		t.Skip("the race detector allocates for itself")
	}
	key := redact.NewSecret(benchKey)
	m := hmac.New(sha256.New, []byte(benchKey))
	m.Write(benchEvent)
	github, err1 := GitHub(key)
	stripe, err2 := Stripe(key)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	for _, tc := range []struct {
		name   string
		v      *Verifier
		header http.Header
		most   float64
	}{
		{"GitHub", github, http.Header{"Content-Type": {"application/json"}, "X-Github-Event": {"push"}, "X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(m.Sum(nil))}}, 3},
		{"Stripe", stripe, benchHeader(time.Now()), 2},
		{"no signature", stripe, http.Header{}, 2},
	} {
		got := testing.AllocsPerRun(100, func() {
			_, err := tc.v.Verify(t.Context(), tc.header, benchEvent)
			if (err == nil) != (len(tc.header) > 0) {
				t.Error(tc.name, err)
			}
		})
		if got > tc.most {
			t.Errorf("%s: %v allocations, %v is the limit", tc.name, got, tc.most)
		}
	}
}
