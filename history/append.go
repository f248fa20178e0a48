package history

import (
	"context"
	"fmt"
	"time"

	"scada/acquisition/tag"
	"scada/history/block"
)

// headWindow is a window in memory: the samples not yet in a day file.
type headWindow struct {
	number  int64
	parts   map[*series]*block.Buffer
	segment uint64 // the oldest journal segment with samples of it
	samples int64
	bytes   int64
	pos     uint64 // set when frozen: everything of the window up to this position is in it
}

// sampleBytes is about what a sample costs in memory at most; most take a tenth of it.
const sampleBytes = 20

// clockStep is how far the clock must go back to be called a step.
const clockStep = time.Second

// Append records a batch in the order given and returns its position. It never waits for the disk.
// NaN and infinities become bad samples without a value.
func (s *Store) Append(batch []tag.Update) (pos uint64) {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchClock(now)
	if why := s.refuses(); why != nil {
		s.stats.Lost += uint64(len(batch))
		s.lose(now, why)
		return s.pos
	}
	s.regain(now)
	for i := range batch {
		s.add(now, &batch[i])
	}
	s.endBatch()
	return s.pos
}

// refuses says why samples can't be taken now.
func (s *Store) refuses() error {
	switch {
	case s.closed:
		return ErrClosed
	case s.stopped != nil:
		return s.stopped
	case s.pending > MaxPending:
		return fmt.Errorf("the disk does not keep up: %d bytes of journal are waiting", s.pending)
	case s.headBytes > 2*s.o.MaxHead:
		return fmt.Errorf("windows can't be written: %d bytes of samples are in memory", s.headBytes)
	}
	return nil
}

func (s *Store) add(now int64, u *tag.Update) {
	if int(u.Tag) >= len(s.byID) || s.byID[u.Tag] == nil {
		s.stats.Refused++
		return
	}
	r := s.byID[u.Tag]
	x, ok := finite(u.Sample)
	if !ok {
		s.stats.NotFinite++
	}
	if !r.wants(x) {
		s.stats.Filtered++
		return
	}
	if !s.acceptable(now, x) {
		s.stats.Refused++
		return
	}
	c := s.buffer(r, windowOf(x.Time))
	if c.Full(len(x.Value.Text())) {
		s.stats.Refused++
		return
	}
	if !s.keep(r, c, x) {
		s.stats.Duplicates++
		return
	}
	s.stats.Appended++
	k := s.chunk
	k.buf = r.appendSample(k.buf, k.segment, &s.stream, x)
	if len(k.buf) >= recordSize {
		s.pushChunk() // a batch may span records
	}
}

// keep puts a sample into the head; false means it was there.
func (s *Store) keep(r *series, c *block.Buffer, x tag.Sample) bool {
	if !c.Append(x) {
		return false
	}
	h := r.head
	size := int64(sampleBytes + len(x.Value.Text()))
	h.samples++
	h.bytes += size
	s.headBytes += size
	s.headSamples++
	if r.mode == tag.HistoryChange && (!r.some || x.Time >= r.last.Time) {
		r.last, r.some = x, true
	}
	if r.area != nil && x.Time > r.area.last {
		r.area.last = x.Time
	}
	return true
}

// acceptable bounds the time and the text of a sample.
func (s *Store) acceptable(now int64, x tag.Sample) bool {
	if x.Time < 0 || windowOf(x.Time) > maxWindow || x.Time > now+int64(MaxAhead) || len(x.Value.Text()) > tag.MaxText {
		return false
	}
	return s.Limits().Retention <= 0 || x.Time >= now-int64(s.Limits().Retention)
}

// buffer returns what collects the samples of a tag in a window.
func (s *Store) buffer(r *series, w int64) *block.Buffer {
	if r.open != nil && r.head.number == w {
		return r.open
	}
	h := s.heads[w]
	if h == nil {
		h = &headWindow{number: w, parts: map[*series]*block.Buffer{}, segment: s.segment}
		s.heads[w] = h
	}
	c := h.parts[r]
	if c == nil {
		c = &block.Buffer{Scale: r.scaling.Load()}
		h.parts[r] = c
	}
	r.open, r.head = c, h
	return c
}

// endBatch closes a batch in the journal and wakes the committer.
func (s *Store) endBatch() {
	s.pos++
	k := s.chunk
	k.buf = append(k.buf, entryBatch)
	k.last = s.pos
	s.pending = s.queued + len(k.buf) - k.empty
	if s.segmentBytes > maxSegment {
		s.rotate()
	}
	signal(s.wake)
	if s.headBytes > s.o.MaxHead {
		signal(s.early)
	}
	if s.pending >= s.o.GroupBytes {
		signal(s.urgent)
	}
}

// pushChunk hands the record being filled to the committer and begins the next.
func (s *Store) pushChunk() {
	if n := len(s.chunk.buf); n > s.chunk.empty {
		s.queue = append(s.queue, s.chunk)
		s.queued += n
		s.segmentBytes += n
	}
	s.chunk = newChunk(s.segment, s.pos)
}

// rotate begins a new journal segment.
func (s *Store) rotate() {
	s.segment++
	s.pushChunk()
	s.segmentBytes = 0
	s.stream = stream{}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// watchClock notices a step back. Samples after it land beside the ones before: nothing is overwritten.
func (s *Store) watchClock(now int64) {
	if back := s.clock - now; back > int64(clockStep) {
		s.stats.ClockSteps++
		s.o.Logger.Warn("the clock went back", "by", time.Duration(back), "to", time.Unix(0, now).UTC())
	}
	s.clock = now
}

// lose notes that samples are being lost from now on.
func (s *Store) lose(now int64, why error) {
	if s.losing == 0 && !s.closed {
		s.losing = now
		s.problems["recording"] = why
		s.o.Logger.Error("samples are being lost", "error", why)
	}
}

// regain ends a time of loss with a gap over all tags.
func (s *Store) regain(now int64) {
	if s.losing == 0 {
		return
	}
	from := s.losing
	s.losing = 0
	delete(s.problems, "recording")
	s.o.Logger.Info("samples are recorded again", "lost_for", time.Duration(now-from))
	s.markGap(Gap{From: from, To: now, Reason: "the archive could not record"})
}

// Durable returns the position up to which everything is on disk.
func (s *Store) Durable() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.durable
}

// WaitDurable waits until everything up to pos is on disk.
func (s *Store) WaitDurable(ctx context.Context, pos uint64) error {
	for {
		s.mu.Lock()
		done, moved, dead := s.durable >= pos, s.moved, s.dead
		s.mu.Unlock()
		if done {
			return nil
		}
		if dead {
			return ErrClosed
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Sync brings everything appended so far to disk.
func (s *Store) Sync(ctx context.Context) error {
	s.mu.Lock()
	pos := s.pos
	s.mu.Unlock()
	signal(s.wake)
	signal(s.urgent)
	return s.WaitDurable(ctx, pos)
}
