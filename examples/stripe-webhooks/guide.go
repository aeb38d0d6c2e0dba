package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// A stage is a receiver on this machine, and the signer that sends it events.
type stage struct {
	p    *tour.Printer
	shop *shop
	url  string
	log  *logBuffer

	mu       sync.Mutex
	receiver *stripetool.Webhook

	wrong []string // what was not as promised
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// take returns what was logged since the last take.
func (l *logBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.b.Reset()
	return l.b.String()
}

// ServeHTTP hands on to the receiver that is in use.
func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.current().ServeHTTP(w, r) }

func (s *stage) current() *stripetool.Webhook {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.receiver
}

// use starts a receiver anew, as a program does whose configuration was changed.
func (s *stage) use(secrets ...mcpsec.Secret) error {
	w, err := stripetool.NewWebhook(s.shop.options(secrets, false, slog.New(slog.NewTextHandler(s.log, nil))))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receiver = w
	return nil
}

// guide shows it all.
func guide(ctx context.Context, p *tour.Printer) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s, secret := &stage{p: p, shop: newShop(), log: new(logBuffer)}, newSecret()
	if err := s.use(secret); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.url = "http://" + ln.Addr().String() + "/webhooks/stripe"
	served := make(chan error, 1)
	go func() { served <- serve(ctx, ln, s) }()
	p.Say("A receiver of Stripe's events listens at %s. A signer that has its secret, and others that do not, send it events.", s.url)
	for _, chapter := range []func(mcpsec.Secret) error{s.genuine, s.forged, s.unasked, s.ordered, s.rotated, s.dead} {
		if err := chapter(secret); err != nil {
			return err
		}
	}
	stop()
	if err := <-served; err != nil {
		return err
	}
	if len(s.wrong) > 0 {
		return fmt.Errorf("not as promised: %s", strings.Join(s.wrong, "; "))
	}
	p.Heading("All as promised: 2xx only where the work was done, and done once.")
	return nil
}

// send sends a request and tells the status, whether a handler ran, and how it was
// counted.
func (s *stage) send(r *http.Request) (status int, ran bool, counted string, err error) {
	before, done := s.current().Stats(), s.work()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, false, "", err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0, false, "", err
	}
	for _, reason := range order {
		if after := s.current().Stats()[reason]; after > before[reason] {
			counted = reason
			break
		}
	}
	return res.StatusCode, s.work() != done, counted, nil
}

// order is of what Stats counts, the most telling first.
var order = []string{"stale", "ignored", "dead_letter", "mode", "version", "account", "thin", "object", "malformed", "handled", "repeated",
	"handler", "timestamp", "signature", "header", "event", "content_type", "method", "too_large"}

// work is what handlers have done.
func (s *stage) work() string {
	shipped, plans, _ := s.shop.did()
	return fmt.Sprint(shipped, plans)
}

// A step is a delivery and what is promised of it.
type step struct {
	what    string
	body    []byte
	header  string
	status  int
	ran     bool
	counted string
	change  func(*http.Request)
}

func (s *stage) steps(steps ...step) error {
	for _, st := range steps {
		r, err := request(s.url, st.body, st.header)
		if err != nil {
			return err
		}
		if st.change != nil {
			st.change(r)
		}
		status, ran, counted, err := s.send(r)
		if err != nil {
			return err
		}
		s.row(status == st.status && ran == st.ran && counted == st.counted, st.what, outcome(status, ran, counted), counted)
	}
	return nil
}

func outcome(status int, ran bool, counted string) string {
	what := "no handler ran"
	switch {
	case ran:
		what = "the handler ran"
	case counted == "handler":
		what = "the handler failed"
	case counted == "dead_letter":
		what = "the handler failed; the event is recorded"
	}
	return fmt.Sprintf("%d, and %s", status, what)
}

func (s *stage) chapter(title string) {
	s.p.Heading(title)
	s.p.Header()
}

func (s *stage) row(ok bool, what, answered, why string) {
	s.p.Row(ok, what, answered, why)
	if !ok {
		s.wrong = append(s.wrong, what)
	}
}

// logged shows the doctor's text of the last refusal.
func (s *stage) logged(want string) {
	_, text, _ := strings.Cut(s.log.take(), "error=")
	if !strings.Contains(text, want) {
		s.wrong = append(s.wrong, "what is logged does not say "+want)
	}
	s.p.Say("  The log says: %s", strings.TrimSpace(text))
}

// replayed replays a dead letter, and tells whether the handler ran.
func (s *stage) replayed(l stripetool.DeadLetter) (bool, error) {
	before := s.work()
	err := s.current().Replay(context.Background(), []byte(l.Body.Reveal())) // which bounds the handler's time
	return s.work() != before, err
}
