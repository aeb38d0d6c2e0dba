package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

const envChild = "SAAS_TEST_CHILD"

// A task is what a child is to do, and the point at which it dies.
type task struct {
	Data, StripeURL, StripeCA, AppURL, ReportURL, MailCA, MailPassword string
	MailPort                                                           int
	Kind, Email, Point                                                 string
}

// child is another process that runs a flow and is killed in the middle.
func child() int {
	var t task
	if err := json.Unmarshal([]byte(os.Getenv(envChild)), &t); err != nil {
		panic(err)
	}
	s := services{
		Data: t.Data, AppURL: redact.NewSecret(t.AppURL), ReportURL: redact.NewSecret(t.ReportURL),
		Mail: mailOptions(t.MailPort, []byte(t.MailCA), t.MailPassword), Audit: slog.NewJSONHandler(io.Discard, nil), Log: slog.New(slog.DiscardHandler),
	}
	useBank(t.StripeURL, []byte(t.StripeCA), &s)
	b, err := openBackend(context.Background(), s)
	if err != nil {
		panic(err)
	}
	b.pass = func(point string) {
		if point == t.Point {
			if err := kill(); err != nil {
				panic(err)
			}
			select {}
		}
	}
	if err := flows[t.Kind].run(context.Background(), b, t.Email); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return 3 // it has not died
}

func kill() error {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	return self.Kill()
}

// flows are those that are killed: what has to be there before, and what there is more
// afterwards.
var flows = map[string]struct {
	before []string // other flows
	run    func(ctx context.Context, b *backend, email string) error
	whole  sums
}{
	"register": {nil, func(ctx context.Context, b *backend, email string) error {
		_, _, err := b.registering.start(ctx, email, registration{Email: email, Name: "N"})
		return err
	}, sums{Users: 1, Customers: 1, Letters: 1, Events: 1}},
	"subscribe": {[]string{"register"}, func(ctx context.Context, b *backend, email string) error {
		u, err := b.pb.FindAuthRecordByEmail("users", email)
		if err != nil {
			return err
		}
		_, _, err = b.subscribing.start(ctx, u.Id, subscribing{User: u.Id, Plan: "pro"})
		return err
	}, sums{Subscriptions: 1, Events: 1}},
	"receipt": {[]string{"register", "subscribe"}, func(ctx context.Context, b *backend, email string) error {
		u, err := b.pb.FindAuthRecordByEmail("users", email)
		if err != nil {
			return err
		}
		return b.paid(ctx, stripetool.WebhookEvent{}, invoice{ID: "in_of_" + u.Id, Customer: u.GetString("customer"), Charge: strings.Replace(u.GetString("subscription"), "sub", "ch", 1), AmountPaid: 49_00, Currency: "eur"})
	}, sums{Payments: 1, Letters: 1, Events: 1}},
	"cancel": {[]string{"register", "subscribe"}, func(ctx context.Context, b *backend, email string) error {
		u, err := b.pb.FindAuthRecordByEmail("users", email)
		if err != nil {
			return err
		}
		_, _, err = b.cancelling.start(ctx, u.GetString("subscription"), cancelling{u.GetString("subscription"), email})
		return err
	}, sums{Subscriptions: -1, Letters: 1, Events: 1}},
	"refund": {[]string{"register", "subscribe", "receipt"}, func(ctx context.Context, b *backend, email string) error {
		u, err := b.pb.FindAuthRecordByEmail("users", email)
		if err != nil {
			return err
		}
		p, err := b.pb.FindFirstRecordByData("payments", "user", u.Id)
		if err != nil {
			return err
		}
		_, _, err = b.refunding.start(ctx, p.Id, refunding{Payment: p.Id, Case: "C1", Cents: 1_00})
		return err
	}, sums{Refunds: 1, Letters: 1, Events: 1}},
}

// A process is killed at each point of each flow: after a step was recorded, after it was
// sent, and after it was done. What it leaves is on record; the next process goes on where
// it stopped, and everything is there once. Only of a letter that was being sent nobody
// knows, and it is not sent again.
func TestKilled(t *testing.T) {
	t.Parallel()
	for name, f := range flows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newServices(t)
			w.open()
			var points []string
			for n, left := 0, 1; n <= left; n++ {
				email := fmt.Sprintf("user%d@example.com", n)
				for _, b := range f.before {
					if err := flows[b].run(t.Context(), w.b, email); err != nil {
						t.Fatalf("%s: %v", b, err)
					}
				}
				before := w.sums()
				if n == 0 { // nothing happens to the first
					w.b.pass = func(point string) { points = append(points, point) }
					if err := f.run(t.Context(), w.b, email); err != nil {
						t.Fatal(err)
					}
					left = len(points)
					w.compare("undisturbed", before, f.whole, "")
					w.b.pass = func(string) {}
					continue
				}
				w.killedAt(name, email, points[n-1], before, f.whole)
			}
			if len(points) < 2*3 || !slices.ContainsFunc(points, func(p string) bool { return strings.HasSuffix(p, " sent") }) {
				t.Errorf("only %q were passed", points)
			}
		})
	}
}

func (w *world) killedAt(kind, email, point string, before, whole sums) {
	w.t.Helper()
	w.b.close()
	w.die(kind, email, point)
	w.open()
	if got := w.sums(); got == before {
		w.t.Errorf("%s: nothing is left: %+v", point, got)
	} else if got.Half == before.Half && !strings.HasPrefix(point, "analytics done") {
		w.t.Errorf("%s: nothing of it is on record: %+v", point, got)
	}
	w.b.sweep(w.t.Context(), true)
	unknown := ""
	if step, ok := strings.CutSuffix(point, " mail recorded"); ok {
		whole.Letters--
		unknown = fmt.Sprintf("%s waiting, %s mail unknown", kind, step)
	} else if step, ok := strings.CutSuffix(point, " mail sent"); ok {
		unknown = fmt.Sprintf("%s waiting, %s mail unknown", kind, step)
	}
	w.compare(point, before, whole, unknown)
	if unknown != "" { // a person has looked
		if _, err := w.b.journal.resume(w.t.Context(), w.flowOf(kind, waiting), true); err != nil {
			w.t.Error(err)
		}
	}
}

// compare wants what there is to be that much more than before.
func (w *world) compare(when string, before, more sums, half string) {
	w.t.Helper()
	got := w.sums()
	want := sums{before.Users + more.Users, before.Customers + more.Customers, before.Subscriptions + more.Subscriptions, before.Payments + more.Payments,
		before.Refunds + more.Refunds, before.Letters + more.Letters, before.Events + more.Events, half}
	if got != want {
		w.t.Errorf("%s:\n got %+v\nwant %+v", when, got, want)
	}
}

// die has a child run a flow until a point.
func (w *world) die(kind, email, point string) {
	w.t.Helper()
	text, err := json.Marshal(task{
		Data: w.s.Data, StripeURL: w.bank.URL, StripeCA: string(w.bank.CA), AppURL: w.s.AppURL.Reveal(), ReportURL: w.s.ReportURL.Reveal(),
		MailCA: string(w.box.CA), MailPassword: w.box.Password, MailPort: w.box.Port, Kind: kind, Email: email, Point: point,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.CommandContext(w.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envChild+"="+string(text))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() == 3 || strings.Contains(string(out), "panic:") {
		w.t.Fatalf("%s: the child ended with %v: %s", point, err, out)
	}
}
