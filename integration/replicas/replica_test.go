package replicas

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/internal/pgserver/pgtest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
	"github.com/mcpsec/mcpsec-go/mcpsec/redact"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

var postgres pgtest.Shared

// TestMain also is the program of a replica, which this binary starts with
// REPLICA_DIR set.
func TestMain(m *testing.M) {
	if dir := os.Getenv("REPLICA_DIR"); dir != "" {
		if err := replicaMain(dir, os.Getenv("REPLICA_DATABASE")); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(postgres.Main(m))
}

// callsPerSecond is the rate of a principal on all replicas together; the burst is
// twice as much.
const callsPerSecond = 40

type payIn struct {
	Key string `json:"key" validate:"required,max=40"`
}

type payOut struct {
	Status string `json:"status"`
}

// replicaMain serves a tool that pays once for each key, and one that erases what a
// person has confirmed.
func replicaMain(dir, database string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	pool, err := pgxpool.New(ctx, database)
	if err != nil {
		return err
	}
	defer pool.Close()
	store, err := pgstate.New(ctx, pool, pgstate.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	audit, err := mcpsec.OpenAuditLog(filepath.Join(dir, "audit.jsonl"), mcpsec.Secret{})
	if err != nil {
		return err
	}
	effects, err := os.OpenFile(filepath.Join(dir, "effects"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	srv, err := mcpsec.NewServer(&mcp.Implementation{Name: "payments", Version: "1.0.0"}, mcpsec.Options{
		Audit: audit, Mode: mcpsec.Destroy, State: store, SealKeys: []mcpsec.Secret{redact.NewSecret(os.Getenv("REPLICA_SEAL"))}, Limits: mcpsec.Limits{CallsPerSecond: callsPerSecond},
	})
	if err != nil {
		return err
	}
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "pay", Description: "Pay once for a key.", Effect: mcpsec.Write},
		func(ctx context.Context, in payIn) (payOut, error) { return pay(ctx, store, effects, in.Key) }))
	srv.Add(mcpsec.NewTool(mcpsec.ToolSpec{Name: "erase", Description: "Erase what a key names.", Effect: mcpsec.Destroy},
		func(ctx context.Context, in payIn) (payOut, error) {
			_, err := fmt.Fprintf(effects, "%s %s\n", in.Key, mcpsec.CallID(ctx))
			return payOut{"erased"}, err
		}))
	ln, err := mcptest.Listen()
	if err != nil {
		return err
	}
	return srv.Serve(ctx, ln, mcpsec.HTTPOptions{Verifier: func(_ context.Context, token string) (mcpsec.Principal, error) {
		return mcpsec.Principal{ID: token}, nil
	}})
}

// pay has an effect, a line in a file, once for a key. The lease is longer than the
// test: a key whose holder was killed stays held.
func pay(ctx context.Context, once state.Once, effects io.Writer, key string) (payOut, error) {
	claim, err := once.Claim(ctx, "pay:"+key, time.Hour)
	if err != nil || claim.Status != state.Taken {
		return payOut{claim.Status.String()}, err
	}
	if _, err := fmt.Fprintf(effects, "%s %s\n", key, mcpsec.CallID(ctx)); err != nil {
		return payOut{}, err
	}
	return payOut{"paid"}, once.Complete(ctx, claim, nil, time.Hour)
}

// A replica is killed and started again, and keeps its files.
type replica struct {
	mcptest.Replica
	dir string
}

func newReplica(t *testing.T, database string) *replica {
	t.Helper()
	r := &replica{dir: t.TempDir()}
	r.Env = []string{"REPLICA_DIR=" + r.dir, "REPLICA_DATABASE=" + database, "REPLICA_SEAL=" + sealKey}
	r.Start(t)
	return r
}
