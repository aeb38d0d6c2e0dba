package webhook_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// buffer is a log for many goroutines.
type buffer struct{ mcptest.Buffer }

func (b *buffer) options() webhook.Options {
	return webhook.Options{Log: slog.New(slog.NewTextHandler(b, nil))}
}

// send hands a delivery to a receiver without a network.
func send(rc http.Handler, h http.Header, body []byte) int {
	req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	req.Header = h.Clone()
	w := httptest.NewRecorder()
	rc.ServeHTTP(w, req)
	return w.Code
}

// Every failure is logged with its reason, and nothing of what came or of the
// secrets.
func TestLogHoldsNoPayload(t *testing.T) {
	t.Parallel()
	const canary = "canary-4711"
	for _, s := range senders(t) {
		if s.name != "sns" {
			s.body = strings.Replace(s.body, "{", `{"x":"`+canary+`",`, 1)
		}
		for _, at := range []time.Time{time.Now(), time.Now().Add(-24 * time.Hour), {}} {
			for i := range s.parts(s.body, at) {
				for _, value := range []string{"", canary, "\"" + canary} {
					var log buffer
					rc := webhook.NewReceiver(s.verifier(t), nil, func(context.Context, webhook.Event) error { return errors.New("full") }, log.options())
					parts := s.parts(s.body, at)
					parts[i] = value
					h, body := s.join(parts)
					h.Set("X-Canary", canary)
					if status := send(rc, h, body); status == http.StatusOK {
						t.Errorf("%s: handled", s.name)
					}
					text := log.String()
					if strings.Count(text, "webhook failed") != 1 || !strings.Contains(text, "reason=") {
						t.Errorf("%s: logged %q", s.name, text)
					}
					for _, bad := range []string{canary, oldText, newText, keyText, loginOld, b64([]byte(loginOld))} {
						if strings.Contains(text, bad) {
							t.Errorf("%s: %q is in the log: %s", s.name, bad, text)
						}
					}
				}
			}
		}
	}
}

// A handler's own error is logged, redacted and cut.
func TestHandlerErrorsAreLoggedRedacted(t *testing.T) {
	t.Parallel()
	for name, handle := range map[string]func(context.Context, webhook.Event) error{
		"error": func(context.Context, webhook.Event) error {
			return errors.New("dial postgres://app:" + "hunter2@db/x: refused " + strings.Repeat("x", 1<<20))
		},
		"panic": func(context.Context, webhook.Event) error {
			panic("dial postgres://app:" + "hunter2@db/x: refused " + strings.Repeat("x", 1<<20))
		},
	} {
		var log buffer
		s := stripeSender()
		h, body := s.deliver(time.Now())
		send(webhook.NewReceiver(s.verifier(t), nil, handle, log.options()), h, body)
		text := log.String()
		if !strings.Contains(text, "postgres://app:[redacted]@db") || strings.Contains(text, "hunter2") || len(text) > 8<<10 {
			t.Errorf("%s: logged %d bytes: %.300s", name, len(text), text)
		}
	}
}

// A cut does not leave half a secret that nobody recognizes.
func TestCutErrorsAreRedactedFirst(t *testing.T) {
	t.Parallel()
	const begin = "dial postgres://app:"
	for at := 4096 - len(begin) - 20; at < 4096; at++ {
		var log buffer
		s := stripeSender()
		h, body := s.deliver(time.Now())
		send(webhook.NewReceiver(s.verifier(t), nil, func(context.Context, webhook.Event) error {
			return errors.New(strings.Repeat("x", at-1) + " " + begin + "hunt" + "er2-and-more@db/x")
		}, log.options()), h, body)
		if strings.Contains(log.String(), "hunt") {
			t.Fatalf("cut at %d: the secret is in the log", at)
		}
	}
}

// A flood of forgeries is counted, and does not fill the log or hide what fails
// here.
func TestFloodIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log buffer
		s := stripeSender()
		rc := webhook.NewReceiver(s.verifier(t), nil, func(context.Context, webhook.Event) error { return errors.New("full") }, log.options())
		for range 50 {
			send(rc, jsonHeader(), []byte("{}"))
		}
		if n := strings.Count(log.String(), "reason=header"); n != 10 {
			t.Errorf("%d records of 50 forgeries in a second, want 10", n)
		}
		h, body := s.deliver(time.Now())
		send(rc, h, body)
		if !strings.Contains(log.String(), "reason=handler") {
			t.Error("the flood hides a failure of the handler")
		}
		time.Sleep(time.Second)
		send(rc, jsonHeader(), []byte("{}"))
		if !strings.Contains(log.String(), "left_out=40") {
			t.Errorf("the next record does not say how many were left out: %s", log.String())
		}
		counted(t, rc, map[string]uint64{"header": 51, "handler": 1})
	})
}

// While an event is being handled, others are told when to come again; after the
// lease of a process that died, the event is handled.
func TestLeaseOfDeadProcess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, once := stripeSender(), new(state.Memory)
		if _, err := once.Claim(t.Context(), "stripe:"+s.wantID, 10*time.Second+5*time.Minute); err != nil {
			t.Fatal(err)
		}
		rc := webhook.NewReceiver(s.verifier(t), once, func(context.Context, webhook.Event) error { return nil }, quiet())
		again := func() (int, string) {
			h, body := s.deliver(time.Now())
			req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
			req.Header = h
			w := httptest.NewRecorder()
			rc.ServeHTTP(w, req)
			return w.Code, w.Header().Get("Retry-After")
		}
		if status, wait := again(); status != 503 || wait != "30" {
			t.Errorf("got %d, again after %s", status, wait)
		}
		time.Sleep(5*time.Minute + 8*time.Second)
		if status, wait := again(); status != 503 || wait != "2" {
			t.Errorf("got %d, again after %s", status, wait)
		}
		time.Sleep(2 * time.Second)
		if status, _ := again(); status != 200 {
			t.Errorf("got %d", status)
		}
	})
}

// The lease that a receiver takes outlasts the handler's time by five minutes: one
// that dies holds its event up for no longer.
func TestLeaseOutlastsTheHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		s := stripeSender()
		dying := &broken{Once: new(state.Memory), complete: state.ErrLost}
		rc := webhook.NewReceiver(s.verifier(t), dying, func(context.Context, webhook.Event) error { runs++; return nil }, quiet())
		for i, step := range []struct {
			wait         time.Duration
			status, runs int
		}{{0, 200, 1}, {5*time.Minute + 9*time.Second, 503, 1}, {time.Second, 200, 2}} {
			time.Sleep(step.wait)
			h, body := s.deliver(time.Now())
			if status := send(rc, h, body); status != step.status || runs != step.runs {
				t.Errorf("step %d: status %d after %d runs, want %d after %d", i, status, runs, step.status, step.runs)
			}
		}
	})
}

// A handled event is known for the time to keep.
func TestKeep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		s := stripeSender()
		o := quiet()
		o.Keep = time.Hour
		rc := webhook.NewReceiver(s.verifier(t), nil, func(context.Context, webhook.Event) error { runs++; return nil }, o)
		for _, wait := range []time.Duration{0, 59 * time.Minute, 2 * time.Minute} {
			time.Sleep(wait)
			h, body := s.deliver(time.Now())
			send(rc, h, body)
		}
		if runs != 2 {
			t.Errorf("handled %d times, want again after an hour", runs)
		}
	})
}
