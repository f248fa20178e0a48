package history

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

const (
	sealBatch    = 4 << 20   // bytes of blocks written to a sealed file in one transaction
	sealPageSize = 16 << 10  // bytes
	sealMap      = 256 << 20 // address space while it is written
)

// errChanged says that a day was written to while it was being sealed: it is tried again later.
var errChanged = errors.New("the day was written to meanwhile")

// touch notes that a day was written to.
func (s *Store) touch(n int64) {
	s.mu.Lock()
	s.touched[n] = s.now()
	s.mu.Unlock()
	s.rolls.stale(n)
}

// sealLoop seals the days that are over, when keepLoop says it may be time.
func (s *Store) sealLoop() {
	defer close(s.sealed)
	for {
		select {
		case <-s.quitKeep:
			return
		case <-s.sealing:
		}
		err := s.sealDue()
		s.mu.Lock()
		if !s.closed {
			s.setProblem("sealing", err)
		}
		s.mu.Unlock()
	}
}

// sealDue seals every day that has been over, and left alone, for long enough.
func (s *Store) sealDue() error {
	if s.o.SealAfter < 0 {
		return nil
	}
	for _, n := range s.days.list() {
		now := s.o.Now()
		s.mu.Lock()
		touched := time.Unix(0, s.touched[n])
		s.mu.Unlock()
		if dayTime(n+1).Add(s.o.SealAfter).After(now) || now.Sub(touched) < s.o.SealAfter {
			continue
		}
		size, open := s.days.unsealed(n)
		if !open {
			if err := s.rollDue(n); err != nil && !errors.Is(err, errChanged) {
				return ignoreClosed(err)
			}
			continue
		}
		if free, err := s.o.FreeSpace(s.dir); err != nil || free < s.o.Reserve+uint64(size) {
			continue // cramped sees to the space
		}
		err := s.seal(n)
		if err == nil {
			err = s.rollDue(n)
		}
		if err != nil && !errors.Is(err, errChanged) {
			return ignoreClosed(err)
		}
	}
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// seal brings everything there is of a day into a new sealed file, which takes the place of the day's files at once.
// Blocks that can't be read go to the bucket of damaged ones.
func (s *Store) seal(n int64) error {
	select {
	case s.sealer <- struct{}{}: // one at a time
		defer func() { <-s.sealer }()
	case <-s.quitKeep:
		return ErrClosed
	}
	f, err := s.days.acquire(n, false)
	if f == nil || err != nil {
		return err
	}
	defer s.days.release(f)
	w, err := s.newSealer(f)
	if err != nil {
		return err
	}
	defer w.discard()
	if err := w.copy(); err != nil {
		return fmt.Errorf("sealing %s: %w", f.path, err)
	}
	if err := s.lock(context.Background()); err != nil {
		return err
	}
	defer s.unlock()
	if err := f.view(w.unchanged); err != nil {
		return err
	}
	if err := s.days.swap(f, s.sealStep); err != nil {
		return fmt.Errorf("sealing %s: %w", f.path, err)
	}
	s.mu.Lock()
	s.stats.Sealed++
	delete(s.touched, n)
	s.mu.Unlock()
	s.o.Logger.Info("a day of history was sealed", "day", dayTime(n).Format(time.DateOnly), "samples", w.samples, "damaged_blocks", w.bad)
	return nil
}

// sealStep is where tests end the work.
func (s *Store) sealStep(step string) error {
	if s.o.sealStep != nil {
		return s.o.sealStep(step)
	}
	return nil
}

// unsealed returns the bytes sealing a day will need at most, and whether it has something that is not sealed.
func (d *days) unsealed(n int64) (size int64, open bool) {
	e := d.entry(n)
	for _, path := range [...]string{e.path, e.sealed} {
		if info, err := os.Stat(path); err == nil {
			size += info.Size()
			open = open || path == e.path
		}
	}
	return size, open
}

// swap puts a day's new sealed file in the place of what there was. Readers that have the old files open finish
// undisturbed. Between the steps the day is in both files, which is the same set of samples.
func (d *days) swap(f *day, step func(string) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known[f.number] != f || f.doomed {
		return errChanged
	}
	if err := os.Rename(f.sealed+newSuffix, f.sealed); err != nil {
		return fmt.Errorf("putting a sealed day in its place: %w", err)
	}
	f.stale = true
	d.known[f.number] = d.entry(f.number)
	if err := errors.Join(step("renamed"), syncDir(d.dir)); err != nil {
		return err
	}
	if f.db != nil {
		if err := os.Remove(f.path); err != nil {
			return fmt.Errorf("removing the day file that was sealed: %w", err)
		}
	}
	return errors.Join(step("removed"), syncDir(d.dir))
}

// sealer writes the new sealed file of a day.
type sealer struct {
	s    *Store
	f    *day
	path string
	db   *bbolt.DB

	first   bool
	source  [2]int // transactions the source files were at
	tags    []uint32
	windows map[int64]windowInfo // as the source files have them
	found   map[int64]Digest     // as their blocks have them
	lacking map[int64]bool       // windows with a block that can't be read
	damaged []pair
	bad     int
	samples uint64

	shared map[[16]byte]uint32 // by hash: the numbers of the times that are kept once for several blocks
	times  []pair              // of them, those not written yet
}

// pair is a key with its value.
type pair struct{ key, value []byte }

func (s *Store) newSealer(f *day) (*sealer, error) {
	w := &sealer{s: s, f: f, path: f.sealed + newSuffix, first: true, windows: map[int64]windowInfo{}, found: map[int64]Digest{}, lacking: map[int64]bool{}, shared: map[[16]byte]uint32{}}
	if err := os.Remove(w.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing what is left of an earlier attempt: %w", err)
	}
	var err error
	w.db, err = bbolt.Open(w.path, 0o640, &bbolt.Options{
		Timeout: lockTimeout, PageSize: sealPageSize, InitialMmapSize: sealMap, FreelistType: bbolt.FreelistMapType,
		NoFreelistSync: true, NoGrowSync: true, NoSync: true,
	})
	if err != nil {
		return nil, fmt.Errorf("creating a sealed day file: %w", err)
	}
	w.db.AllocSize = sealPageSize // the file is to be no longer than its content
	return w, nil
}

// discard removes the new file unless it has moved to its place.
func (w *sealer) discard() {
	if w.db != nil {
		_ = w.db.Close()
	}
	_ = os.Remove(w.path) // a start removes it too
}

// unchanged returns errChanged when a source file was written to since the first call.
func (w *sealer) unchanged(v dayView) error {
	at := [2]int{txID(v.blocks, v.windows), txID(v.sealed, v.sealedWindows)}
	if w.first {
		w.source, w.first = at, false
	}
	if at != w.source {
		return errChanged
	}
	return nil
}

func txID(buckets ...*bbolt.Bucket) int {
	for _, b := range buckets {
		if b != nil {
			return b.Tx().ID()
		}
	}
	return -1
}

// copy writes the whole new file and brings it to disk.
func (w *sealer) copy() error {
	if err := errors.Join(w.f.view(w.survey), w.s.sealStep("begun")); err != nil {
		return err
	}
	for len(w.tags) > 0 {
		began := time.Now()
		if err := w.batch(); err != nil {
			return err
		}
		if err := w.s.sealStep("batch"); err != nil {
			return err
		}
		select { // half of a processor is enough
		case <-w.s.quitKeep:
			return ErrClosed
		case <-time.After(time.Since(began)):
		}
	}
	if err := w.compare(); err != nil {
		return err
	}
	err := w.db.Update(func(tx *bbolt.Tx) error {
		m, err := tx.CreateBucketIfNotExists(bucketWindows)
		if err != nil {
			return err
		}
		t := dayTx{windows: m}
		for _, n := range slices.Sorted(maps.Keys(w.windows)) {
			info := w.windows[n]
			info.digest = w.found[n]
			w.samples += info.digest.Samples
			if err := t.putInfo(n, info); err != nil {
				return err
			}
		}
		d, err := tx.CreateBucketIfNotExists(bucketDamaged)
		if err != nil {
			return err
		}
		for _, p := range w.damaged {
			if err := d.Put(p.key, p.value); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = errors.Join(w.db.Sync(), w.db.Close())
	w.db = nil
	return errors.Join(err, w.s.sealStep("written"))
}

// survey looks up what there is to copy, apart from the blocks.
func (w *sealer) survey(v dayView) error {
	if err := w.unchanged(v); err != nil {
		return err
	}
	ids := map[uint32]bool{}
	if v.blocks != nil {
		c := v.blocks.Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.Next() {
			if id, l, ok := splitKey(k); ok && l < layerEnd {
				ids[id] = true
			}
		}
	}
	if v.sealed != nil {
		eachTag(v.sealed, func(id uint32) { ids[id] = true })
	}
	w.tags = slices.Sorted(maps.Keys(ids))
	for n := w.f.number * dayWindows; n < (w.f.number+1)*dayWindows; n++ {
		if i, ok := v.info(n); ok {
			w.windows[n] = i
		}
	}
	for _, b := range [...]*bbolt.Bucket{v.damaged, v.sealedDamaged} {
		if b == nil {
			continue
		}
		c := b.Cursor()
		for k, x := c.First(); k != nil && len(w.damaged) < maxDamages; k, x = c.Next() {
			w.damaged = append(w.damaged, pair{slices.Clone(k), slices.Clone(x)})
		}
	}
	return nil
}

// compare refuses to replace files whose content is not what their digests say, unless a damaged block explains it.
func (w *sealer) compare() error {
	for n, info := range w.windows {
		if !w.lacking[n] && w.found[n] != info.digest {
			return fmt.Errorf("window %d has %d samples, its record says %d, or their digests differ", n, w.found[n].Samples, info.digest.Samples)
		}
	}
	for n, d := range w.found {
		if _, ok := w.windows[n]; !ok && d.Samples > 0 {
			w.windows[n] = windowInfo{}
		}
	}
	return nil
}

// maxShared bounds how many columns of times a day keeps for several blocks, and with it the memory sealing takes. Sixty
// thousand scan groups with a column each hour are fewer.
const maxShared = 1 << 20

// share gives times that blocks have in common a number. The tags of one device are read together, so their times are
// mostly equal, and next to their values times are what takes most of a block.
func (w *sealer) share(times []byte) (number uint32, ok bool) {
	sum := sha256.Sum256(times)
	key := [16]byte(sum[:16])
	if number, ok = w.shared[key]; ok || len(w.shared) >= maxShared {
		return number, ok
	}
	number = uint32(len(w.shared))
	w.shared[key] = number
	w.times = append(w.times, pair{binary.BigEndian.AppendUint32(nil, number), slices.Clone(times)})
	return number, true
}

// batch copies as many of the remaining tags as make one transaction.
func (w *sealer) batch() error {
	var blocks []pair
	err := w.f.view(func(v dayView) error {
		if err := w.unchanged(v); err != nil {
			return err
		}
		for size := 0; len(w.tags) > 0 && size < sealBatch; w.tags = w.tags[1:] {
			select {
			case <-w.s.quitKeep:
				return ErrClosed
			default:
			}
			t := sealTag{w: w, id: w.tags[0]}
			t.read(v)
			got, err := t.blocks()
			if err != nil {
				return err
			}
			for _, p := range got {
				size += len(p.value)
			}
			blocks = append(blocks, got...)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucketBlocks)
		if err != nil {
			return err
		}
		b.FillPercent = 1
		for _, p := range blocks {
			if err := b.Put(p.key, p.value); err != nil {
				return err
			}
		}
		t, err := tx.CreateBucketIfNotExists(bucketTimes)
		if err != nil {
			return err
		}
		t.FillPercent = 1
		for _, p := range w.times {
			if err := t.Put(p.key, p.value); err != nil {
				return err
			}
		}
		w.times = nil
		return nil
	})
}

func (w *sealer) setAside(k, v []byte, windows ...int64) {
	for _, n := range windows {
		w.lacking[n] = true
	}
	w.bad++
	if len(w.damaged) < maxDamages {
		w.damaged = append(w.damaged, pair{slices.Clone(k), slices.Clone(v)})
	}
}
