package mcpsec

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A failing once is a store that is down, in one or the other way.
type failingOnce struct {
	state.Once
	claim, complete error
}

func (o failingOnce) Claim(ctx context.Context, key string, lease time.Duration) (state.Claim, error) {
	if o.claim != nil {
		return state.Claim{}, o.claim
	}
	return o.Once.Claim(ctx, key, lease)
}

func (o failingOnce) Complete(ctx context.Context, c state.Claim, result []byte, keep time.Duration) error {
	if o.complete != nil {
		return o.complete
	}
	return o.Once.Complete(ctx, c, result, keep)
}

// Where nothing can be told of earlier uses, an answer does not count.
func TestConfirmationNeedsItsStore(t *testing.T) {
	t.Parallel()
	down := errors.New("connecting to db1: refused")
	for name, once := range map[string]failingOnce{"claim": {claim: down}, "complete": {complete: down}, "neither": {}} {
		var log bytes.Buffer
		s, err := NewServer(&mcp.Implementation{Name: "test", Version: "1"}, Options{Audit: NewAuditLog(&bytes.Buffer{}), Log: slog.NewTextHandler(&log, nil)})
		if err != nil {
			t.Fatal(err)
		}
		once.Once = new(state.Memory)
		s.once = once
		f := s.useOnce(t.Context(), &askedState{Call: [26]byte([]byte(rand.Text())), Expires: time.Now().Add(time.Minute).UnixMilli()})
		if name == "neither" {
			if f != nil {
				t.Errorf("refused: %s", f.text)
			}
			continue
		}
		if f == nil || !errors.Is(f.cause, down) || strings.Contains(f.text, "db1") {
			t.Errorf("%s: got %+v", name, f)
		}
	}
}

// What is used up is remembered for longer than it could be used, on replicas
// whose clocks are behind, too.
func TestUsedStatesAreRemembered(t *testing.T) {
	t.Parallel()
	s, err := NewServer(&mcp.Implementation{Name: "test", Version: "1"}, Options{Audit: NewAuditLog(&bytes.Buffer{})})
	if err != nil {
		t.Fatal(err)
	}
	var leases []time.Duration
	s.once = spyOnce{new(state.Memory), &leases}
	if f := s.useOnce(t.Context(), &askedState{Call: [26]byte([]byte(rand.Text())), Expires: time.Now().Add(time.Minute).UnixMilli()}); f != nil {
		t.Fatal(f.text)
	}
	for _, l := range leases {
		if l < clockSkew+50*time.Second {
			t.Errorf("kept for %s", l)
		}
	}
	if len(leases) != 2 {
		t.Errorf("got %v", leases)
	}
}

type spyOnce struct {
	state.Once
	leases *[]time.Duration
}

func (o spyOnce) Claim(ctx context.Context, key string, lease time.Duration) (state.Claim, error) {
	*o.leases = append(*o.leases, lease)
	return o.Once.Claim(ctx, key, lease)
}

func (o spyOnce) Complete(ctx context.Context, c state.Claim, result []byte, keep time.Duration) error {
	*o.leases = append(*o.leases, keep)
	return o.Once.Complete(ctx, c, result, keep)
}

// A state of another length is of another version of this module.
func TestStatesHaveOneLength(t *testing.T) {
	t.Parallel()
	s, err := NewServer(&mcp.Implementation{Name: "test", Version: "1"}, Options{Audit: NewAuditLog(&bytes.Buffer{})})
	if err != nil {
		t.Fatal(err)
	}
	r := &run{server: s, call: Call{ID: rand.Text(), Tool: "x", Principal: Principal{ID: "local"}, start: time.Now()}}
	raw := json.RawMessage("{}")
	canonical, err := canonicalArguments(raw)
	if err != nil {
		t.Fatal(err)
	}
	good := r.sealed(&question{arguments: sha256.Sum256(canonical)})
	if _, _, f := r.openState(good, raw); f != nil {
		t.Errorf("the good one: %s", f.text)
	}
	plain, err := s.seal().Open(good)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{plain[:len(plain)-1], append(plain, 0), nil} {
		if _, _, f := r.openState(s.seal().Seal(bad), raw); f == nil {
			t.Errorf("%d bytes are taken", len(bad))
		}
	}
}
