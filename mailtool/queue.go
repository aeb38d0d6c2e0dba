package mailtool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/seal"
	"github.com/mcpsec/mcpsec-go/mcpsec"
	"github.com/mcpsec/mcpsec-go/mcpsec/state"
)

// A Queue is where a [Client] keeps mail that is sent later, and the log of what became
// of all mail. Without Documents there is none.
//
// All that is kept is sealed with AES-256-GCM, each document for its key: whoever reads
// the store learns when mail is due and how much of it there is. Of a message that was
// sent, or never will be, neither text nor subject is kept.
type Queue struct {
	// Documents is the store, which replicas share, such as a pgstate.Store: what it
	// forgets is not sent. With it, Options.State is required, and must be shared by
	// the same replicas. Defaults to none.
	Documents state.Documents
	// Keys are secrets of 32 random bytes or more. The first seals, and all of them
	// open: put a new key in front, and keep the old one for as long as mail waits and
	// the log is kept. Required with Documents.
	Keys []mcpsec.Secret
	// Keep is for how long the log and a job's results are kept, an hour to 180 days.
	// Defaults to 30 days.
	Keep time.Duration
	// MaxRecipients is how many recipients one call of mail_send_bulk may have, 1 to
	// 1000. Defaults to 100.
	MaxRecipients int
	// Unsubscribe makes the link that List-Unsubscribe of each bulk message names, as
	// Unsubscribe.Link does; the list is the template's name. Defaults to none.
	Unsubscribe func(recipient, list string) (string, error)
}

const (
	maxAhead  = 90 * day       // of a message's time
	maxLate   = 48 * time.Hour // after which it is not sent any more
	maxJobs   = 1000           // that wait
	maxOwn    = 200            // of them one caller's
	maxQueued = state.MaxDocument - 1024
)

func (o *Queue) setDefaults(s state.Store) error {
	if o.Documents == nil {
		if len(o.Keys) > 0 || o.Keep != 0 || o.MaxRecipients != 0 || o.Unsubscribe != nil {
			return errors.New("Options.Queue.Documents is required with its other fields")
		}
		return nil
	}
	o.Keep, o.MaxRecipients = or(o.Keep, 30*day), or(o.MaxRecipients, 100)
	switch {
	case s == nil:
		return errors.New("Options.State is required with Options.Queue: what was used of the caps must outlast a restart, too")
	case o.Keep < time.Hour || o.Keep > 180*day:
		return errors.New("Options.Queue.Keep must be an hour to 180 days")
	case o.MaxRecipients < 1 || o.MaxRecipients > 1000:
		return errors.New("Options.Queue.MaxRecipients must be 1 to 1000")
	}
	return nil
}

// A queue is a sender's part of a store of documents.
type queue struct {
	Queue
	ring *seal.Ring
	root string        // all keys begin with it
	wake chan struct{} // there is something new to send
}

func newQueue(o Options) (*queue, error) {
	if o.Queue.Documents == nil {
		return nil, nil
	}
	keys := make([][]byte, len(o.Queue.Keys))
	for i, k := range o.Queue.Keys {
		if err := k.CheckRandom(128); err != nil {
			return nil, fmt.Errorf("Options.Queue.Keys[%d]: %w", i, err)
		}
		keys[i] = []byte(k.Reveal())
	}
	ring, err := seal.New("mailtool queue", keys...)
	if err != nil {
		return nil, fmt.Errorf("Options.Queue.Keys: %w", err)
	}
	return &queue{o.Queue, ring, "mailtool/" + hash("queue", o.From)[:16] + "/", make(chan struct{}, 1)}, nil
}

// get returns what a key has; a document with Version 0 is none.
func get[T any](ctx context.Context, q *queue, key string) (v T, d state.Document, err error) {
	if d, err = q.Documents.Get(ctx, key); err != nil || d.Version == 0 {
		return v, d, err
	}
	return unseal[T](q, d)
}

func unseal[T any](q *queue, d state.Document) (T, state.Document, error) {
	var v T
	plain, err := q.ring.Unbox(d.Value, d.Key)
	if err == nil {
		err = json.Unmarshal(plain, &v)
	}
	if err != nil {
		return v, d, fmt.Errorf("reading a document of the queue: %w", err)
	}
	return v, d, nil
}

// put writes v in place of d, by d's version.
func (q *queue) put(ctx context.Context, d state.Document, v any, keep time.Duration) (state.Document, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return d, err
	}
	d.Value = q.ring.Box(plain, d.Key)
	return q.Documents.Put(ctx, d, min(max(keep, time.Hour), 365*day))
}

// list calls f with the documents under a prefix, in the order of their keys, until it
// returns false.
func (q *queue) list(ctx context.Context, prefix, after string, f func(state.Document) (bool, error)) error {
	for {
		docs, err := q.Documents.List(ctx, prefix, after, state.MaxListed)
		if err != nil || len(docs) == 0 {
			return err
		}
		for _, d := range docs {
			after = d.Key
			if more, err := f(d); err != nil || !more {
				return err
			}
		}
	}
}

// busy is an error of the store's, as a model reads it.
func (q *queue) busy(err error) error {
	if err == nil {
		return nil
	}
	var known *mcpsec.Error
	if errors.As(err, &known) {
		return err
	}
	return &mcpsec.Error{Message: "the queue cannot be asked now: call again, nothing is sent twice", Rule: "queue", Err: err}
}
