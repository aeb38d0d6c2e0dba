package webhook_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

type handler = func(context.Context, webhook.Event) error

func quiet() webhook.Options { return webhook.Options{Log: slog.New(slog.DiscardHandler)} }

// serve runs a receiver behind a real server.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// post sends a delivery and returns the status and the answer's header and body.
func post(t *testing.T, url string, h http.Header, body []byte) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = h.Clone()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(text)
}

func deliver(t *testing.T, url string, s sender) int {
	t.Helper()
	h, body := s.deliver(time.Now())
	status, _, _ := post(t, url, h, body)
	return status
}

// counted checks the counts that are not zero.
func counted(t *testing.T, rc *webhook.Receiver, want map[string]uint64) {
	t.Helper()
	got := rc.Stats()
	if len(got) != 16 {
		t.Errorf("%d counters", len(got))
	}
	for reason, n := range got {
		if n != want[reason] {
			t.Errorf("%s: counted %d, want %d", reason, n, want[reason])
		}
	}
}

// Fifty deliveries of one event at a moment are handled once, and so are those
// that follow, for every sender.
func TestHandledOnce(t *testing.T) {
	t.Parallel()
	for _, s := range senders(t) {
		t.Run(strings.ReplaceAll(s.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			var runs, ok, busy atomic.Int64
			started, release := make(chan struct{}), make(chan struct{})
			rc := webhook.NewReceiver(s.verifier(t), nil, func(context.Context, webhook.Event) error {
				if runs.Add(1) == 1 {
					close(started)
				}
				<-release
				return nil
			}, quiet())
			url := serve(t, rc)
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() {
					switch status := deliver(t, url, s); status {
					case http.StatusOK:
						ok.Add(1)
					case http.StatusServiceUnavailable:
						if busy.Add(1) == 49 {
							close(release)
						}
					default:
						t.Errorf("status %d", status)
					}
				})
			}
			<-started
			wg.Wait()
			for range 5 {
				if status := deliver(t, url, s); status != http.StatusOK {
					t.Errorf("afterwards: status %d", status)
				}
			}
			if runs.Load() != 1 || ok.Load() != 1 || busy.Load() != 49 {
				t.Errorf("handled %d times, answered %d with 200 and %d with 503", runs.Load(), ok.Load(), busy.Load())
			}
			counted(t, rc, map[string]uint64{"handled": 1, "busy": 49, "repeated": 5})
		})
	}
}

// Fifty at once whose handler is quick: once still.
func TestHandledOnceWhenQuick(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	s := stripeSender()
	url := serve(t, webhook.Handler(s.verifier(t), nil, func(context.Context, webhook.Event) error { runs.Add(1); return nil }))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { deliver(t, url, s) })
	}
	wg.Wait()
	if runs.Load() != 1 {
		t.Errorf("handled %d times", runs.Load())
	}
}

// A new process, or another replica, with the same Once handles nothing again.
func TestHandledOnceAcrossReceivers(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	s, once := stripeSender(), new(state.Memory)
	for i := range 3 {
		url := serve(t, webhook.Handler(s.verifier(t), once, func(context.Context, webhook.Event) error { runs.Add(1); return nil }))
		if status := deliver(t, url, s); status != http.StatusOK {
			t.Errorf("receiver %d: status %d", i, status)
		}
	}
	if runs.Load() != 1 {
		t.Errorf("handled %d times", runs.Load())
	}
}

// Two endpoints that share a Once do not take each other's events.
func TestNamesSeparateReceivers(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	s, once := gitHubSender(), new(state.Memory)
	for _, name := range []string{"builds", "reviews"} {
		o := quiet()
		o.Name = name
		url := serve(t, webhook.NewReceiver(s.verifier(t), once, func(context.Context, webhook.Event) error { runs.Add(1); return nil }, o))
		deliver(t, url, s)
	}
	if runs.Load() != 2 {
		t.Errorf("handled %d times, want once by each", runs.Load())
	}
}

// What failed is answered with 500 and handled at the next delivery.
func TestFailuresAreHandledAgain(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]handler{
		"error":        func(context.Context, webhook.Event) error { return errors.New("no database") },
		"panic":        func(context.Context, webhook.Event) error { panic("boom") },
		"panic of nil": func(context.Context, webhook.Event) error { panic(error(nil)) },
		"time is over": func(ctx context.Context, _ webhook.Event) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			var runs atomic.Int64
			s := stripeSender()
			o := quiet()
			o.Timeout = 500 * time.Millisecond
			rc := webhook.NewReceiver(s.verifier(t), nil, func(ctx context.Context, ev webhook.Event) error {
				if runs.Add(1) == 1 {
					return fail(ctx, ev)
				}
				return nil
			}, o)
			url := serve(t, rc)
			for i, want := range []int{500, 200, 200} {
				if status := deliver(t, url, s); status != want {
					t.Errorf("delivery %d: got %d, want %d", i, status, want)
				}
			}
			counted(t, rc, map[string]uint64{"handler": 1, "handled": 1, "repeated": 1})
		})
	}
}

// A handler that ends its goroutine gives the event back too.
func TestGoexitGivesBack(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	s := stripeSender()
	rc := webhook.NewReceiver(s.verifier(t), nil, func(context.Context, webhook.Event) error {
		if runs.Add(1) == 1 {
			runtime.Goexit()
		}
		return nil
	}, quiet())
	first := make(chan struct{})
	go func() {
		defer close(first)
		h, body := s.deliver(time.Now())
		req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		req.Header = h
		rc.ServeHTTP(httptest.NewRecorder(), req)
	}()
	<-first
	if status := deliver(t, serve(t, rc), s); status != http.StatusOK || runs.Load() != 2 {
		t.Errorf("status %d after %d runs", status, runs.Load())
	}
}

// The sender hangs up: the handler is not cancelled, and what it did counts.
func TestHangingUpCancelsNothing(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	s := stripeSender()
	started, gone, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	url := serve(t, webhook.Handler(s.verifier(t), nil, func(ctx context.Context, _ webhook.Event) error {
		runs.Add(1)
		close(started)
		<-gone
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the handler has no deadline")
		}
		ended <- ctx.Err()
		return nil
	}))
	ctx, hangUp := context.WithCancel(t.Context())
	go func() {
		h, body := s.deliver(time.Now())
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header = h
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			t.Error("answered before it was handled")
		}
		close(gone)
	}()
	<-started
	hangUp()
	if err := <-ended; err != nil {
		t.Errorf("the handler's context ended: %v", err)
	}
	for range 1000 { // the first goroutine may still be recording
		if status := deliver(t, url, s); status == http.StatusOK {
			break
		}
	}
	if runs.Load() != 1 {
		t.Errorf("handled %d times", runs.Load())
	}
}

// broken is a Once of which a part fails.
type broken struct {
	state.Once
	claim, complete, fail error
	completes             atomic.Int64
}

func (b *broken) Claim(ctx context.Context, key string, lease time.Duration) (state.Claim, error) {
	if b.claim != nil {
		return state.Claim{}, b.claim
	}
	return b.Once.Claim(ctx, key, lease)
}

func (b *broken) Complete(ctx context.Context, c state.Claim, result []byte, keep time.Duration) error {
	if b.completes.Add(1) <= 2 && b.complete != nil || errors.Is(b.complete, state.ErrLost) {
		return b.complete
	}
	return b.Once.Complete(ctx, c, result, keep)
}

func (b *broken) Fail(ctx context.Context, c state.Claim) error {
	if b.fail != nil {
		return b.fail
	}
	return b.Once.Fail(ctx, c)
}

// Without the Once nothing is known, and nothing is done.
func TestBrokenOnce(t *testing.T) {
	t.Parallel()
	down := errors.New("no database")
	for name, tc := range map[string]struct {
		once    *broken
		err     error
		status  int
		runs    int64
		counted map[string]uint64
	}{
		"cannot claim":          {&broken{claim: down}, nil, 503, 0, map[string]uint64{"state": 1}},
		"is full":               {&broken{claim: state.ErrFull}, nil, 503, 0, map[string]uint64{"state": 1}},
		"completes third time":  {&broken{complete: down}, nil, 200, 1, map[string]uint64{"handled": 1}},
		"lost the claim":        {&broken{complete: state.ErrLost}, nil, 200, 1, map[string]uint64{"unrecorded": 1}},
		"cannot give back":      {&broken{fail: down}, down, 500, 1, map[string]uint64{"handler": 1, "state": 1}},
		"works, handler failed": {&broken{}, down, 500, 1, map[string]uint64{"handler": 1}},
	} {
		var runs atomic.Int64
		s := stripeSender()
		tc.once.Once = new(state.Memory)
		rc := webhook.NewReceiver(s.verifier(t), tc.once, func(context.Context, webhook.Event) error { runs.Add(1); return tc.err }, quiet())
		h, body := s.deliver(time.Now())
		status, header, _ := post(t, serve(t, rc), h, body)
		if status != tc.status || runs.Load() != tc.runs {
			t.Errorf("%s: status %d after %d runs, want %d after %d", name, status, runs.Load(), tc.status, tc.runs)
		}
		if status == 503 && header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", name)
		}
		counted(t, rc, tc.counted)
	}
}

// A handler's error that wraps an Error decides the answer, and gives the event back.
func TestHandlersDecide(t *testing.T) {
	t.Parallel()
	for reason, tc := range map[string]struct {
		counted string
		status  int
	}{"refused": {"refused", 400}, "busy": {"busy", 503}, "state": {"state", 503}, "signature": {"handler", 500}, "handled": {"handler", 500}, "": {"handler", 500}} {
		s, runs := stripeSender(), 0
		rc := webhook.NewReceiver(s.verifier(t), nil, func(context.Context, webhook.Event) error {
			if runs++; runs > 1 {
				return nil
			}
			return fmt.Errorf("not now: %w", &webhook.Error{Reason: reason})
		}, quiet())
		url := serve(t, rc)
		h, body := s.deliver(time.Now())
		status, header, _ := post(t, url, h, body)
		if status != tc.status || (status == 503) != (header.Get("Retry-After") != "") {
			t.Errorf("%q: got %d, %v", reason, status, header)
		}
		if status := deliver(t, url, s); status != http.StatusOK {
			t.Errorf("%q: the next delivery: got %d", reason, status)
		}
		counted(t, rc, map[string]uint64{tc.counted: 1, "handled": 1})
	}
}

func TestNewReceiverPanics(t *testing.T) {
	t.Parallel()
	v := stripeSender().verifier(t)
	handle := func(context.Context, webhook.Event) error { return nil }
	with := func(change func(*webhook.Options)) func() {
		return func() {
			o := quiet()
			change(&o)
			webhook.NewReceiver(v, nil, handle, o)
		}
	}
	for name, f := range map[string]func(){
		"no verifier":       func() { webhook.Handler(nil, nil, handle) },
		"the zero verifier": func() { webhook.Handler(new(webhook.Verifier), nil, handle) },
		"no handler":        func() { webhook.Handler(v, nil, nil) },
		"negative body":     with(func(o *webhook.Options) { o.MaxBody = -1 }),
		"huge body":         with(func(o *webhook.Options) { o.MaxBody = 1 << 30 }),
		"negative timeout":  with(func(o *webhook.Options) { o.Timeout = -1 }),
		"long timeout":      with(func(o *webhook.Options) { o.Timeout = 2 * time.Hour }),
		"forgets too soon":  with(func(o *webhook.Options) { o.Keep = 10*time.Minute - 1 }),
		"keeps for ever":    with(func(o *webhook.Options) { o.Keep = 400 * 24 * time.Hour }),
		"name with a space": with(func(o *webhook.Options) { o.Name = "a b" }),
		"name with a colon": with(func(o *webhook.Options) { o.Name = "a:b" }),
		"name is too long":  with(func(o *webhook.Options) { o.Name = strings.Repeat("x", 101) }),
		"negative memory":   with(func(o *webhook.Options) { o.Keep = -1 }),
		"tolerance and keep": func() {
			webhook.NewReceiver(v.WithTolerance(24*time.Hour), nil, handle, webhook.Options{Keep: 47 * time.Hour})
		},
	} {
		panics(t, name, f)
	}
}
