package pgstate_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/mcpsec/mcpsec-go/internal/suppresstest"
	"github.com/mcpsec/mcpsec-go/mailtool/suppress"
)

// The list of who gets no mail is kept here as it is in memory.
func TestStoreKeepsSuppressions(t *testing.T) {
	t.Parallel()
	database := postgres.Database(t, "")
	conn, pool := admin(t, database), newPool(t, database, nil)
	var lists atomic.Int64
	suppresstest.Run(t, func(t *testing.T) suppress.Store {
		schema := fmt.Sprintf("list %d", lists.Add(1))
		migrate(t, conn, schema)
		return suppress.New(newStore(t, pool, schema))
	})
}
