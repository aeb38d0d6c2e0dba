package outbound_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"

	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
)

func ExampleNew() {
	attempts := 0
	backend := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if attempts++; attempts == 1 {
			w.WriteHeader(http.StatusServiceUnavailable) // a moment's trouble
		}
	}))
	defer backend.Close()
	roots := x509.NewCertPool()
	roots.AddCert(backend.Certificate())

	client, err := outbound.New(outbound.Options{
		Allow: []string{strings.TrimPrefix(backend.URL, "https://")},
		// A backend on the internet needs neither of these:
		Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		RootCAs:  roots,
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	req, err := http.NewRequest(http.MethodPost, backend.URL+"/orders", strings.NewReader(`{"item": "A-100"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	req.Header.Set("Idempotency-Key", "order-17") // so that it may be sent again
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status, "after", attempts, "attempts")

	_, err = client.Get("https://169.254.169.254/latest/meta-data?token=secret")
	fmt.Println(err)
	if e := (*outbound.Error)(nil); errors.As(err, &e) {
		fmt.Println(e.Reason)
	}
	// Output:
	// 200 OK after 2 attempts
	// Get "https://169.254.169.254:443": the host is not in Options.Allow
	// refused
}
