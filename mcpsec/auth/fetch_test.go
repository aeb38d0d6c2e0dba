package auth

import (
	"net/http"
	"testing"
)

// HTTPS_PROXY must not lead tokens and secrets elsewhere.
func TestNoProxyFromEnvironment(t *testing.T) {
	t.Parallel()
	if transport, ok := newClient(nil).Transport.(*http.Transport); !ok || transport.Proxy != nil {
		t.Error("there is a proxy")
	}
}
