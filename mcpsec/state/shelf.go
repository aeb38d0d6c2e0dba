package state

import (
	"container/heap"
	"time"
)

// A shelf keeps values by key until their time to leave has come.
type shelf[T any] struct {
	keys  map[string]*slot[T]
	ends  endings[T] // the same slots, by when they leave
	bytes int
}

// A slot is one place on a shelf.
type slot[T any] struct {
	key    string
	value  T
	size   int // bytes
	leaves time.Time
	place  int // in the heap
}

// housekeeping is how many bytes a slot takes in map and heap, rounded up.
const housekeeping = 256

// expire drops what nobody can ask for any more, and at most n of it.
func (s *shelf[T]) expire(now time.Time, n int) {
	for ; n > 0 && len(s.ends) > 0 && !s.ends[0].leaves.After(now); n-- {
		s.remove(s.ends[0])
	}
}

// add keeps a new key, unless there are maxKeys or it would be over maxBytes.
func (s *shelf[T]) add(key string, leaves time.Time, maxKeys, maxBytes int) (*slot[T], bool) {
	e := &slot[T]{key: key, size: len(key) + housekeeping, leaves: leaves}
	if len(s.keys) >= maxKeys || s.bytes+e.size > maxBytes {
		return nil, false
	}
	if s.keys == nil {
		s.keys = map[string]*slot[T]{}
	}
	s.keys[key] = e
	s.bytes += e.size
	heap.Push(&s.ends, e)
	return e, true
}

func (s *shelf[T]) grow(e *slot[T], bytes int) {
	e.size += bytes
	s.bytes += bytes
}

func (s *shelf[T]) keep(e *slot[T], until time.Time) {
	e.leaves = until
	heap.Fix(&s.ends, e.place)
}

func (s *shelf[T]) remove(e *slot[T]) {
	heap.Remove(&s.ends, e.place)
	delete(s.keys, e.key)
	s.bytes -= e.size
}

// endings is a heap of slots; the first to leave is on top.
type endings[T any] []*slot[T]

func (h endings[T]) Len() int           { return len(h) }
func (h endings[T]) Less(i, j int) bool { return h[i].leaves.Before(h[j].leaves) }

func (h endings[T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *endings[T]) Push(x any) {
	e := x.(*slot[T])
	e.place = len(*h)
	*h = append(*h, e)
}

func (h *endings[T]) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}
