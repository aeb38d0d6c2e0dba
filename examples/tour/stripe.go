package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/examples/internal/tour"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/stripetool"
)

// What the tour tells its server over Stripe, beside envAudit.
const (
	envKey  = "TOUR_STRIPE_KEY"
	envBank = "TOUR_STRIPE_URL"
)

// keyBody makes keys easy to look for where they must not be.
const keyBody = "51TourQ7unshown0123456789"

func euros(n int64) stripetool.Money { return stripetool.Money{Amount: 100 * n, Currency: "EUR"} }

// serveStripe is a server over Stripe, or what stands in for it. Tests spoil it, so
// that a protection is missing.
func serveStripe(ctx context.Context, spoil func(*stripetool.Options)) error {
	key, err := redact.SecretFromEnv(envKey)
	if err != nil {
		return err
	}
	audit, err := mcpsec.OpenAuditLog(os.Getenv(envAudit), mcpsec.Secret{})
	if err != nil {
		return err
	}
	defer audit.Close()
	o := stripetool.Options{
		Key: key, URL: os.Getenv(envBank),
		Resources:   []string{"charges", "refunds"},
		Permissions: map[string][]string{"refunds": {"create"}},
		Caps:        []stripetool.Cap{{PerCall: euros(50), PerDay: euros(60)}},
	}
	if spoil != nil {
		spoil(&o)
	}
	sc, err := stripetool.New(o)
	if err != nil {
		return err
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "tour-stripe", Version: "1.0.0"}, mcpsec.Options{
		Audit:   audit,
		Mode:    mcpsec.Destroy, // as far as a person confirms it
		Secrets: []mcpsec.Secret{key},
		Limits:  mcpsec.Limits{MaxConcurrent: 100, MaxConcurrentPerPrincipal: 100}, // a quarter of them may wait for a person
	})
	if err != nil {
		return err
	}
	srv.Add(stripetool.ReadTools(sc)...)
	srv.Add(stripetool.WriteTools(sc)...)
	return srv.Run(ctx)
}

// stripeChild prepares this program as a server over Stripe.
func stripeChild(ctx context.Context, mode, url, audit string) (*exec.Cmd, error) {
	return tour.Self(ctx, []string{"serve-stripe"}, append(os.Environ(), envKey+"=rk_"+mode+"_"+keyBody, envBank+"="+url, envAudit+"="+audit))
}

// stripe shows the chapter on Stripe, with files in dir.
func stripe(ctx context.Context, p *tour.Printer, dir string) error {
	url, stop, err := startBank(ctx)
	if err != nil {
		return err
	}
	defer stop()
	return stripeAt(ctx, p, url, dir, nil)
}

// stripeAt is stripe with a bank that runs. Tests change the environment of its server.
func stripeAt(ctx context.Context, p *tour.Printer, url, dir string, env []string) error {
	p.Say(`In Stripe's place is stripe-mock, which is Stripe's own and checks each request by the description
of the API; it remembers nothing, so a bank before it remembers what was paid. The server has a key
that it never shows, and caps: EUR 50.00 a call, EUR 60.00 a day.`)
	audit := filepath.Join(dir, "stripe.jsonl")
	cmd, err := stripeChild(ctx, "test", url, audit)
	if err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, env...)
	s, err := tour.Connect(ctx, cmd, audit)
	if err != nil {
		return err
	}
	defer s.Stop(ctx)
	if err := s.Introduce(ctx, p); err != nil {
		return err
	}
	p.Header()
	for _, show := range []func() error{
		func() error { return trimmed(ctx, p, s, url) },
		func() error { return s.Each(ctx, p, declined) },
		func() error { return repeated(ctx, p, s) },
		func() error { return s.Each(ctx, p, stripeAttacks) },
		func() error { return liveKey(ctx, p, url, filepath.Join(dir, "live.jsonl"), env) },
		func() error { return s.CheckAudit(p) },
		func() error { return unshown(p, s) },
	} {
		if err := show(); err != nil {
			return err
		}
	}
	return nil
}

// trimmed compares what Stripe tells of a payment with what a model reads of it.
func trimmed(ctx context.Context, p *tour.Printer, s *tour.Session, url string) error {
	text, err := s.Do(ctx, p, tour.Step{Asked: "The payment for the lamp", Tool: "stripe_get", Args: lamp, Want: `"amount":4900`, Never: unread,
		Why: "listed fields: none that lets its reader act, or write to the customer"})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/v1/charges/ch_Lamp", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	told, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	var all map[string]any
	var read struct{ Object map[string]any }
	if err := errors.Join(json.Unmarshal(told, &all), json.Unmarshal([]byte(text), &read)); err != nil {
		return fmt.Errorf("reading a payment: %w", err)
	}
	var without []string
	for _, name := range []string{"client_secret", "receipt_email", "receipt_url", "billing_details"} {
		_, here := all[name]
		_, there := read.Object[name]
		if !here || there {
			return fmt.Errorf("the member %s of a payment: Stripe has told it is %t, and that the model reads it is %t", name, here, there)
		}
		without = append(without, name)
	}
	p.Good("Stripe has told %d members of it, and the model reads %d: no %s.", len(all), len(read.Object), strings.Join(without, ", no "))
	return nil
}

// repeated makes a refund twice, and another one twenty times at once.
func repeated(ctx context.Context, p *tour.Printer, s *tour.Session) error {
	first := tour.Step{Asked: "The same refund, and yes", Tool: refundTool, Args: nineteen, Want: `"id":"re_1"`, Question: nineteenQuestion, Why: "what was said yes to is what was sent"}
	text, err := s.Do(ctx, p, first)
	if err != nil {
		return err
	}
	second := first
	second.Asked, second.Question, second.Why = "the very same call once more", "does nothing more", "an equal call within 24 hours has the first one's answer"
	again, err := s.Do(ctx, p, second)
	if err != nil {
		return err
	}
	if again != text {
		return fmt.Errorf("a call that repeats another is answered %q, and that was answered %q", again, text)
	}
	if err := s.AtOnce(ctx, p, 20, tour.Step{Asked: "another refund, twenty times at once", Tool: refundTool, Args: refundOf("ch_Lamp", "EUR 10.00", "second"), Want: `"id":"re_2"`,
		Why: "it has a key of its own, and is another; all who ask for it at once get the one refund"}); err != nil {
		return err
	}
	return s.Each(ctx, p, []tour.Step{
		{Asked: "All refunds of the lamp, then?", Tool: "stripe_list", Args: `{"resource":"refunds","filter":{"charge":"ch_Lamp"}}`, Want: `"id":"re_2"`, Never: "re_3", Why: "two, after twenty-two calls"},
		{Asked: "And what is paid back?", Tool: "stripe_get", Args: lamp, Want: `"amount_refunded":2900`, Why: "EUR 19.00 and EUR 10.00"},
	})
}

// liveKey starts the server with a key of Stripe's live mode.
func liveKey(ctx context.Context, p *tour.Printer, url, audit string, env []string) error {
	cmd, err := stripeChild(ctx, "live", url, audit)
	if err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	said := strings.TrimSpace(string(out))
	ok := err != nil && strings.Contains(said, "is a live key: it moves real money") && !strings.Contains(said, keyBody)
	p.Row(ok, "the server, with a live key", tour.Excerpt(said, "is a live key"), "it does not start: who means it says so in the program, insecure.LiveMode")
	if !ok {
		return fmt.Errorf("a server with a live key: %v: %q", err, said)
	}
	return nil
}

// unshown looks for what nobody must see in what the server has written.
func unshown(p *tour.Printer, s *tour.Session) error {
	text, err := s.Written()
	if err != nil {
		return err
	}
	for _, secret := range []string{keyBody, unread, cardNumber} {
		if strings.Contains(text, secret) {
			return fmt.Errorf("what must not be shown is in an answer, in the audit log or in the server's log: %.3s…", secret)
		}
	}
	p.Good("No key, no card number and none of what was left out is in any answer, in the audit log or in the server's log.")
	return nil
}
