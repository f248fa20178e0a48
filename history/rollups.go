package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"scada/history/block"
)

const (
	rollupLayout = "200601"
	rollupSuffix = ".db"
)

var (
	bucketHourly = []byte("h") // tag u32 BE | day u32 BE -> hourly summaries
	bucketRolled = []byte("d") // day u32 BE -> digest of the samples they were made of
)

// rollups are the files with the hourly summaries, one for each month.
type rollups struct {
	dir string
	log *slog.Logger

	mu     sync.RWMutex // held for reading while a file is used
	open   map[string]*bbolt.DB
	rolled map[int64]Digest // days with summaries, with what they were made of
	fresh  map[int64]bool   // days whose summaries are known to be of what is in the archive now
	writes uint64           // to day files
}

func openRollups(dir string, log *slog.Logger) (*rollups, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("creating the folder of the hourly summaries: %w", err)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing the hourly summaries: %w", err)
	}
	u := &rollups{dir: dir, log: log, open: map[string]*bbolt.DB{}, rolled: map[int64]Digest{}, fresh: map[int64]bool{}}
	for _, e := range list {
		month := strings.TrimSuffix(e.Name(), rollupSuffix)
		if _, err := time.Parse(rollupLayout, month); err != nil || e.IsDir() || len(e.Name()) != len(rollupLayout)+len(rollupSuffix) {
			continue
		}
		err := u.load(month)
		if err != nil && !beyondUse(err) {
			return nil, errors.Join(err, u.close())
		}
		if err != nil {
			u.setAside(month, err)
		}
	}
	return u, nil
}

func monthOf(n int64) string { return dayTime(n).Format(rollupLayout) }

func (u *rollups) path(month string) string { return filepath.Join(u.dir, month+rollupSuffix) }

// file opens the file of a month. The caller holds mu for writing.
func (u *rollups) file(month string) (*bbolt.DB, error) {
	if db := u.open[month]; db != nil {
		return db, nil
	}
	db, err := openDay(u.path(month), &bbolt.Options{Timeout: lockTimeout, PageSize: pageSize, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	u.open[month] = db
	return db, nil
}

func (u *rollups) load(month string) error {
	db, err := u.file(month)
	if err != nil {
		return err
	}
	return guarded(u.path(month), func() error {
		return db.View(func(tx *bbolt.Tx) error {
			b := tx.Bucket(bucketRolled)
			if b == nil {
				return nil
			}
			return b.ForEach(func(k, v []byte) error {
				if d, ok := readDigest(v); ok && len(k) == 4 {
					u.rolled[int64(binary.BigEndian.Uint32(k))] = d
				}
				return nil
			})
		})
	})
}

// setAside renames a file that is beyond use: what can be made of samples again is made again.
func (u *rollups) setAside(month string, why error) {
	delete(u.open, month) // closing it may fault again
	for n := range u.rolled {
		if monthOf(n) == month {
			delete(u.rolled, n)
			delete(u.fresh, n)
		}
	}
	err := os.Rename(u.path(month), u.path(month)+damagedSuffix)
	u.log.Error("a file of hourly summaries is beyond use and was set aside", "file", filepath.Join("r", month+rollupSuffix), "error", why, "setting_aside", err)
}

func appendDigest(dst []byte, d Digest) []byte {
	for _, x := range [...]uint64{d.Samples, d.Hash[0], d.Hash[1]} {
		dst = binary.BigEndian.AppendUint64(dst, x)
	}
	return dst
}

func readDigest(v []byte) (Digest, bool) {
	if len(v) != 24 {
		return Digest{}, false
	}
	u := func(i int) uint64 { return binary.BigEndian.Uint64(v[8*i:]) }
	return Digest{Samples: u(0), Hash: [2]uint64{u(1), u(2)}}, true
}

func hourlyKey(id uint32, n int64) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, id), uint32(n))
}

// put writes summaries of a day; with done they are all there are, of the samples with that digest. The content of an
// archive only grows: what was made of more samples than now is better than what is made now, and stays. writes is how
// many writes to day files there had been when the samples were read.
func (u *rollups) put(n int64, records map[uint32][]byte, done *Digest, writes uint64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	month := monthOf(n)
	db, err := u.file(month)
	if err == nil {
		err = guarded(u.path(month), func() error {
			return db.Update(func(tx *bbolt.Tx) error { return putHourly(tx, n, records, done) })
		})
	}
	if beyondUse(err) {
		u.setAside(month, err)
	}
	if err != nil {
		return fmt.Errorf("writing the hourly summaries of %s: %w", dayTime(n).Format(time.DateOnly), err)
	}
	if done != nil {
		if u.rolled[n] = *done; u.writes == writes {
			u.fresh[n] = true
		}
	}
	return nil
}

func putHourly(tx *bbolt.Tx, n int64, records map[uint32][]byte, done *Digest) error {
	h, err := tx.CreateBucketIfNotExists(bucketHourly)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(records)) {
		key := hourlyKey(id, n)
		if old, err := readHourly(h.Get(key), n*dayNanos); err == nil {
			if now, err := readHourly(records[id], n*dayNanos); err != nil || samplesIn(old) > samplesIn(now) {
				continue
			}
		}
		if err := h.Put(key, records[id]); err != nil {
			return err
		}
	}
	d, err := tx.CreateBucketIfNotExists(bucketRolled)
	if err != nil || done == nil {
		return err
	}
	return d.Put(binary.BigEndian.AppendUint32(nil, uint32(n)), appendDigest(nil, *done))
}

// has reports whether a day has summaries.
func (u *rollups) has(n int64) bool {
	u.mu.RLock()
	defer u.mu.RUnlock()
	_, ok := u.rolled[n]
	return ok
}

// between returns the days from first to last that have summaries, oldest first.
func (u *rollups) between(first, last int64) (out []int64) {
	u.mu.RLock()
	defer u.mu.RUnlock()
	for n := range u.rolled {
		if n >= first && n <= last {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// months returns the months there are files of, in order.
func (u *rollups) months() []string {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return slices.Sorted(maps.Keys(u.open))
}

// with calls use with the file of a month, if there is one. It is not removed meanwhile.
func (u *rollups) with(month string, use func(*bbolt.DB) error) error {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if db := u.open[month]; db != nil {
		return use(db)
	}
	return nil
}

// read returns the summaries of a tag on a day, none when it has no samples.
func (u *rollups) read(id uint32, n int64) ([]block.Summary, error) {
	month := monthOf(n)
	u.mu.RLock()
	var out []block.Summary
	db, err := u.open[month], error(nil)
	if db == nil {
		err = fmt.Errorf("the hourly summaries of %s: %w", month, fs.ErrNotExist)
	} else {
		err = guarded(u.path(month), func() error {
			return db.View(func(tx *bbolt.Tx) (err error) {
				if b := tx.Bucket(bucketHourly); b != nil {
					if v := b.Get(hourlyKey(id, n)); v != nil {
						out, err = readHourly(v, n*dayNanos)
					}
				}
				return err
			})
		})
	}
	u.mu.RUnlock()
	if beyondUse(err) {
		u.mu.Lock()
		if u.open[month] == db {
			u.setAside(month, err)
		}
		u.mu.Unlock()
	}
	return out, err
}

// drop removes the months that are over before a time.
func (u *rollups) drop(before time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for month := range maps.Clone(u.open) {
		begin, err := time.Parse(rollupLayout, month)
		if err != nil || begin.AddDate(0, 1, 0).After(before) {
			continue
		}
		err = errors.Join(u.open[month].Close(), os.Remove(u.path(month)))
		delete(u.open, month)
		for n := range u.rolled {
			if monthOf(n) == month {
				delete(u.rolled, n)
				delete(u.fresh, n)
			}
		}
		if err != nil {
			return fmt.Errorf("removing the hourly summaries of %s: %w", month, err)
		}
		u.log.Info("a month of hourly summaries was removed", "month", month, "reason", "it is older than their retention")
	}
	return nil
}

// written returns how many writes to day files there have been.
func (u *rollups) written() uint64 {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.writes
}

// stale notes that a day was written to.
func (u *rollups) stale(n int64) {
	u.mu.Lock()
	delete(u.fresh, n)
	u.writes++
	u.mu.Unlock()
}

func (u *rollups) close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	var errs []error
	for _, db := range u.open {
		errs = append(errs, db.Close())
	}
	u.open = map[string]*bbolt.DB{}
	return errors.Join(errs...)
}
