package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/go-playground/validator/v10"

	"github.com/mcpsec/mcpsec-go/internal/schema"
	"github.com/mcpsec/mcpsec-go/internal/strictjson"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/webhook"
)

// A piece is a part of what a server does, beside what one does without it.
type piece struct {
	id, name, floor string
	bare, hard      func() error
}

// comparePieces measures parts alone, in turns of a tenth of a second.
func comparePieces(ctx context.Context, b *book, o settings) error {
	dir, err := os.MkdirTemp("", "bench-pieces-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	list, err := pieces(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Fprint(b, "\n## Pieces\n\n| piece | beside | bare | hardened | time | allocations |\n| --- | --- | ---: | ---: | ---: | ---: |\n")
	for _, p := range list {
		var bare, hard []sample
		for i := range o.rounds + 1 {
			x, err1 := repeat(p.bare)
			y, err2 := repeat(p.hard)
			if err1 != nil || err2 != nil {
				return fmt.Errorf("%s: %v, %v", p.name, err1, err2)
			}
			if i > 0 {
				bare, hard = append(bare, x), append(hard, y)
			}
			fmt.Fprintf(os.Stderr, "\r\x1b[K%s: round %d of %d ", p.name, i, o.rounds)
		}
		micros := func(s sample) float64 { return s.micros }
		time := ratio(bare, hard, micros)
		b.note(p.id, time)
		allocs := func(s []sample) float64 { return median(pick(s, func(s sample) float64 { return s.allocs })) }
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %.0f to %.0f |\n", p.name, p.floor, short(median(pick(bare, micros))), short(median(pick(hard, micros))), time, allocs(bare), allocs(hard))
	}
	fmt.Fprint(os.Stderr, "\r\x1b[K")
	return nil
}

// short writes microseconds with three digits that count.
func short(micros float64) string {
	if micros < 1 {
		return fmt.Sprintf("%.3g ns", micros*1000)
	}
	return fmt.Sprintf("%.3g µs", micros)
}

// repeat runs f for a tenth of a second.
func repeat(f func() error) (sample, error) {
	const turn = 100 * time.Millisecond
	n := 0
	allocs := testing.AllocsPerRun(5, func() { _ = f() }) // whose error shows below
	start := time.Now()
	for time.Since(start) < turn {
		for range 16 {
			if err := f(); err != nil {
				return sample{}, err
			}
		}
		n += 16
	}
	return sample{micros: float64(time.Since(start).Nanoseconds()) / 1000 / float64(n), allocs: allocs}, nil
}

func pieces(ctx context.Context, dir string) ([]piece, error) {
	decoding, err := decodingPiece()
	if err != nil {
		return nil, err
	}
	hooks, err := webhookPieces(ctx)
	if err != nil {
		return nil, err
	}
	audits, err := auditPieces(ctx, dir)
	if err != nil {
		return nil, err
	}
	return append(append(append([]piece{decoding}, loggingPieces(ctx)...), hooks...), audits...), nil
}

func decodingPiece() (piece, error) {
	plan, err := schema.Input(reflect.TypeFor[orderIn]())
	if err != nil {
		return piece{}, err
	}
	_, args, err := raw(orderCall)
	if err != nil {
		return piece{}, err
	}
	check := validator.New(validator.WithRequiredStructEnabled())
	return piece{"decode", "strict decoding and validation, 6 fields", "encoding/json and validator/v10",
		func() error {
			var in orderIn
			if err := json.Unmarshal(args, &in); err != nil {
				return err
			}
			return check.Struct(&in)
		},
		func() error {
			var in orderIn
			if err := strictjson.Decode(args, &in, plan.Shape); err != nil {
				return err
			}
			return plan.Check(&in)
		}}, nil
}

func loggingPieces(ctx context.Context) []piece {
	red := redact.New(redact.Options{})
	plain := slog.New(slog.NewJSONHandler(io.Discard, nil))
	safe := slog.New(redact.NewHandler(slog.NewJSONHandler(io.Discard, nil), red))
	line := func(l *slog.Logger) func() error {
		return func() error {
			l.LogAttrs(ctx, slog.LevelInfo, "order shipped", slog.String("order", "ORD-2026-000123456"), slog.String("customer", "c_42"), slog.Int("total", 3980),
				slog.String("currency", "EUR"), slog.Duration("took", 12*time.Millisecond), slog.String("trace", "4bf92f3501"), slog.Bool("paid", true), slog.String("path", "/orders/17"))
			return nil
		}
	}
	text := []byte("[" + strings.Repeat(`{"id":17,"items":[{"sku":"A-100","qty":2,"price":1990}],"customer":"c_42","total":3980,"note":"leave it at the back door"},`, 500) + "0]")
	return []piece{
		{"log", "a log line of 8 attributes, redacted", "slog's JSON handler", line(plain), line(safe)},
		{"json", fmt.Sprintf("redacting %d KB of JSON", len(text)>>10), "json.Valid", func() error {
			if !json.Valid(text) {
				return fmt.Errorf("not JSON")
			}
			return nil
		}, func() error {
			red.JSON(text)
			return nil
		}},
	}
}

func webhookPieces(ctx context.Context) ([]piece, error) {
	key := bytes.Repeat([]byte{'k', '7'}, 16)
	event := []byte(`{"id":"evt_1","object":"event","type":"charge.succeeded","data":{"object":{"id":"ch_1","description":"` + strings.Repeat("a line of an order, ", 95) + `"}}}`)
	sign := func(parts ...[]byte) string {
		m := hmac.New(sha256.New, key)
		for _, p := range parts {
			m.Write(p)
		}
		return hex.EncodeToString(m.Sum(nil))
	}
	secret := redact.NewSecret(string(key))
	github, err := webhook.GitHub(secret)
	if err != nil {
		return nil, err
	}
	stripe, err := webhook.Stripe(secret)
	if err != nil {
		return nil, err
	}
	floor := func() error {
		sign(event)
		return nil
	}
	now := fmt.Sprint(time.Now().Unix())
	headers := map[string]http.Header{
		"GitHub": {"Content-Type": {"application/json"}, "X-Github-Event": {"push"}, "X-Hub-Signature-256": {"sha256=" + sign(event)}},
		"Stripe": {"Content-Type": {"application/json"}, "Stripe-Signature": {"t=" + now + ",v1=" + sign([]byte(now+"."), event)}},
	}
	verify := func(v *webhook.Verifier, name string) func() error {
		return func() error {
			_, err := v.Verify(ctx, headers[name], event)
			return err
		}
	}
	return []piece{
		{"webhook", "a webhook of 2 KB: GitHub", "HMAC-SHA-256 of it", floor, verify(github, "GitHub")},
		{"webhook stripe", "the same: Stripe, which signs the time too", "HMAC-SHA-256 of it", floor, verify(stripe, "Stripe")},
	}, nil
}

// auditPieces write to files: what a call records, and with an fsync each.
func auditPieces(ctx context.Context, dir string) ([]piece, error) {
	file, err := os.Create(filepath.Join(dir, "plain.jsonl"))
	if err != nil {
		return nil, err
	}
	plain := slog.NewJSONHandler(file, nil)
	open := func(name string) (*mcpsec.AuditLog, error) {
		return mcpsec.OpenAuditLog(filepath.Join(dir, name), mcpsec.Secret{})
	}
	log, err := open("chained.jsonl")
	if err != nil {
		return nil, err
	}
	synced, err := open("synced.jsonl")
	if err != nil {
		return nil, err
	}
	if err := synced.SyncEvery(0); err != nil {
		return nil, err
	}
	record := func(h slog.Handler) func() error {
		return func() error {
			r := slog.NewRecord(time.Now(), slog.LevelInfo, "decision", 0)
			r.AddAttrs(slog.String("call", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), slog.String("tool", "order"), slog.String("principal", "local"), slog.String("decision", "allowed"), slog.Int("arg_bytes", 140))
			return h.Handle(ctx, r)
		}
	}
	return []piece{
		{"audit", "an audit record, chained by SHA-256", "slog's JSON handler, to a file", record(plain), record(log)},
		{"audit synced", "the same with SyncEvery(0)", "slog and an fsync", func() error {
			if err := record(plain)(); err != nil {
				return err
			}
			return file.Sync()
		}, record(synced)},
	}, nil
}
