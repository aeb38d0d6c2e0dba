package mailtool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A mailman is what stands for the server: it asks what is asked before DATA, and notes
// whom it was given a message for.
type mailman struct {
	mu    sync.Mutex
	sent  []string
	said  func(n int, b *built) error // before DATA; n counts from 1
	after func(n int, b *built) error // behind the final dot
	n     int
}

func (p *mailman) hand(_ context.Context, b *built) error {
	p.mu.Lock()
	p.n++
	n := p.n
	p.mu.Unlock()
	if p.said != nil {
		if err := p.said(n, b); err != nil {
			return err
		}
	}
	if err := b.check(b.from, b.rcpts, func(address) error { return nil }); err != nil {
		return err
	}
	if b.before != nil {
		if err := b.before(); err != nil {
			return failed("DATA", &heldBack{err})
		}
	}
	p.mu.Lock()
	p.sent = append(p.sent, strings.Join(b.rcpts, ",")+" "+b.messageID)
	p.mu.Unlock() // before what may sleep: a bubble does not see who waits for it
	if p.after != nil {
		return p.after(n, b)
	}
	return nil
}

func (p *mailman) got() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.sent)
}

func queueKeys() []mcpsec.Secret {
	return []mcpsec.Secret{mcpsecSecret("Ub7tq0Zs" + "Wn4vKx9cRj2m" + "Hd5yPg8eLa3f")}
}

// queueClient is a client in a bubble, on a store that others may share.
func queueClient(t testing.TB, p *mailman, store *state.Memory, change ...func(*Options)) *Client {
	t.Helper()
	change = append([]func(*Options){func(o *Options) {
		o.State, o.Log, o.Timeout = store, slog.New(slog.DiscardHandler), 10*time.Second
		o.Queue = Queue{Documents: store, Keys: queueKeys()}
	}}, change...)
	c := testClient(t, change...)
	c.now = time.Now
	if p != nil {
		c.hand = p.hand
	}
	return c
}

func letter(to string) Message {
	return Message{To: []string{to}, Subject: canary + "-subject", Text: canary + "-text"}
}

// queued queues messages of an owner, and returns the job.
func queued(t testing.TB, c *Client, id string, due time.Time, to ...string) job {
	t.Helper()
	var messages []*built
	for _, a := range to {
		messages = append(messages, mustBuild(t, c, letter(a)))
	}
	j, err := c.enqueue(t.Context(), id, job{Owner: "alice", Due: due, Subject: canary + "-subject", Digest: bulkDigest(messages)}, messages)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// run lets workers send for a time, until nothing happens any more.
func run(t testing.TB, d time.Duration, clients ...*Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() {
			if err := c.RunQueue(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// states are how a job's messages stand, with their codes.
func states(t testing.TB, c *Client, j job) string {
	t.Helper()
	items, err := c.items(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, it := range items {
		out = append(out, strings.TrimSpace(it.State+" "+it.Code))
	}
	return strings.Join(out, ", ")
}

func people(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("p%d@example.com", i))
	}
	return out
}

// A message is sent at its time and not before, by one of all workers, once.
func TestQueueSendsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, store := &mailman{}, new(state.Memory)
		p.after = func(int, *built) error { time.Sleep(300 * time.Millisecond); return nil }
		one, two, three := queueClient(t, p, store), queueClient(t, p, store), queueClient(t, p, store)
		later := queued(t, one, "later", time.Now().Add(time.Hour), "late@example.com")
		now := queued(t, two, "now", time.Now(), people(20)...)
		run(t, 59*time.Minute, one, two, three)
		if got := p.got(); len(got) != 20 {
			t.Errorf("got %q", got)
		}
		run(t, 2*time.Minute, one, two, three)
		got := p.got()
		for i, s := range got {
			got[i], _, _ = strings.Cut(s, " ")
		}
		want := append(people(20), "late@example.com")
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("got %q", got)
		}
		if s := states(t, one, now) + states(t, one, later); strings.Count(s, isSent) != 21 {
			t.Errorf("got %s", s)
		}
		notes := map[string]int{}
		if err := one.notes(t.Context(), one.queue.notesOf("alice"), "", func(_ string, n note) bool { notes[n.Outcome]++; return true }); err != nil || len(notes) != 1 || notes[isSent] != 21 {
			t.Errorf("noted %v, %v", notes, err)
		}
		for _, kind := range []string{"due/", "text/"} {
			if docs, err := store.List(t.Context(), one.queue.root+kind, "", 100); err != nil || len(docs) != 0 {
				t.Errorf("%s: %d are left, %v", kind, len(docs), err)
			}
		}
	})
}

// An equal job is there already.
func TestEnqueueOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, store := &mailman{}, new(state.Memory)
		c := queueClient(t, p, store)
		first := queued(t, c, "x", time.Now(), "a@example.com")
		if again := queued(t, c, "x", time.Now(), "b@example.com"); again.Run != first.Run {
			t.Errorf("got %+v after %+v", again, first)
		}
		run(t, time.Minute, c)
		if got := p.got(); len(got) != 1 || !strings.HasPrefix(got[0], "a@") {
			t.Errorf("got %q", got)
		}
	})
}

// A blind store does not have what it is asked for, once.
type blind struct {
	state.Documents
	asked bool
}

func (b *blind) Get(ctx context.Context, key string) (state.Document, error) {
	if !b.asked {
		b.asked = true
		return state.Document{Key: key}, nil
	}
	return b.Documents.Get(ctx, key)
}

// Of two equal calls at once, one has queued its job.
func TestEnqueueAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, store := &mailman{}, new(state.Memory)
		c := queueClient(t, p, store)
		second := queueClient(t, p, store, func(o *Options) { o.Queue.Documents = &blind{Documents: store} })
		first := queued(t, c, "x", time.Now(), "a@example.com")
		if again := queued(t, second, "x", time.Now(), "b@example.com"); again.Run != first.Run {
			t.Errorf("got %+v after %+v", again, first)
		}
		run(t, time.Minute, c, second)
		if got := p.got(); len(got) != 1 || !strings.HasPrefix(got[0], "a@") {
			t.Errorf("got %q", got)
		}
	})
}

// A breakable store fails from some step on, as if the process had died there; or it
// does what it was asked and says that it failed.
type breakable struct {
	state.Documents
	mu   sync.Mutex
	left int // calls that change something
	lie  bool
}

func (b *breakable) broken() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left--
	return b.left < 0
}

var errBroken = errors.New("the store is gone")

func (b *breakable) Put(ctx context.Context, d state.Document, keep time.Duration) (state.Document, error) {
	if b.broken() {
		if b.lie {
			_, _ = b.Documents.Put(ctx, d, keep)
		}
		return state.Document{}, errBroken
	}
	return b.Documents.Put(ctx, d, keep)
}

func (b *breakable) Delete(ctx context.Context, d state.Document) error {
	if b.broken() {
		return errBroken
	}
	return b.Documents.Delete(ctx, d)
}

// unlisted is a store that fails, with an error that tells too much.
type unlisted struct{ state.Documents }

func (unlisted) List(context.Context, string, string, int) ([]state.Document, error) {
	return nil, fmt.Errorf("connecting with password %s: %w", canary, errBroken)
}

// The queue works outside of any call, so what keeps it from sending goes to the
// client's own log, redacted as a server's is.
func TestQueueLogs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		store := new(state.Memory)
		c := queueClient(t, &mailman{}, store, func(o *Options) {
			o.Log = slog.New(slog.NewTextHandler(&log, nil))
			o.Username, o.Password, o.Queue.Documents = "me", mcpsecSecret(canary), unlisted{store}
		})
		run(t, time.Second, c)
		if got := log.String(); !strings.Contains(got, "mail queue: waiting") || !strings.Contains(got, errBroken.Error()) || strings.Contains(got, canary) {
			t.Errorf("logged %q", got)
		}
	})
}

// Whatever step a process dies at, each recipient gets the message once, or it is
// unknown: nobody gets it twice, and nobody is forgotten.
func TestQueueAfterCrash(t *testing.T) {
	t.Parallel()
	for _, lie := range []bool{false, true} {
		for step := range 40 {
			synctest.Test(t, func(t *testing.T) {
				p, store := &mailman{}, new(state.Memory)
				dying := &breakable{Documents: store, left: step, lie: lie}
				first := queueClient(t, p, store, func(o *Options) { o.Queue.Documents = dying })
				second := queueClient(t, p, store)
				var messages []*built
				for _, a := range people(3) {
					messages = append(messages, mustBuild(t, first, letter(a)))
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				_, queueing := first.enqueue(ctx, "x", job{Owner: "alice", Due: time.Now()}, messages)
				_ = first.RunQueue(ctx)
				cancel()
				time.Sleep(time.Hour) // leases end
				j, err := second.enqueue(t.Context(), "x", job{Owner: "alice", Due: time.Now()}, messages)
				if err != nil {
					t.Fatal(err)
				}
				run(t, 10*time.Minute, second)
				sent := map[string]int{}
				for _, s := range p.got() {
					sent[s]++
				}
				items, err := second.items(t.Context(), j)
				if err != nil {
					t.Fatal(err)
				}
				if due, err := store.List(t.Context(), second.queue.root+"due/", "", 100); err != nil || len(due) != 0 {
					t.Errorf("lie %t, step %d: %d jobs are left over, %v", lie, step, len(due), err)
				}
				for _, it := range items {
					n := sent[it.To[0]+" "+it.MessageID]
					if n > 1 || it.State != isSent && it.State != isUnknown || it.State == isSent && n != 1 {
						t.Errorf("lie %t, step %d (%v): %s is %s and was sent %d times", lie, step, queueing, it.To[0], it.State, n)
					}
				}
			})
		}
	}
}

// A worker that sleeps longer than its lease finds the message taken, and does not send
// it behind the other's back.
func TestQueueAfterSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, store := &mailman{}, new(state.Memory)
		slow, c := queueClient(t, p, store), queueClient(t, p, store)
		j := queued(t, c, "x", time.Now(), "a@example.com")
		slow.hand = func(ctx context.Context, b *built) error {
			time.Sleep(time.Minute)
			return p.hand(ctx, b)
		}
		run(t, 3*time.Minute, slow, c)
		if got := p.got(); len(got) != 1 || states(t, c, j) != isSent {
			t.Errorf("sent %q, %s", got, states(t, c, j))
		}
	})
}

// An answer for a while is tried again, with pauses, and not for ever; one for good is
// not, and one that nobody heard never.
func TestQueueTries(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		said, after error
		tries, sent int
		end         string
	}{
		"a while":       {said: &refusal{"RCPT 1 of 1", 450, "4.2.1"}, tries: maxSends, end: "failed 450 4.2.1"},
		"for good":      {said: &refusal{"RCPT 1 of 1", 550, "5.1.1"}, tries: 1, end: "failed 550 5.1.1"},
		"behind DATA":   {after: &refusal{"content", 451, ""}, tries: maxSends, sent: maxSends, end: "failed 451"},
		"no answer":     {after: fmt.Errorf("%w: gone", ErrUnknown), tries: 1, sent: 1, end: "unknown envelope"},
		"the envelope":  {said: &envelopeError{"x"}, tries: 1, end: "failed envelope"},
		"no connection": {said: &fault{"connecting", errBroken}, tries: 100, end: "failed late"},
		"no login":      {said: &refusal{"AUTH", 535, ""}, tries: 100, end: "failed late"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, store := &mailman{}, new(state.Memory)
				p.said = func(int, *built) error { return test.said }
				p.after = func(int, *built) error { return test.after }
				c := queueClient(t, p, store)
				j := queued(t, c, "x", time.Now(), "a@example.com")
				for range 100 {
					run(t, time.Second, c)
					time.Sleep(30 * time.Minute)
				}
				if p.n > test.tries || p.n < test.tries*3/4 || len(p.got()) != test.sent || states(t, c, j) != test.end {
					t.Errorf("%d tries, sent %q, %s", p.n, p.got(), states(t, c, j))
				}
			})
		})
	}
}

// Caps hold the queue up, and fail nothing; one mailbox's do not hold others up.
func TestQueueIsThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, store := &mailman{}, new(state.Memory)
		c := queueClient(t, p, store, func(o *Options) {
			o.Recipients.MaxPerMessage, o.Recipients.PerHour, o.Recipients.PerDay, o.Recipients.PerRecipient = 1, 4, 10, 1
		})
		j := queued(t, c, "x", time.Now(), append([]string{"p0+1@example.com", "p0+2@example.com"}, people(8)[1:]...)...)
		for hour, want := range []int{4, 8, 8} { // midnight is far, and one mailbox has had its message
			run(t, 10*time.Minute, c)
			if n := len(p.got()); n != want {
				t.Errorf("hour %d: %d sent", hour, n)
			}
			items, err := c.items(t.Context(), j)
			if err != nil {
				t.Fatal(err)
			}
			for _, it := range items[2:] { // nobody's fault, and nothing to write down
				if it.Tries != 0 || !it.Next.IsZero() {
					t.Errorf("%s waits until %s", it.To, it.Next)
				}
			}
			time.Sleep(50 * time.Minute)
		}
		time.Sleep(21 * time.Hour)
		run(t, time.Hour, c)
		if s := states(t, c, j); len(p.got()) != 9 || strings.Count(s, isSent) != 9 {
			t.Errorf("%d sent, %s", len(p.got()), s)
		}
	})
}

// Who is suppressed, or excluded, after the message was queued gets none.
func TestQueueAsksWhenItSends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, store := &mailman{}, new(state.Memory)
		no := map[string]bool{}
		c := queueClient(t, p, store, func(o *Options) {
			o.Suppressed = func(_ context.Context, a string) (bool, error) { return no[a], nil }
		})
		j := queued(t, c, "x", time.Now().Add(time.Minute), people(3)...)
		no["p1@example.com"] = true
		strict := queueClient(t, p, store, func(o *Options) { o.Suppressed, o.Recipients.Deny = c.o.Suppressed, []string{"p2@example.com"} })
		run(t, time.Hour, strict)
		if got, s := p.got(), states(t, c, j); len(got) != 1 || s != "sent, suppressed, failed recipient" {
			t.Errorf("sent %q, %s", got, s)
		}
	})
}

// Whoever ends a worker, or the call of a bulk, does not end the message that is being
// sent: nobody would know whether it was.
func TestQueueIsNotInterrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := queueClient(t, nil, new(state.Memory))
		j := queued(t, c, "x", time.Now(), people(2)...)
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		c.hand = func(ctx context.Context, b *built) error {
			n++
			cancel()
			time.Sleep(time.Second)
			return errors.Join(ctx.Err(), b.before())
		}
		if err := c.RunQueue(ctx); err != nil || n != 1 || states(t, c, j) != "sent, queued" {
			t.Errorf("%v, %d were sent, %s", err, n, states(t, c, j))
		}
	})
}

// A closed client ends its workers, and loses nothing.
func TestQueueOfClosedClient(t *testing.T) {
	t.Parallel()
	c := queueClient(t, nil, new(state.Memory))
	j := queued(t, c, "x", time.Now(), "a@example.com")
	c.Close()
	if err := c.RunQueue(t.Context()); !errors.Is(err, errClosed) || states(t, c, j) != isQueued {
		t.Errorf("got %v, %s", err, states(t, c, j))
	}
}

// A server that is down is asked a few times in a round, and not for each message.
func TestQueueSparesTheServer(t *testing.T) {
	t.Parallel()
	p := &mailman{said: func(int, *built) error { return &fault{"connecting", errBroken} }}
	c := queueClient(t, p, new(state.Memory))
	j := queued(t, c, "x", time.Now(), people(20)...)
	if _, err := c.round(t.Context()); err == nil || p.n != maxDown || strings.Contains(states(t, c, j), isFailed) {
		t.Errorf("asked %d times, %v", p.n, err)
	}
}
