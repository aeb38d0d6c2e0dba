package stripetool

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/insecure"
	"github.com/mcpsec/mcpsec-go/mcpsec/mcpsectest"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
)

const body = "51NcanaryCanaryCanary0123"

func key(prefix string) mcpsec.Secret { return redact.NewSecret(prefix + body) }

func restricted() mcpsec.Secret { return key("rk_" + "test_") }

func eur(perCall, perDay int64) []Cap {
	return []Cap{{PerCall: Money{perCall, "EUR"}, PerDay: Money{perDay, "EUR"}}}
}

// offline is a client of all resources that is never asked.
func offline(t *testing.T) *Client {
	t.Helper()
	c, err := New(Options{Key: restricted(), Resources: ResourceNames(), Permissions: everything(), Caps: eur(10_000, 100_000)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for why, o := range map[string]Options{
		"Key is required":      {},
		"signing secret":       {Key: key("wh" + "sec_")},
		"publishable key":      {Key: key("pk_" + "test_")},
		"restricted API key":   {Key: redact.NewSecret("x")},
		"is a live key":        {Key: key("sk_" + "live_")},
		"a live key: it moves": {Key: key("rk_" + "live_")},
		"goes to Stripe only":  {Key: key("rk_" + "live_"), URL: "https://stripe.example.com", Waive: []mcpsec.Waiver{insecure.LiveMode("a test")}},
		"must be https":        {Key: restricted(), URL: "http://stripe.example.com"},
		"without a path":       {Key: restricted(), URL: "https://stripe.example.com/v1"},
		"no user":              {Key: restricted(), URL: "https://u:" + body + "@stripe.example.com"},
		"Account must be":      {Key: restricted(), Account: "../" + body},
		"none of Resource":     {Key: restricted(), Resources: []string{"issuing"}},
		"MaxItems":             {Key: restricted(), MaxItems: 101},
		"MaxBytes":             {Key: restricted(), MaxBytes: 1},
		"Timeout":              {Key: restricted(), Timeout: -1},
		"must be amounts":      {Key: restricted(), Caps: []Cap{{PerCall: Money{1, "EUR"}}}},
		"one currency":         {Key: restricted(), Caps: []Cap{{PerCall: Money{1, "EUR"}, PerDay: Money{1, "USD"}}}},
		"no less than":         {Key: restricted(), Caps: eur(2, 1)},
		"more than nothing":    {Key: restricted(), Caps: eur(0, 1)},
		"EUR twice":            {Key: restricted(), Caps: append(eur(1, 2), eur(1, 2)...)},
	} {
		_, err := New(o)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: got error %v", why, err)
		}
		if err != nil && strings.Contains(err.Error(), body) {
			t.Errorf("%s: the key is in the error %v", why, err)
		}
	}
}

// Keys of live mode and those that may do everything are told of at the start.
func TestNewWarns(t *testing.T) {
	t.Parallel()
	said := func(o Options) string {
		t.Helper()
		var log bytes.Buffer
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		o.Resources = []string{"invoices", "charges"}
		if _, err := New(o); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(log.String(), body) {
			t.Error("the key is in the log")
		}
		return log.String()
	}
	if got := said(Options{Key: restricted()}); got != "" {
		t.Errorf("a restricted test key: got %q", got)
	}
	may := map[string][]string{"refunds": {"create"}, "customers": {"create", "delete"}}
	if got := said(Options{Key: key("sk_" + "test_"), Permissions: may, Caps: eur(1, 2)}); !strings.Contains(got, "restricted key") || !strings.Contains(got, `read="charges, invoices, payment_intents, subscriptions" write="charges and refunds, customers"`) {
		t.Errorf("a secret key: got %q", got)
	}
	if got := said(Options{Key: key("rk_" + "live_"), Waive: []mcpsec.Waiver{insecure.LiveMode("the shop is open")}}); !strings.Contains(got, "the shop is open") {
		t.Errorf("a live key: got %q", got)
	}
}

// The waiver of live mode is in the records of a live client's calls, and in no
// other's.
func TestLiveModeIsRecorded(t *testing.T) {
	t.Parallel()
	for prefix, want := range map[string]bool{"rk_" + "live_": true, "rk_" + "test_": false} {
		c, err := New(Options{Key: key(prefix), Resources: []string{"charges"}, Caps: eur(1, 2), Permissions: everything(), Log: slog.New(slog.DiscardHandler), Waive: []mcpsec.Waiver{insecure.LiveMode("the shop is open")}})
		if err != nil {
			t.Fatal(err)
		}
		audit := &mcpsectest.Audit{}
		srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, mcpsec.Options{Audit: audit, Log: slog.DiscardHandler, Mode: mcpsec.Destroy})
		if err != nil {
			t.Fatal(err)
		}
		srv.Add(append(ReadTools(c), WriteTools(c)...)...)
		client := mcpsectest.Connect(t, srv, mcpsectest.ClientOptions{})
		mcpsectest.Refused(t, client, "stripe_get", map[string]any{"resource": "charges", "id": "x"}) // nobody is asked
		mcpsectest.Refused(t, client, "stripe_create_refund", map[string]any{"payment": "x", "amount": "EUR 0.01"})
		for _, r := range audit.Records() {
			if r["msg"] == "decision" && (r["waived_live-mode"] == "the shop is open") != want {
				t.Errorf("%s: recorded %v", prefix, r)
			}
		}
		if n := len(audit.Records()); n < 2 {
			t.Errorf("%s: %d records", prefix, n)
		}
	}
}

// A key that was closed makes requests fail, and nothing else.
func TestClosedKey(t *testing.T) {
	t.Parallel()
	k := restricted()
	c, err := New(Options{Key: k})
	if err != nil {
		t.Fatal(err)
	}
	k.Close()
	if c.o.live() || c.live {
		t.Error("a test key has become a live one")
	}
	if _, _, err := c.newRequest(t.Context(), read); err == nil {
		t.Error("a request without a key is made")
	}
}
