package history

import (
	"fmt"
	"os"
	"path/filepath"

	"scada/acquisition/tag"
)

// replay brings the journal's samples that are in no day file yet back into the head. A torn tail is cut and reported.
// New samples go to a new segment.
func (s *Store) replay() error {
	list, err := segments(s.walDir())
	if err != nil {
		return err
	}
	s.segment = 1
	if n := len(list); n > 0 {
		s.oldest, s.segment = list[0], list[n-1]+1
	}
	flushed := map[int64]uint64{} // by window: the position up to which its day file has everything
	var live uint64               // of the segment being read: s.segment while its samples are kept
	next := s.segment
	for _, n := range list {
		live = n
		s.segment = live // buffer notes it as the segment new head windows need
		d := decoder{tags: map[uint32]*coder{}}
		path := filepath.Join(s.walDir(), walName(n))
		good, size, mended, err := readSegment(path, n, func(p []byte) error {
			return d.entries(p,
				func(pos uint64, id uint32, x tag.Sample) { s.replaySample(flushed, pos, id, x) },
				func(g Gap) {
					if s.gaps.add(g) {
						s.gaps.fresh = append(s.gaps.fresh, g)
					}
				})
		})
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		s.pos = max(s.pos, d.pos)
		if s.stats.Mended += uint64(mended); mended > 0 {
			s.o.Logger.Warn("flipped bits of a journal segment were put right: the disk should be looked at", "file", path, "records", mended)
		}
		if err := s.cutTail(path, good, size); err != nil {
			return err
		}
	}
	s.segment = next
	return nil
}

func (s *Store) replaySample(flushed map[int64]uint64, pos uint64, id uint32, x tag.Sample) {
	r := s.byKey[id]
	if r == nil || x.Time < 0 || windowOf(x.Time) > maxWindow {
		s.stats.Refused++
		return
	}
	w := windowOf(x.Time)
	upTo, known := flushed[w]
	if !known {
		upTo = s.flushedUpTo(w)
		flushed[w] = upTo
	}
	if pos <= upTo {
		if r.area != nil && x.Time > r.area.last {
			r.area.last = x.Time
		}
		return
	}
	if c := s.buffer(r, w); !c.Full(len(x.Value.Text())) && s.keep(r, c, x) {
		s.stats.Replayed++
	}
}

// flushedUpTo returns the position up to which a window's samples are in its day file. A day file that can't be read
// counts as empty: its samples stay in the head, readable.
func (s *Store) flushedUpTo(w int64) (pos uint64) {
	f, err := s.days.acquire(dayOf(w), false)
	if f == nil || err != nil {
		return 0
	}
	defer s.days.release(f)
	_ = f.view(func(v dayView) error {
		info, _ := v.info(w)
		pos = info.pos
		return nil
	})
	return pos
}

// cutTail removes what follows the last whole record of a segment.
func (s *Store) cutTail(path string, good, size int64) error {
	if good == size {
		return nil
	}
	s.stats.TornBytes += size - good
	s.o.Logger.Warn("the end of a journal segment was not whole and is cut", "file", path, "bytes", size-good, "kept", good)
	if good <= walHeader {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("removing an empty journal segment: %w", err)
		}
		return nil
	}
	if err := os.Truncate(path, good); err != nil {
		return fmt.Errorf("cutting a journal segment: %w", err)
	}
	return nil
}
