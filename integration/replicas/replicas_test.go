package replicas

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/pgstate"
)

const (
	replicas = 3
	kills    = 6
	between  = 30 // calls that are served between two kills
	workers  = 12
)

// A balancer hands requests to replicas in turn.
type balancer struct {
	next     atomic.Int64
	backends [replicas]atomic.Pointer[url.URL]
}

func (b *balancer) set(i int, address string) {
	b.backends[i].Store(&url.URL{Scheme: "http", Host: address})
}

func (b *balancer) proxy() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(b.backends[b.next.Add(1)%replicas].Load()) },
		ErrorLog: log.New(io.Discard, "", 0), // replicas are killed all the time
	}
}

// What became of a call.
const (
	served  = "served"  // the tool ran
	limited = "limited" // refused by the rate
	unknown = "unknown" // its replica was killed, or another error
)

// callPay asks for a payment. Only an answer of the tool is one.
func callPay(client *http.Client, url, principal, key string) string {
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pay","arguments":{"key":%q}}}`, key)
	r, err := http.NewRequest(http.MethodPost, url+"/mcp", strings.NewReader(body))
	if err != nil {
		return unknown
	}
	r.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"},
		"Authorization": {"Bearer " + principal}, "Mcp-Protocol-Version": {"2025-11-25"},
	}
	res, err := client.Do(r)
	if err != nil {
		return unknown
	}
	defer res.Body.Close()
	var answer struct {
		Result struct {
			Content           []struct{ Text string }
			StructuredContent *struct{ Status string }
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil {
		return unknown
	}
	switch {
	case answer.Result.StructuredContent != nil:
		return served
	case len(answer.Result.Content) > 0 && strings.HasPrefix(answer.Result.Content[0].Text, "too many calls"):
		return limited
	}
	return unknown
}

// newReplicas starts them on one database.
func newReplicas(t *testing.T) []*replica {
	t.Helper()
	server := postgres.Server(t)
	database := server.URL(postgres.Database(t, ""), "")
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if err := pgstate.Migrate(t.Context(), conn, "", server.Admin()); err != nil {
		t.Fatal(err)
	}
	var all []*replica
	for range replicas {
		all = append(all, newReplica(t, database))
	}
	return all
}

// Replicas that are killed and come back under load let no more through than the rate
// and one burst, pay for no key twice, and have recorded every call that had an
// effect.
func TestReplicasUnderFire(t *testing.T) {
	t.Parallel()
	all := newReplicas(t)
	var b balancer
	for i, r := range all {
		b.set(i, r.Address)
	}
	front := httptest.NewServer(b.proxy())
	defer front.Close()

	var counts sync.Map // of outcomes
	passed := make(chan struct{}, 1000)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var keys atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range workers {
		wg.Go(func() {
			for ctx.Err() == nil {
				key := fmt.Sprintf("k%d", keys.Add(1)/4) // each is asked for four times, at about one moment
				outcome := callPay(front.Client(), front.URL, "alice", key)
				n, _ := counts.LoadOrStore(outcome, new(atomic.Int64))
				n.(*atomic.Int64).Add(1)
				if outcome == served {
					select {
					case passed <- struct{}{}:
					case <-ctx.Done():
					}
				}
			}
		})
	}
	for i := range kills {
		for range between {
			select {
			case <-passed:
			case <-time.After(time.Minute):
				t.Fatal("no call is served any more")
			}
		}
		r := all[i%replicas]
		r.Kill()
		r.Start(t)
		b.set(i%replicas, r.Address)
	}
	stop()
	wg.Wait()
	took := time.Since(begin)

	count := func(outcome string) int64 {
		if n, ok := counts.Load(outcome); ok {
			return n.(*atomic.Int64).Load()
		}
		return 0
	}
	t.Logf("in %v: %d served, %d over the rate, %d unknown", took, count(served), count(limited), count(unknown))
	if most := 2*callsPerSecond + int64(callsPerSecond*took.Seconds()) + 1; count(served) > most || count(limited) == 0 {
		t.Errorf("%d were served in %v, want %d at most, and %d refused, want some", count(served), took, most, count(limited))
	}
	checkFiles(t, all)
}

// checkFiles compares effects and records of all replicas.
func checkFiles(t *testing.T, all []*replica) {
	t.Helper()
	paid := map[string]int{}
	for _, r := range all {
		r.Kill()
		records := allowed(t, filepath.Join(r.dir, "audit.jsonl"))
		effects, err := os.ReadFile(filepath.Join(r.dir, "effects"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(effects)) {
			key, call, ok := strings.Cut(strings.TrimSpace(line), " ")
			if paid[key]++; !ok || paid[key] > 1 {
				t.Errorf("%q was paid %d times", line, paid[key])
			}
			if !records[call] {
				t.Errorf("the call %s had an effect, and no record says that it was allowed", call)
			}
		}
	}
	if len(paid) < kills {
		t.Errorf("only %d keys were paid", len(paid))
	}
}

// allowed returns the ids of the calls that a log says were allowed. The log is whole,
// but for the record that was being written when its writer was killed.
func allowed(t *testing.T, path string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	if _, err := mcpsec.VerifyAuditLog(bytes.NewReader(whole), mcpsec.Secret{}); err != nil {
		t.Error(err)
	}
	calls := map[string]bool{}
	for line := range bytes.Lines(whole) {
		var r struct{ Msg, Call, Decision string }
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if r.Msg == "decision" && r.Decision == "allowed" {
			calls[r.Call] = true
		}
	}
	return calls
}
