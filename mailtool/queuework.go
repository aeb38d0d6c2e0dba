package mailtool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/seal"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

const (
	poll     = 5 * time.Second // how often is looked for what others have queued
	maxDown  = 3               // messages in a row that fail for the server's fault, after which is waited
	maxSends = 6               // tries of one message, with answers for a while
)

// RunQueue sends what is due, until ctx ends, and then returns nil after the message that
// is being sent. Run it on one or more replicas, or more than once in one: they share the
// work. Each message goes through all that Client.Send has, at the time at which it is
// sent: recipients, suppressions, caps, the check of the envelope.
//
// A message is handed over only after its document says so. When a process ends before
// that, another one sends the message; when it ends after, the message is unknown and
// never sent again. Of caps that are used up it waits for more; after an answer for a
// while it tries 6 times in about 6 hours. What could not be sent for 48 hours fails.
//
// It returns an error without Options.Queue, and when the Client is closed.
func (c *Client) RunQueue(ctx context.Context) error {
	if c.queue == nil {
		return errors.New("mailtool: RunQueue needs Options.Queue")
	}
	for ctx.Err() == nil {
		wait, err := c.round(ctx)
		switch {
		case errors.Is(err, errClosed):
			return fmt.Errorf("mailtool: %w", err)
		case err != nil && ctx.Err() == nil:
			c.o.Log.ErrorContext(ctx, "mail queue: waiting", "error", err)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-c.queue.wake:
		case <-ctx.Done():
		}
		t.Stop()
	}
	return nil
}

// round goes once through what is due, and returns when to do so again.
func (c *Client) round(ctx context.Context) (time.Duration, error) {
	p := &pass{Client: c, wait: poll}
	err := c.queue.list(ctx, c.queue.root+"due/", "", func(d state.Document) (bool, error) {
		id, run, _, due, ok := c.queue.readDue(d.Key)
		if !ok {
			return true, nil
		}
		j, doc, err := get[job](ctx, c.queue, c.queue.jobKey(id))
		switch {
		case err != nil:
			c.o.Log.ErrorContext(ctx, "mail queue: a job is left out", "job", id, "error", err)
			return ctx.Err() == nil, nil
		case doc.Version == 0 || j.Run != run: // its call has not ended, or never will
			if c.now().Sub(due) < time.Hour {
				return true, nil
			}
			return true, c.removeDue(ctx, d.Key)
		}
		if left := j.Due.Sub(c.now()); left > 0 {
			p.wait = min(p.wait, left)
			return false, nil
		}
		err = p.job(ctx, id, j)
		return !p.full, err
	})
	return max(p.wait, time.Millisecond), err
}

// A pass goes once through messages, and learns when it is worth to go again.
type pass struct {
	*Client
	wait   time.Duration
	full   bool // a cap of all mail is used up
	down   int  // messages in a row that the server was to blame for
	report func(done int)
}

// job sends what can be sent of a job, and takes it out of the queue when that is all.
func (p *pass) job(ctx context.Context, id string, j job) error {
	items, err := p.items(ctx, j)
	if err != nil { // which must not hold up others
		p.log(ctx).ErrorContext(ctx, "mail queue: a job is left out", "job", id, "error", err)
		return ctx.Err()
	}
	left, done := 0, 0
	for _, it := range items {
		if it.done() {
			done++
		}
	}
	for n, it := range items {
		if it.done() {
			continue
		}
		left++
		if ctx.Err() != nil || p.full {
			return ctx.Err()
		}
		after, err := p.item(ctx, id, j, n)
		if err != nil {
			return err
		}
		if !after.done() {
			continue
		}
		left, done = left-1, done+1
		if p.report != nil {
			p.report(done)
		}
	}
	if left > 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute) // or it would be listed until another worker comes
	defer cancel()
	_, err = p.finish(ctx, id, j)
	return err
}

// item sends one message if nobody else does, and if it may be sent now. It is not
// interrupted: a context that ended in its middle would leave a message of which nobody
// knows whether it was sent.
func (p *pass) item(ctx context.Context, id string, j job, n int) (item, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*p.o.Timeout)
	defer cancel()
	key := p.queue.itemKey(j.Run, n)
	claim, err := p.o.State.Claim(ctx, key, 2*p.o.Timeout)
	if err != nil || claim.Status != state.Taken {
		p.wait = min(p.wait, max(claim.Left, time.Millisecond), 500*time.Millisecond)
		return item{}, err
	}
	defer func() { // if not, the lease ends
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = p.o.State.Fail(after, claim)
	}()
	it, doc, err := get[item](ctx, p.queue, key)
	if err != nil || doc.Version == 0 || it.done() {
		return it, err
	}
	h := &hold{pass: p, id: id, job: j, n: n, item: it, doc: doc, me: rand.Text()}
	if pause := it.Next.Sub(p.now()); pause > 0 && it.State == isQueued {
		p.wait = min(p.wait, pause)
		return it, nil
	}
	err = h.send(ctx)
	return h.item, err
}

// A hold is one worker's try of one message.
type hold struct {
	*pass
	id   string
	job  job
	n    int
	item item
	doc  state.Document
	me   string
}

func (h *hold) send(ctx context.Context) error {
	switch {
	case h.item.State == isSending: // and nobody is at it: whoever was has died
		return h.end(ctx, isUnknown, "crash")
	case h.now().After(h.job.Due.Add(maxLate)):
		return h.end(ctx, isFailed, "late")
	}
	b, why, err := h.thaw(ctx)
	if errors.Is(err, seal.ErrKey) { // the operator's to put right
		h.o.Log.ErrorContext(ctx, "mail queue: a text is sealed under a key that is not in Options.Queue.Keys", "message_id", h.item.MessageID)
		return h.later(ctx, 5*time.Minute)
	}
	if err != nil {
		return err
	}
	if why != "" {
		return h.end(ctx, isFailed, why)
	}
	b.before = func() error {
		marked := h.item
		marked.State, marked.Holder = isSending, h.me
		return h.write(ctx, marked)
	}
	_, err = h.transmit(ctx, b)
	return h.settle(ctx, err)
}

// thaw returns the message as it was confirmed, or why it is not sent.
func (h *hold) thaw(ctx context.Context) (b *built, why string, err error) {
	d, err := h.queue.Documents.Get(ctx, h.queue.textKey(h.job.Run, h.n))
	if err != nil {
		return nil, "", err
	}
	b = &built{from: h.o.From, rcpts: h.item.To, messageID: h.item.MessageID, digest: h.item.Digest}
	b.rest, err = h.queue.ring.Unbox(d.Value, d.Key)
	if errors.Is(err, seal.ErrKey) {
		return nil, "", err
	}
	if err != nil {
		h.o.Log.ErrorContext(ctx, "mail queue: a text cannot be read", "error", err, "message_id", b.messageID)
		return nil, "damaged", nil
	}
	for _, r := range b.rcpts {
		if a, err := parseAddress(r); err != nil || h.policy.allows(a) != nil {
			return nil, "recipient", nil
		}
	}
	h.stamp(b)
	return b, "", nil
}

// settle writes down what became of a try.
func (h *hold) settle(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var used *throttled
	switch {
	case err == nil:
		h.down = 0
		return h.end(ctx, isSent, "")
	case errors.Is(err, ErrUnknown):
		return h.end(ctx, isUnknown, codeOf(err))
	case errors.Is(err, errSuppressed):
		return h.end(ctx, isSuppressed, "")
	case errors.Is(err, errClosed):
		return err
	case errors.As(err, &used):
		if !used.box {
			h.full, h.wait = true, min(max(used.wait, time.Second), time.Minute)
			return nil
		}
		return h.later(ctx, used.wait)
	case errors.Is(err, state.ErrLost): // cancelled, or taken over after a long sleep
		return h.lost(ctx)
	case ofMessage(err) && !passing(err), ofMessage(err) && h.item.Tries+1 >= maxSends:
		h.down = 0
		return h.end(ctx, isFailed, codeOf(err))
	case ofMessage(err):
		h.down = 0
		h.item.Tries++
		h.item.Code = codeOf(err)
		return h.later(ctx, time.Minute<<(2*(h.item.Tries-1)))
	}
	if h.down++; h.down >= maxDown {
		return errors.Join(err, h.later(ctx, 5*time.Minute))
	}
	return h.later(ctx, 5*time.Minute)
}

// ofMessage reports whether a failure is this message's, and not of the server or of
// what is asked before.
func ofMessage(err error) bool {
	var said *refusal
	var down *fault
	var envelope *envelopeError
	step := ""
	switch {
	case errors.As(err, &envelope):
		return true
	case errors.As(err, &said):
		step = said.step
	case errors.As(err, &down):
		step = down.step
	}
	for _, s := range []string{"MAIL", "RCPT", "DATA", "content"} {
		if strings.HasPrefix(step, s) {
			return true
		}
	}
	return false
}

// codeOf is what the log has of an error: the server's code, or a word.
func codeOf(err error) string {
	var said *refusal
	var down *fault
	var off *unmet
	switch {
	case errors.As(err, &said):
		return strings.TrimSpace(fmt.Sprintf("%d %s", said.code, said.enhanced))
	case errors.As(err, &down):
		return "connection"
	case errors.As(err, &off):
		return "server"
	}
	return "envelope"
}

// later puts a message back. Whoever has cancelled it in between has done so.
func (h *hold) later(ctx context.Context, pause time.Duration) error {
	next := h.item
	next.State, next.Holder, next.Next = isQueued, "", h.now().Add(pause)
	h.wait = min(h.wait, pause)
	return h.change(ctx, next)
}

// end writes down how a message has ended, and forgets its text.
func (h *hold) end(ctx context.Context, state, code string) error {
	next := h.item
	next.State, next.Code, next.At, next.Next = state, code, h.now().UTC(), time.Time{}
	if err := h.change(ctx, next); err != nil {
		return err
	}
	h.noteItem(ctx, h.id, h.job, h.item)
	return h.removeText(ctx, h.job, h.n)
}

func (c *Client) removeText(ctx context.Context, j job, n int) error {
	return c.removeDue(ctx, c.queue.textKey(j.Run, n))
}

// change writes an item whose state only this worker can have changed since, unless its
// claim has ended meanwhile: then what others have written stays, but for their guess
// that this worker has died.
func (h *hold) change(ctx context.Context, next item) error {
	for pause := 10 * time.Millisecond; ; pause *= 2 {
		err := h.write(ctx, next)
		if err == nil {
			return nil
		}
		if pause > time.Second || !sleep(ctx, pause) {
			return err
		}
		now, doc, failed := get[item](ctx, h.queue, h.doc.Key)
		switch {
		case failed != nil:
			continue
		case doc.Version == h.doc.Version, now.Holder == h.me:
			h.doc = doc
		default:
			h.item, h.doc = now, doc
			return nil
		}
	}
}

func (h *hold) write(ctx context.Context, next item) error {
	doc, err := h.queue.put(ctx, h.doc, next, h.keepFor(h.job))
	if err == nil {
		h.item, h.doc = next, doc
	}
	return err
}

// lost looks at what another has made of the item, or of what an error has hidden that
// was written here: that nothing was sent is known.
func (h *hold) lost(ctx context.Context) error {
	now, doc, err := get[item](ctx, h.queue, h.doc.Key)
	if err != nil {
		return err
	}
	h.item, h.doc = now, doc
	if now.State == isSending && now.Holder == h.me {
		return h.later(ctx, time.Minute)
	}
	return nil
}
