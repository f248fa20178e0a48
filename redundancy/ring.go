package redundancy

import (
	"sync"
	"time"

	"scada/redundancy/wire"
)

// ring keeps the latest records of one term of an area for a standby that is a little behind.
type ring struct {
	epoch    uint64
	maxAge   time.Duration
	maxBytes int

	mu      sync.Mutex
	entries []entry
	first   uint64 // position of entries[0]
	bytes   int
	closed  bool
	changed chan struct{} // closed and replaced when records are added
}

type entry struct {
	record Record
	at     time.Time
}

// entryCost is what an entry costs beside its payload, in bytes.
const entryCost = 64

func newRing(epoch uint64, maxAge time.Duration, maxBytes int) *ring {
	return &ring{epoch: epoch, maxAge: maxAge, maxBytes: maxBytes, first: 1, changed: make(chan struct{})}
}

// add appends records and returns the position of the last, or 0 when the term is over.
func (r *ring) add(records []Record, now time.Time) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0
	}
	for _, rec := range records {
		r.entries = append(r.entries, entry{rec, now})
		r.bytes += len(rec.Payload) + entryCost
	}
	drop := 0
	for drop < len(r.entries)-1 && (r.bytes > r.maxBytes || now.Sub(r.entries[drop].at) > r.maxAge) {
		r.bytes -= len(r.entries[drop].record.Payload) + entryCost
		r.entries[drop] = entry{}
		drop++
	}
	r.entries, r.first = r.entries[drop:], r.first+uint64(drop)
	close(r.changed)
	r.changed = make(chan struct{})
	return r.last()
}

// last returns the position of the newest record. The caller holds r.mu.
func (r *ring) last() uint64 { return r.first + uint64(len(r.entries)) - 1 }

// end closes the ring: no records come any more. What is there can still be read.
func (r *ring) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

func (r *ring) position() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last()
}

// has reports whether the records from next on are all there.
func (r *ring) has(next uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return next >= r.first && next <= r.last()+1
}

// age returns how long ago the record at the position was published; 0 when there is none such.
func (r *ring) age(position uint64, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if position > r.last() || len(r.entries) == 0 {
		return 0
	}
	return now.Sub(r.entries[max(position, r.first)-r.first].at)
}

// get returns records from next on, as many as one frame takes, and the channel that is closed when more are added. ok
// is false when the record at next is gone.
func (r *ring) get(next uint64) (list []wire.Record, at time.Time, changed <-chan struct{}, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if next < r.first || next > r.last()+1 {
		return nil, at, r.changed, false
	}
	rest := r.entries[next-r.first:]
	if len(rest) > 0 {
		at = rest[0].at
	}
	size := 0
	for _, e := range rest {
		size += len(e.record.Payload)
		if len(list) == wire.MaxRecords || len(list) > 0 && size > wire.BatchBytes {
			break
		}
		list = append(list, wire.Record(e.record))
	}
	return list, at, r.changed, true
}
