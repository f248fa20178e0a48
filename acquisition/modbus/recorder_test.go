package modbus

import (
	"sync"
	"testing"
	"time"

	"scada/acquisition"
	"scada/acquisition/tag"
)

// recorder is a sink that keeps everything and checks the values of registers against the slave.
type recorder struct {
	t        *testing.T
	mu       sync.Mutex
	all      []tag.Update
	last     map[tag.ID]tag.Sample
	settled  map[string][]error
	expect   func(tag.ID) (uint64, bool)
	batches  int
	settleAt map[string]time.Time
}

func newRecorder(t *testing.T) *recorder {
	return &recorder{t: t, last: map[tag.ID]tag.Sample{}, settled: map[string][]error{}, settleAt: map[string]time.Time{}}
}

func (r *recorder) Publish(batch []tag.Update) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches++
	for _, u := range batch {
		if r.expect != nil && !u.Value.IsNone() {
			if want, ok := r.expect(u.Tag); ok && u.Value.Bits() != want {
				r.t.Errorf("WRONG VALUE: tag %d is %v (%v), want %d", u.Tag, u.Value, u.Quality, want)
			}
		}
		r.all = append(r.all, u)
		r.last[u.Tag] = u.Sample
	}
}

func (r *recorder) Settled(device string, at time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled[device] = append(r.settled[device], err)
	r.settleAt[device] = at
}

func (r *recorder) sample(id tag.ID) tag.Sample {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[id]
}

func (r *recorder) history() []tag.Update {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]tag.Update(nil), r.all...)
}

// qualities counts the last samples by quality.
func (r *recorder) qualities() map[tag.Quality]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := map[tag.Quality]int{}
	for _, s := range r.last {
		m[s.Quality]++
	}
	return m
}

var _ acquisition.Sink = (*recorder)(nil)
