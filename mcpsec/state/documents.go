package state

import (
	"context"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/bounds"
)

// Bounds that every [Documents] enforces.
const (
	MaxDocument = bounds.MaxDocument // bytes of a document's value
	MaxListed   = bounds.MaxListed   // documents of one List
)

// Documents keeps small documents by key: what replicas must find again, in order,
// such as a queue, or a list of who gets no mail. An error other than [ErrLost] means
// that nothing is known: a change may have been made or not. Implementations are safe
// for concurrent use and refuse the keys that [Once] refuses, values longer than
// [MaxDocument], and times to keep that are negative or more than 366 days.
//
// Keys are kept as they are, other than those of Once: whoever may read the store
// reads them.
type Documents interface {
	// Get returns the document of a key. One with Version 0 is none: there is
	// nothing under that key, or its time to keep has ended.
	Get(ctx context.Context, key string) (Document, error)
	// Put writes d.Value under d.Key if the document there still has d.Version, or
	// if there is none and d.Version is 0; else it changes nothing and returns
	// ErrLost. It returns the document with its new version, which no document of
	// that key has had before. A keep of 0 keeps it until it is deleted.
	Put(ctx context.Context, d Document, keep time.Duration) (Document, error)
	// Delete removes the document if it still has d.Version; else it returns
	// ErrLost.
	Delete(ctx context.Context, d Document) error
	// List returns the documents whose keys begin with prefix and are greater than
	// after, byte by byte, in that order: at most limit of them, which is 1 to
	// MaxListed, and of 4 MiB of values, but one in any case. None means that there
	// are no more.
	List(ctx context.Context, prefix, after string, limit int) ([]Document, error)
}

// A Document is one that [Documents] keeps.
type Document struct {
	Key     string
	Value   []byte // the caller's own copy
	Version uint64 // grows with each Put; 0 of none
}
