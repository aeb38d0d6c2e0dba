package mcpsec_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mcpsec"
)

var errDisk = errors.New("the disk is broken")

// A slowDisk takes a second to sync, and knows how much of the text is safe.
type slowDisk struct {
	mu    sync.Mutex
	text  bytes.Buffer
	safe  int
	syncs int
	err   error
}

func (d *slowDisk) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

func (d *slowDisk) Sync() error {
	d.mu.Lock()
	n, err := d.text.Len(), d.err
	d.syncs++
	d.mu.Unlock()
	time.Sleep(time.Second)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.safe = n
	}
	return err
}

func (d *slowDisk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncs
}

func (d *slowDisk) breaks(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *slowDisk) isSafe(message string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Contains(d.text.String()[:d.safe], `"msg":"`+message+`"`)
}

func synced(t *testing.T, d *slowDisk, every time.Duration) *mcpsec.AuditLog {
	t.Helper()
	l := mcpsec.NewAuditLog(d)
	if err := l.SyncEvery(every); err != nil {
		t.Fatal(err)
	}
	return l
}

func handle(t *testing.T, l *mcpsec.AuditLog, message string) error {
	return l.Handle(t.Context(), slog.Record{Message: message})
}

// What Handle has acknowledged is on the disk, and a hundred records cost two syncs: the
// one that runs when they come, and one for all of them.
func TestSyncEveryRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &slowDisk{}
		l := synced(t, d, 0)
		var wg sync.WaitGroup
		for i := range 101 {
			message := strings.Repeat("x", i+1)
			wg.Go(func() {
				if err := handle(t, l, message); err != nil || !d.isSafe(message) {
					t.Errorf("acknowledged: %v, safe: %v", err, d.isSafe(message))
				}
			})
			if i == 0 {
				synctest.Wait() // its sync runs
			}
		}
		wg.Wait()
		if d.count() != 2 {
			t.Errorf("%d syncs, want 2", d.count())
		}
	})
}

// A record that did not get to the disk is refused and withdrawn, and the chain is whole.
func TestSyncFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &slowDisk{err: errDisk}
		l := synced(t, d, 0)
		var wg sync.WaitGroup
		for _, m := range []string{"one", "two"} {
			wg.Go(func() {
				if err := handle(t, l, m); !errors.Is(err, errDisk) {
					t.Errorf("%s: got %v, want %v", m, err, errDisk)
				}
			})
		}
		wg.Wait()
		d.breaks(nil)
		if err := handle(t, l, "three"); err != nil {
			t.Error(err)
		}
		text := d.text.String()
		for _, want := range []string{`"seq_withdrawn":1}`, `"seq_withdrawn":2}`} {
			if !strings.Contains(strings.ReplaceAll(text, `,"hash"`, `}`), want) {
				t.Errorf("no %s in\n%s", want, text)
			}
		}
		if head, err := mcpsec.VerifyAuditLog(strings.NewReader(text), mcpsec.Secret{}); err != nil || head != l.Head() || head.Records != 5 {
			t.Errorf("got %v, %v, want %v", head, err, l.Head())
		}
	})
}

// With an interval nobody waits, and no record is unsafe for longer than that.
func TestSyncLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &slowDisk{}
		l := synced(t, d, time.Minute)
		start := time.Now()
		for _, m := range []string{"one", "two"} {
			if err := handle(t, l, m); err != nil {
				t.Error(err)
			}
		}
		if waited := time.Since(start); waited != 0 || d.count() != 0 {
			t.Errorf("waited %v for %d syncs", waited, d.count())
		}
		time.Sleep(time.Minute + 2*time.Second)
		if !d.isSafe("one") || !d.isSafe("two") || d.count() != 1 {
			t.Errorf("after a minute: %d syncs", d.count())
		}
		time.Sleep(time.Hour)
		if d.count() != 1 {
			t.Errorf("%d syncs without a record", d.count())
		}
		if err := errors.Join(handle(t, l, "three"), l.Close()); err != nil || !d.isSafe("three") {
			t.Errorf("after Close: %v, safe: %v", err, d.isSafe("three"))
		}
	})
}

// After a sync that failed nothing is taken until one works.
func TestSyncLaterFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &slowDisk{err: errDisk}
		l := synced(t, d, time.Minute)
		if err := handle(t, l, "one"); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Minute)
		if err := handle(t, l, "two"); !errors.Is(err, errDisk) {
			t.Errorf("got %v, want %v", err, errDisk)
		}
		d.breaks(nil)
		if err := handle(t, l, "three"); err != nil {
			t.Error(err)
		}
		if !strings.Contains(d.text.String(), `"seq_withdrawn":2`) {
			t.Errorf("not withdrawn:\n%s", d.text.String())
		}
		l.Close()
	})
}

func TestSyncEveryNeedsAFile(t *testing.T) {
	t.Parallel()
	if err := mcpsec.NewAuditLog(&mcptest.Buffer{}).SyncEvery(0); err == nil {
		t.Error("a writer without Sync was taken")
	}
	l, err := mcpsec.OpenAuditLog(t.TempDir()+"/audit.jsonl", mcpsec.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.SyncEvery(0); err != nil {
		t.Error(err)
	}
	if err := handle(t, l, "one"); err != nil {
		t.Error(err)
	}
}
