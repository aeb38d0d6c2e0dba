package webhook

import (
	"context"
	"net/http"
	"time"
)

// At verifies as Verify would at another time.
func (v *Verifier) At(ctx context.Context, h http.Header, body []byte, now time.Time) (Event, error) {
	return v.verify(ctx, h, body, now)
}
