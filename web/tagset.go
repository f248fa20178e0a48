package web

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"sync"
	"sync/atomic"

	"scada/acquisition/tag"
)

// bitset holds tag ids.
type bitset []uint64

func newBitset(n int) bitset        { return make(bitset, (n+63)/64) }
func (b bitset) add(id tag.ID)      { b[id/64] |= 1 << (id % 64) }
func (b bitset) has(id tag.ID) bool { return int(id/64) < len(b) && b[id/64]>>(id%64)&1 == 1 }

func (b bitset) ids() []tag.ID {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	ids := make([]tag.ID, 0, n)
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			ids = append(ids, tag.ID(64*i+bits.TrailingZeros64(w)))
		}
	}
	return ids
}

// tagSet is the tags of a subscription. Subscriptions to the same tags have the same one: a page is open on many screens.
type tagSet struct {
	key    string
	tags   bitset
	ids    []tag.ID     // in order
	users  atomic.Int32 // subscriptions that have it
	shared shared
}

// common reports whether several subscriptions have the set.
func (t *tagSet) common() bool { return t.users.Load() > 1 }

// sets finds the sets in use.
type sets struct {
	mu    sync.Mutex
	byKey map[string]*tagSet

	// The handles named last, as JSON: when a server starts, hundreds of screens ask for the same.
	namedSet *tagSet
	named    []byte
}

// take returns the set of these tags of a revision of the plant; [sets.release] gives it back.
func (h *sets) take(revision int, tags bitset) *tagSet {
	key := binary.AppendUvarint(nil, uint64(revision))
	for _, w := range tags {
		key = binary.LittleEndian.AppendUint64(key, w)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.byKey[string(key)]
	if t == nil {
		t = &tagSet{key: string(key), tags: tags, ids: tags.ids()}
		if h.byKey == nil {
			h.byKey = map[string]*tagSet{}
		}
		h.byKey[t.key] = t
	}
	t.users.Add(1)
	return t
}

// release gives a set back; nil is none.
func (h *sets) release(t *tagSet) {
	if t == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch t.users.Add(-1) {
	case 0:
		delete(h.byKey, t.key)
		if h.namedSet == t {
			h.namedSet, h.named = nil, nil
		}
	case 1:
		t.shared.forget()
	}
}

// handles is what names the tags of a set to its subscribers.
func (h *sets) handles(t *tagSet, p *Plant) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.namedSet != t {
		h.namedSet, h.named = t, appendHandles(nil, t, p)
	}
	return h.named
}

func appendHandles(b []byte, t *tagSet, p *Plant) []byte {
	b = append(b, '[')
	for i := range p.Tags {
		d := &p.Tags[i]
		if !t.tags.has(d.ID) {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(append(b, '['), uint64(d.ID), 10)
		for _, text := range [...]string{d.Name, d.Unit, d.Type.String()} {
			b = append(append(b, ','), jsonText(text)...)
		}
		b = append(b, ']')
	}
	return append(b, ']')
}

// releaseSets gives the sets of a connection back that has ended.
func (c *client) releaseSets() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.subs {
		c.h.sets.release(s.set)
	}
	clear(c.subs)
}
