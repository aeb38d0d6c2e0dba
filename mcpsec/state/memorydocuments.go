package state

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/bounds"
)

// kept is a document without its key.
type kept struct {
	version uint64
	value   []byte
}

// always is when a document leaves that is kept until it is deleted.
var always = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Get implements [Documents].
func (m *Memory) Get(ctx context.Context, key string) (Document, error) {
	if err := bounds.Key(key); err != nil {
		return Document{}, fmt.Errorf("reading a document: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return Document{}, fmt.Errorf("reading a document: %w", err)
	}
	m.muDocs.Lock()
	defer m.muDocs.Unlock()
	m.expireDocuments()
	return m.document(key), nil
}

// Put implements [Documents].
func (m *Memory) Put(ctx context.Context, d Document, keep time.Duration) (Document, error) {
	if err := bounds.Put(d.Key, d.Value, keep); err != nil {
		return Document{}, fmt.Errorf("writing a document: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return Document{}, fmt.Errorf("writing a document: %w", err)
	}
	m.muDocs.Lock()
	defer m.muDocs.Unlock()
	m.expireDocuments()
	e, leaves := m.docs.keys[d.Key], always
	if keep > 0 {
		leaves = m.clock().Add(keep)
	}
	switch held := m.version(e); {
	case held != d.Version:
		return Document{}, fmt.Errorf("writing a document: %w", ErrLost)
	case e == nil:
		e = m.addDocument(d, leaves)
	case m.docs.bytes+len(d.Value)-len(e.value.value) > m.maxBytes():
		e = nil
	}
	if e == nil {
		return Document{}, fmt.Errorf("writing a document: %w", ErrFull)
	}
	m.docs.grow(e, len(d.Value)-len(e.value.value))
	m.docs.keep(e, leaves)
	m.written++
	e.value = kept{m.written, bytes.Clone(d.Value)}
	return m.document(d.Key), nil
}

// addDocument makes a place for a document, or returns nil if there is no room.
func (m *Memory) addDocument(d Document, leaves time.Time) *slot[kept] {
	e, ok := m.docs.add(d.Key, leaves, m.maxKeys(), m.maxBytes()-len(d.Value))
	if !ok {
		return nil
	}
	i, _ := slices.BinarySearch(m.order, d.Key)
	m.order = slices.Insert(m.order, i, d.Key)
	return e
}

// Delete implements [Documents].
func (m *Memory) Delete(ctx context.Context, d Document) error {
	if err := bounds.Key(d.Key); err != nil {
		return fmt.Errorf("deleting a document: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("deleting a document: %w", err)
	}
	m.muDocs.Lock()
	defer m.muDocs.Unlock()
	m.expireDocuments()
	e := m.docs.keys[d.Key]
	if e == nil || e.value.version != d.Version {
		return fmt.Errorf("deleting a document: %w", ErrLost)
	}
	m.docs.remove(e)
	if i, ok := slices.BinarySearch(m.order, e.key); ok {
		m.order = slices.Delete(m.order, i, i+1)
	}
	return nil
}

// List implements [Documents].
func (m *Memory) List(ctx context.Context, prefix, after string, limit int) ([]Document, error) {
	if err := bounds.List(prefix, after, limit); err != nil {
		return nil, fmt.Errorf("listing documents: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("listing documents: %w", err)
	}
	m.muDocs.Lock()
	defer m.muDocs.Unlock()
	m.expireDocuments()
	i, exact := slices.BinarySearch(m.order, max(prefix, after))
	if exact && after >= prefix {
		i++
	}
	var list []Document
	for size := 0; i < len(m.order) && len(list) < limit && strings.HasPrefix(m.order[i], prefix); i++ {
		d := m.document(m.order[i])
		if size += len(d.Value); size > bounds.MaxValues && len(list) > 0 {
			break
		}
		list = append(list, d)
	}
	return list, nil
}

// document is a copy of what is kept under a key.
func (m *Memory) document(key string) Document {
	e := m.docs.keys[key]
	if e == nil {
		return Document{Key: key}
	}
	return Document{Key: key, Value: append([]byte{}, e.value.value...), Version: e.value.version}
}

// version is that of a slot, and 0 of none.
func (m *Memory) version(e *slot[kept]) uint64 {
	if e == nil {
		return 0
	}
	return e.value.version
}

// expireDocuments drops what has had its time. Of many at once the order is made
// anew in one pass.
func (m *Memory) expireDocuments() {
	before := len(m.docs.keys)
	m.docs.expire(m.clock(), math.MaxInt)
	if len(m.docs.keys) < before {
		m.order = slices.DeleteFunc(m.order, func(key string) bool { return m.docs.keys[key] == nil })
	}
}
