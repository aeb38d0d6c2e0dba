package pgstate_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/suppresstest"
	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
)

var lists atomic.Int64

func TestStoreIsSuppressions(t *testing.T) {
	t.Parallel()
	database := postgres.Database(t, "")
	conn, pool := admin(t, database), newPool(t, database, nil)
	suppresstest.Run(t, func(t *testing.T) suppress.Store {
		schema := fmt.Sprintf("list %d", lists.Add(1))
		migrate(t, conn, schema)
		return newStore(t, pool, schema).Suppressions()
	})
}

// Replicas share the list, a crash keeps it, cleaning leaves it, and an error holds no
// address.
func TestSuppressionsAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, b := w.store(t), w.store(t)
	e := suppress.Entry{Address: "ann@example.com", Reason: suppress.Complaint, Time: time.Unix(1e9, 0).UTC(), Source: "s"}
	if ok, err := a.Suppressions().Add(t.Context(), e); !ok || err != nil {
		t.Fatalf("got %v, %v", ok, err)
	}
	if _, err := b.Clean(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := b.Suppressions().Check(t.Context(), e.Address); got != e || !ok || err != nil {
		t.Errorf("got %+v, %v, %v", got, ok, err)
	}
	if p := ask[string](t, w.admin, "SELECT relpersistence::text FROM pg_class WHERE oid = 'mcpsec.suppressions'::regclass"); p != "p" {
		t.Errorf("the table's persistence is %s", p)
	}
	exec(t, w.admin, "UPDATE mcpsec.suppressions SET reason = 'made up'")
	if _, ok, err := b.Suppressions().Check(t.Context(), e.Address); ok || err == nil {
		t.Errorf("a made-up reason: got %v, %v", ok, err)
	}
	exec(t, w.admin, "DROP TABLE mcpsec.suppressions")
	_, ok, err := b.Suppressions().Check(t.Context(), e.Address)
	if ok || err == nil || strings.Contains(err.Error(), "ann@") || !strings.Contains(err.Error(), "SetupSQL") {
		t.Errorf("got %v, %v", ok, err)
	}
	if _, err := a.Suppressions().List(context.Background(), "", 1); err == nil {
		t.Error("a list of nothing")
	}
}
