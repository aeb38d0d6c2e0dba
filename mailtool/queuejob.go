package mailtool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A job is what one call has queued: messages that a person has confirmed. It is there
// from when its own document is written, behind all others that it has.
type job struct {
	Run      string    `json:"run"`   // names its other documents
	Owner    string    `json:"owner"` // the principal's id
	Template string    `json:"template,omitempty"`
	Subject  string    `json:"subject,omitempty"` // until it is done
	To       []string  `json:"to,omitempty"`      // the first ones, until it is done
	Count    int       `json:"count"`             // of messages
	Due      time.Time `json:"due"`
	Created  time.Time `json:"created"`
	Digest   string    `json:"digest"` // of what was confirmed
	Done     bool      `json:"done"`
}

// What becomes of an item, in the order of its life. Each change is one of its
// document's version, so that of two who want to change it one does.
const (
	isQueued     = "queued"
	isSending    = "sending" // DATA may have been sent
	isSent       = "sent"
	isFailed     = "failed"
	isUnknown    = "unknown"
	isSuppressed = "suppressed"
	isCancelled  = "cancelled"
)

// An item is one message of a job. Its text is in a document of its own until the item is
// done.
type item struct {
	State     string    `json:"state"`
	To        []string  `json:"to"`
	MessageID string    `json:"message_id"`
	Digest    string    `json:"digest"`
	Code      string    `json:"code,omitempty"`
	Tries     int       `json:"tries,omitempty"`
	Next      time.Time `json:"next"`             // not before
	At        time.Time `json:"at"`               // of its end
	Holder    string    `json:"holder,omitempty"` // who sends it
}

func (i item) done() bool { return i.State != isQueued && i.State != isSending }

func (q *queue) jobKey(id string) string { return q.root + "job/" + id }
func (q *queue) itemKey(run string, n int) string {
	return fmt.Sprintf("%sitem/%s/%04d", q.root, run, n)
}
func (q *queue) textKey(run string, n int) string {
	return fmt.Sprintf("%stext/%s/%04d", q.root, run, n)
}
func (q *queue) dueKey(id string, j job) string {
	return fmt.Sprintf("%sdue/%012d/%s/%s/%s", q.root, j.Due.Unix(), id, j.Run, ownerHash(j.Owner))
}

func ownerHash(owner string) string { return hash(owner)[:16] }

// readDue is what is in a key that dueKey has made.
func (q *queue) readDue(key string) (id, run, owner string, due time.Time, ok bool) {
	parts := strings.Split(strings.TrimPrefix(key, q.root+"due/"), "/")
	if len(parts) != 4 {
		return "", "", "", due, false
	}
	seconds, err := strconv.ParseInt(parts[0], 10, 64)
	return parts[1], parts[2], parts[3], time.Unix(seconds, 0), err == nil
}

// keepFor is for how long a job's documents are kept.
func (c *Client) keepFor(j job) time.Duration { return j.Due.Sub(c.now()) + maxLate + c.queue.Keep }

// enqueue makes a job of messages, or returns the one that there is under that id.
func (c *Client) enqueue(ctx context.Context, id string, j job, messages []*built) (job, error) {
	if there, d, err := get[job](ctx, c.queue, c.queue.jobKey(id)); err != nil || d.Version != 0 {
		return there, err
	}
	if err := c.room(ctx, j.Owner); err != nil {
		return j, err
	}
	j.Run, j.Count, j.Created = strings.ToLower(rand.Text()), len(messages), c.now()
	for n, b := range messages {
		if len(b.rest) > maxQueued {
			return j, errSize(maxQueued)
		}
		text := state.Document{Key: c.queue.textKey(j.Run, n)}
		text.Value = c.queue.ring.Box(b.rest, text.Key)
		if _, err := c.queue.Documents.Put(ctx, text, c.keepFor(j)); err != nil {
			return j, err
		}
		it := item{State: isQueued, To: b.rcpts, MessageID: b.messageID, Digest: b.digest}
		if _, err := c.queue.put(ctx, state.Document{Key: c.queue.itemKey(j.Run, n)}, it, c.keepFor(j)); err != nil {
			return j, err
		}
		if len(j.To) < 10 {
			j.To = append(j.To, b.rcpts[:min(len(b.rcpts), 10-len(j.To))]...)
		}
	}
	if _, err := c.queue.put(ctx, state.Document{Key: c.queue.dueKey(id, j)}, "", c.keepFor(j)); err != nil {
		return j, err
	}
	_, err := c.queue.put(ctx, state.Document{Key: c.queue.jobKey(id)}, j, c.keepFor(j))
	if errors.Is(err, state.ErrLost) { // an equal call was first, and what was written here is nobody's
		there, _, err := get[job](ctx, c.queue, c.queue.jobKey(id))
		return there, errors.Join(err, c.removeTexts(ctx, j))
	}
	select {
	case c.queue.wake <- struct{}{}:
	default:
	}
	return j, err
}

// room refuses more jobs than may wait, of all callers and of one.
func (c *Client) room(ctx context.Context, owner string) error {
	all, own := 0, 0
	err := c.queue.list(ctx, c.queue.root+"due/", "", func(d state.Document) (bool, error) {
		all++
		if _, _, of, _, ok := c.queue.readDue(d.Key); ok && of == ownerHash(owner) {
			own++
		}
		return all < maxJobs, nil
	})
	if err == nil && (all >= maxJobs || own >= maxOwn) {
		err = wrong("queue", "as many jobs wait as may, %d of one caller and %d of all: call again when some were sent, or cancel some", maxOwn, maxJobs)
	}
	return err
}

// A stored is an item as it stands in the store.
type stored struct {
	item
	doc state.Document
}

func (c *Client) items(ctx context.Context, j job) ([]stored, error) {
	var out []stored
	err := c.queue.list(ctx, c.queue.root+"item/"+j.Run+"/", "", func(d state.Document) (bool, error) {
		it, d, err := unseal[item](c.queue, d)
		out = append(out, stored{it, d})
		return true, err
	})
	if err == nil && len(out) != j.Count {
		err = fmt.Errorf("a job of %d messages has %d", j.Count, len(out))
	}
	return out, err
}

// removeTexts removes what nobody will send any more.
func (c *Client) removeTexts(ctx context.Context, j job) error {
	return c.queue.list(ctx, c.queue.root+"text/"+j.Run+"/", "", func(d state.Document) (bool, error) {
		if err := c.queue.Documents.Delete(ctx, d); err != nil && !errors.Is(err, state.ErrLost) {
			return false, err
		}
		return true, nil
	})
}

// finish takes a job out of the queue if all its items are done. It may be done again.
func (c *Client) finish(ctx context.Context, id string, j job) (bool, error) {
	items, err := c.items(ctx, j)
	if err != nil {
		return false, err
	}
	for _, it := range items {
		if !it.done() {
			return false, nil
		}
		c.noteItem(ctx, id, j, it.item)
	}
	if err := c.removeTexts(ctx, j); err != nil {
		return true, err
	}
	now, d, err := get[job](ctx, c.queue, c.queue.jobKey(id))
	if err == nil && d.Version != 0 && !now.Done {
		now.Done, now.Subject, now.To = true, "", nil
		if _, err = c.queue.put(ctx, d, now, c.keepFor(j)); errors.Is(err, state.ErrLost) {
			err = nil
		}
	}
	if err != nil {
		return true, err
	}
	return true, c.removeDue(ctx, c.queue.dueKey(id, j))
}

func (c *Client) removeDue(ctx context.Context, key string) error {
	d, err := c.queue.Documents.Get(ctx, key)
	if err != nil || d.Version == 0 {
		return err
	}
	if err := c.queue.Documents.Delete(ctx, d); !errors.Is(err, state.ErrLost) {
		return err
	}
	return nil
}
