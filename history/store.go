package history

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"scada/acquisition/tag"
)

// Store is one node's archive. All methods may be called from any goroutine.
type Store struct {
	dir      string
	o        Options
	limits   atomic.Pointer[Limits]
	meta     *meta
	days     *days
	rolls    *rollups
	calendar *calendar
	noted    map[int64]bool // the days there should be files of, and whether sealed ones; under the writing lock

	quitKeep, kept        chan struct{} // end and ended, of the goroutine that closes windows
	quitCommit, committed chan struct{} // and of the one that writes the journal
	sealing, sealed       chan struct{} // it may be time to seal a day; the goroutine that does has ended
	sealer                chan struct{} // holds a token while somebody seals
	wake, urgent, early   chan struct{} // there is something to commit; now; windows must be closed to free memory
	wal                   *wal
	writing               chan struct{} // holds a token while somebody writes day files

	mu      sync.Mutex // held for memory work only, never across a disk or a wait
	byID    []*series  // of the present configuration
	byName  map[string]*series
	byKey   map[uint32]*series // by the number in files
	sorted  []*series          // by name, when there are as many as in byName
	areas   map[string]*area
	gaps    gaps
	heads   map[int64]*headWindow
	frozen  []*headWindow // being written to day files
	pos     uint64
	durable uint64
	moved   chan struct{} // closed and replaced when durable moves
	dead    bool          // durable moves no more
	closed  bool
	stopped error // why the policy stopped recording

	chunk        *chunk
	queue        []*chunk
	queued       int // bytes in queue
	pending      int // bytes not on disk
	segment      uint64
	segmentBytes int
	stream       stream
	oldest       uint64 // oldest journal segment on disk

	touched map[int64]int64 // when a day file was written to last, since the start

	headBytes   int64
	headSamples int64
	clock       int64
	losing      int64 // since when samples are lost, 0 if they are not
	problems    map[string]error
	stats       Stats
	damaged     map[Damage]struct{} // found so far, with Err left out
	dropped     []Dropped
	forgotten   int // days dropped before those
}

// Open opens the archive in dir, creating it when it is not there, and replays the journal. A folder another process
// has open is refused with ErrInUse. Until Close a few goroutines write in the background.
func Open(dir string, o Options) (*Store, error) {
	s := &Store{
		dir: dir, o: o.withDefaults(),
		quitKeep: make(chan struct{}), kept: make(chan struct{}), quitCommit: make(chan struct{}), committed: make(chan struct{}),
		sealing: make(chan struct{}, 1), sealed: make(chan struct{}), sealer: make(chan struct{}, 1), touched: map[int64]int64{},
		wake: make(chan struct{}, 1), urgent: make(chan struct{}, 1), early: make(chan struct{}, 1),
		writing: make(chan struct{}, 1), moved: make(chan struct{}),
		byName: map[string]*series{}, byKey: map[uint32]*series{}, areas: map[string]*area{}, heads: map[int64]*headWindow{},
		problems: map[string]error{}, damaged: map[Damage]struct{}{},
	}
	s.SetLimits(Limits{Retention: o.Retention, Hourly: o.Hourly, MaxDisk: o.MaxDisk})
	for _, d := range []string{dir, s.walDir(), s.dayDir()} {
		if err := os.MkdirAll(d, 0o750); err != nil {
			return nil, fmt.Errorf("creating the history folder: %w", err)
		}
	}
	var err error
	if s.meta, err = openMeta(filepath.Join(dir, "meta.db")); err != nil {
		return nil, fmt.Errorf("opening the history: %w", err)
	}
	if err := s.load(); err != nil {
		s.meta.db.Close()
		return nil, fmt.Errorf("opening the history in %s: %w", dir, err)
	}
	s.clock = s.now()
	s.calendar = newCalendar(s.o, s.newest())
	go s.commitLoop()
	go s.keepLoop()
	go s.sealLoop()
	return s, nil
}

func (s *Store) walDir() string { return filepath.Join(s.dir, "wal") }
func (s *Store) dayDir() string { return filepath.Join(s.dir, "p") }
func (s *Store) now() int64     { return s.o.Now().UnixNano() }

// load reads meta.db, takes the configuration over and replays the journal.
func (s *Store) load() error {
	if err := s.meta.load(s); err != nil {
		return err
	}
	var err error
	if s.days, err = openDays(s.dayDir()); err != nil {
		return err
	}
	if s.rolls, err = openRollups(filepath.Join(s.dir, "r"), s.o.Logger); err != nil {
		return errors.Join(err, s.days.close())
	}
	if err = s.SetTags(s.o.Tags); err == nil {
		err = s.replay()
	}
	if err != nil {
		return errors.Join(err, s.days.close(), s.rolls.close())
	}
	s.durable = s.pos
	s.wal = &wal{dir: s.walDir(), open: s.o.openFile}
	s.chunk = newChunk(s.segment, s.pos)
	return nil
}

// area returns the record of an area, creating it.
func (s *Store) area(name string) *area {
	a := s.areas[name]
	if a == nil {
		a = &area{}
		s.areas[name] = a
	}
	return a
}

// know makes a tag of meta.db known.
func (s *Store) know(name string, rec tagRecord) error {
	if other := s.byKey[rec.ID]; other != nil {
		return fmt.Errorf("tags %q and %q have the same number", other.name, name)
	}
	r := &series{id: rec.ID, name: name, seed: nameSeed(name), stepped: rec.Stepped, typ: rec.Type}
	r.scaling.Store(&rec.Scale)
	r.scope = Scope{Area: rec.Area, Device: rec.Device, ScanClass: rec.ScanClass}
	r.area = s.area(rec.Area)
	s.byName[name], s.byKey[rec.ID] = r, r
	return nil
}

// SetTags replaces the tags Append and the queries know. Samples are kept by name: a tag that leaves the configuration
// can still be read.
func (s *Store) SetTags(defs []tag.Definition) error {
	for _, d := range defs {
		if d.Name == "" || len(d.Name) > MaxName || len(d.Area) > MaxName {
			return fmt.Errorf("the name of a tag has %d bytes, of its area %d (1 to %d)", len(d.Name), len(d.Area), MaxName)
		}
		if d.ID >= MaxTags {
			return fmt.Errorf("tag %q has number %d, the limit is %d", d.Name, d.ID, MaxTags)
		}
	}
	records, err := s.newRecords(defs)
	if err != nil {
		return err
	}
	// The names must be on disk before a sample with their number is.
	if err := s.meta.saveTags(records); err != nil {
		return fmt.Errorf("saving the tags: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	size := 0
	for _, d := range defs {
		size = max(size, int(d.ID)+1)
	}
	s.byID = make([]*series, size)
	for _, d := range defs {
		r := s.byName[d.Name]
		if r == nil {
			r = &series{id: records[d.Name].ID, name: d.Name, seed: nameSeed(d.Name)}
			s.byName[d.Name], s.byKey[r.id] = r, r
		}
		if r.scale() != d.Scale {
			r.coder = coder{stale: true} // the journal must learn the new scaling
		}
		r.define(d)
		r.area = s.area(d.Area)
		s.byID[d.ID] = r
	}
	return nil
}

// newRecords returns the records of tags that are not known or not known so.
func (s *Store) newRecords(defs []tag.Definition) (map[string]tagRecord, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := uint32(0)
	for id := range s.byKey {
		next = max(next, id+1)
	}
	records := map[string]tagRecord{}
	for _, d := range slices.SortedFunc(slices.Values(defs), func(a, b tag.Definition) int { return int(a.ID) - int(b.ID) }) {
		r := series{}
		old := s.byName[d.Name]
		if old != nil {
			r.id = old.id
		} else if _, twice := records[d.Name]; twice {
			return nil, fmt.Errorf("tag %q is defined twice", d.Name)
		} else if next >= MaxTags {
			return nil, fmt.Errorf("the archive knows %d tags already, the limit is %d", next, MaxTags)
		} else {
			r.id = next
			next++
		}
		if r.define(d); old == nil || old.record() != r.record() {
			records[d.Name] = r.record()
		}
	}
	return records, nil
}

// LastRecorded returns the time of the newest sample recorded for an area, 0 if there is none: after a start, the time
// from there on is a gap.
func (s *Store) LastRecorded(area string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.areas[area]; a != nil {
		return a.last
	}
	return 0
}

// Close brings everything to disk and closes the archive.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	close(s.quitKeep)
	<-s.kept
	<-s.sealed
	close(s.quitCommit)
	<-s.committed
	s.wal.close()

	s.writing <- struct{}{} // an Import that is still running ends first; none begins any more
	s.mu.Lock()
	s.dead = true
	close(s.moved)
	err := s.problems["journal"]
	pos, areas, fresh := s.state()
	s.mu.Unlock()
	if e := s.meta.saveState(pos, areas, fresh, time.Time{}); err == nil {
		err = e
	}
	if err = errors.Join(err, s.days.close(), s.rolls.close(), s.meta.db.Close()); err != nil {
		return fmt.Errorf("closing the history: %w", err)
	}
	return nil
}

// state returns what meta.db keeps. The caller holds mu.
func (s *Store) state() (pos uint64, areas map[string]int64, fresh []Gap) {
	areas = map[string]int64{}
	for name, a := range s.areas {
		if a.last > 0 {
			areas[name] = a.last
		}
	}
	return s.pos, areas, slices.Clone(s.gaps.fresh)
}

// lock waits until no other goroutine writes day files.
func (s *Store) lock(ctx context.Context) error {
	select {
	case s.writing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.kept: // the store is closing
		return ErrClosed
	}
}

func (s *Store) unlock() { <-s.writing }
