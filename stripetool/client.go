package stripetool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	stripe "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
)

// A Client is an account at Stripe. It is safe for concurrent use.
type Client struct {
	o       Options
	live    bool // it moves real money
	backend *stripe.BackendImplementation
	now     func() time.Time
	pause   time.Duration // after the first conflict

	redirects []redirect

	mu    sync.Mutex
	plans map[string]plan // by the id of the call that a person is asked about

	settled time.Time // when it was looked for what is owed
}

// New makes a client from o, or says what is wrong with o; the error holds no piece
// of the key. It makes no request.
func New(o Options) (*Client, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("stripetool: %w", err)
	}
	c := &Client{o: o, live: o.live(), now: time.Now, pause: 200 * time.Millisecond, plans: map[string]plan{}}
	if c.redirects, err = o.parseRedirects(); err != nil {
		return nil, fmt.Errorf("stripetool: %w", err)
	}
	if c.backend, err = newBackend(o); err != nil {
		return nil, fmt.Errorf("stripetool: %w", err)
	}
	o.warn()
	return c, nil
}

// newBackend makes the one backend that there is, by itself: the library's way to
// make all three sends two of them to api.stripe.com whatever the URL says. Its
// pauses between retries do not heed a context, so retries are outbound's.
func newBackend(o Options) (*stripe.BackendImplementation, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, errors.New("Options.URL cannot be parsed")
	}
	host := u.Host
	if u.Port() == "" {
		host += map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	}
	out := outbound.Options{
		Allow: []string{host}, Networks: o.Networks, RootCAs: o.RootCAs, Timeout: o.Timeout, HeaderTimeout: o.Timeout, BodyTimeout: o.Timeout,
		MaxBody: int64(max(8<<20, 4*o.MaxBytes)),
	}
	if u.Scheme == "http" {
		out.Waive, out.Logger = onThisMachine()
	}
	client, err := outbound.New(out)
	if err != nil {
		return nil, err
	}
	b, ok := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: &o.URL, HTTPClient: client, MaxNetworkRetries: stripe.Int64(0), EnableTelemetry: stripe.Bool(false),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}, // the default one writes bodies to standard error, and others to standard output
	}).(*stripe.BackendImplementation)
	if !ok {
		return nil, errors.New("stripe-go has another backend than expected")
	}
	return b, nil
}

// A request is one of Stripe's own routes. All requests are made here, of segments
// that have the form of names and ids: there is no way to send another.
type request struct {
	method string
	path   []string // behind /v1
	form   *form.Values
	key    string // Idempotency-Key, of what writes
}

var segment = lazy.Regexp(`^[A-Za-z0-9_-]{1,220}$`)

// newRequest makes the HTTP request. The library's own way adds an Idempotency-Key
// of its own, or none, and runs uname to tell Stripe what this machine is.
func (c *Client) newRequest(ctx context.Context, rq request) (*http.Request, *bytes.Buffer, error) {
	key := c.o.Key.Reveal()
	if (rq.method == http.MethodGet) != (rq.key == "") || len(rq.path) == 0 || key == "" {
		return nil, nil, errors.New("a request that must not be made")
	}
	to := c.o.URL + "/v1"
	for _, s := range rq.path {
		if !segment().MatchString(s) {
			return nil, nil, errID
		}
		to += "/" + s
	}
	var body *bytes.Buffer
	if rq.method != http.MethodGet {
		body = bytes.NewBufferString(encode(rq.form))
	} else if q := encode(rq.form); q != "" {
		to += "?" + q
	}
	req, err := http.NewRequestWithContext(ctx, rq.method, to, nil)
	if err != nil {
		return nil, nil, errors.New("making a request") // the error would quote the URL
	}
	req.Header = http.Header{
		"Authorization": {"Bearer " + key}, "Stripe-Version": {stripe.APIVersion}, "User-Agent": {"mcpsec-go"},
	}
	if c.o.Account != "" {
		req.Header.Set("Stripe-Account", c.o.Account)
	}
	if body != nil {
		req.ContentLength = int64(body.Len())
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Idempotency-Key", rq.key)
	}
	return req, body, nil
}

func encode(f *form.Values) string {
	if f == nil || f.Empty() {
		return ""
	}
	return f.Encode()
}

// An answer takes the body as it is.
type answer struct {
	raw    json.RawMessage
	status int
}

func (a *answer) UnmarshalJSON(b []byte) error {
	a.raw = bytes.Clone(b)
	return nil
}

func (a *answer) SetLastResponse(r *stripe.APIResponse) { a.status = r.StatusCode }

const maxConflicts = 4

// call makes a request and returns the object that Stripe answers with. Its errors
// are those of clean. Of a 409 Stripe says that the same request is under way, or
// the object locked: it is sent again, after a pause that heeds the context. What then
// has no answer, or one that says nothing of the request, ends in the 409.
func (c *Client) call(ctx context.Context, rq request) (json.RawMessage, error) {
	var conflict error
	for try := 1; ; try++ {
		raw, err := c.send(ctx, rq)
		e := refusalOf(err)
		switch {
		case err != nil && conflict != nil && (e == nil || e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden):
			return nil, conflict
		case e == nil || e.Status != http.StatusConflict || try == maxConflicts:
			return raw, err
		}
		conflict = err
		pause := c.pause << (try - 1)
		if !sleep(ctx, pause/2+rand.N(pause)) {
			return nil, err
		}
	}
}

// send makes a request once, but for what outbound sends again.
func (c *Client) send(ctx context.Context, rq request) (json.RawMessage, error) {
	req, body, err := c.newRequest(ctx, rq)
	if err != nil {
		return nil, err
	}
	var a answer
	if err := c.backend.Do(req, body, &a); err != nil {
		return nil, clean(err)
	}
	if a.status < 200 || a.status > 299 || !strings.HasPrefix(string(a.raw), "{") {
		return nil, errAnswer
	}
	return a.raw, nil
}

// sleep waits, and reports whether that was to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// get reads an object into out.
func (c *Client) get(ctx context.Context, out any, f *form.Values, path ...string) error {
	raw, err := c.call(ctx, request{method: http.MethodGet, path: path, form: f})
	if err != nil {
		return modelError(ctx, err, false)
	}
	if json.Unmarshal(raw, out) != nil {
		return errAnswer
	}
	return nil
}
