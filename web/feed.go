package web

import "sync"

// FeedEntry is one entry of a feed and its number.
type FeedEntry[T any] struct {
	Seq  uint64
	Item T
}

// Feed is a bounded log of changes numbered from 1 without gaps. The writer appends and never waits; each reader keeps
// the number it has read to. A reader slower than the bound learns that it missed something and starts from a fresh
// picture instead of carrying on with a hole in it. The zero Feed is not usable; see [NewFeed].
type Feed[T any] struct {
	mu      sync.Mutex
	ring    []T
	seq     uint64 // of the newest entry
	watches map[chan struct{}]struct{}
}

// NewFeed returns a feed that remembers the newest size entries.
func NewFeed[T any](size int) *Feed[T] {
	return &Feed[T]{ring: make([]T, max(size, 1)), watches: map[chan struct{}]struct{}{}}
}

// Append adds entries in order and wakes the readers.
func (f *Feed[T]) Append(items ...T) {
	if len(items) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, item := range items {
		f.ring[f.seq%uint64(len(f.ring))] = item
		f.seq++
	}
	for c := range f.watches {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Seq returns the number of the newest entry, 0 before the first.
func (f *Feed[T]) Seq() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seq
}

// Since appends to dst at most limit entries after seq, oldest first. It returns false when entries after seq are
// forgotten already, or seq was never given out: the reader must start afresh.
func (f *Feed[T]) Since(dst []FeedEntry[T], seq uint64, limit int) ([]FeedEntry[T], bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if seq > f.seq || f.seq-seq > uint64(len(f.ring)) {
		return dst, false
	}
	for ; seq < f.seq && limit > 0; limit-- {
		dst = append(dst, FeedEntry[T]{Seq: seq + 1, Item: f.ring[seq%uint64(len(f.ring))]})
		seq++
	}
	return dst, true
}

// Watch returns a channel that receives after entries were appended; many before the reader looks are one signal.
// stop ends it.
func (f *Feed[T]) Watch() (c <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	f.mu.Lock()
	f.watches[ch] = struct{}{}
	f.mu.Unlock()
	return ch, func() {
		f.mu.Lock()
		delete(f.watches, ch)
		f.mu.Unlock()
	}
}
