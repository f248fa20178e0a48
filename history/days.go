package history

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	dayLayout     = "20060102"
	daySuffix     = ".l0.db"
	damagedSuffix = ".damaged"  // of day files that were beyond use
	lockTimeout   = time.Second // bbolt waits for ever for a lock unless told otherwise
	pageSize      = 16 << 10    // fewer, fuller pages: a third of a 4 KB page of blocks is slack
	firstMap      = 256 << 20   // address space, so that a growing file seldom has to be mapped anew (that waits for readers)
	maxIdle       = 32          // day files kept open without a user
)

var (
	bucketBlocks  = []byte("b") // window u32 BE | tag u32 BE | layer u8 -> block
	bucketWindows = []byte("m") // window u32 BE -> windowInfo
	bucketDamaged = []byte("d") // as b: blocks set aside because they can't be read
)

// day is one day file. It is open while somebody uses it and for a while after.
type day struct {
	number int64
	path   string
	ready  chan struct{} // closed when db or err is set
	db     *bbolt.DB
	err    error
	users  int
	doomed bool // to be removed when the last user leaves
	used   uint64
}

// days is the set of day files.
type days struct {
	dir string

	mu    sync.Mutex
	known map[int64]*day // files that exist; db is nil for those not open
	tick  uint64
}

func dayOf(window int64) int64 { return window / dayWindows }

func dayTime(number int64) time.Time { return time.Unix(number*24*3600, 0).UTC() }

func openDays(dir string) (*days, error) {
	d := &days{dir: dir, known: map[int64]*day{}}
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing the day files: %w", err)
	}
	for _, e := range list {
		t, err := time.Parse(dayLayout+daySuffix, e.Name())
		if err == nil && !e.IsDir() {
			n := t.Unix() / (24 * 3600)
			d.known[n] = d.entry(n)
		}
	}
	return d, nil
}

func (d *days) entry(n int64) *day {
	return &day{number: n, path: filepath.Join(d.dir, dayTime(n).Format(dayLayout)+daySuffix)}
}

// list returns the numbers of the days there are, oldest first.
func (d *days) list() []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]int64, 0, len(d.known))
	for n, f := range d.known {
		if !f.doomed {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// acquire opens a day, or returns nil when there is none and it should not be created. The caller releases it.
func (d *days) acquire(n int64, create bool) (*day, error) {
	d.mu.Lock()
	f := d.known[n]
	if f == nil || f.doomed {
		if f != nil || !create {
			d.mu.Unlock()
			if create {
				return nil, fmt.Errorf("day file %s is being removed", f.path)
			}
			return nil, nil
		}
		f = d.entry(n)
		d.known[n] = f
	}
	f.users++
	opener := f.ready == nil
	if opener {
		f.ready = make(chan struct{})
	}
	ready := f.ready
	d.mu.Unlock()
	if opener {
		db, err := openDay(f.path, create)
		d.mu.Lock()
		f.db, f.err = db, err
		d.mu.Unlock()
		close(ready)
	}
	<-ready
	if f.err != nil {
		err := f.err
		d.release(f)
		return nil, err
	}
	return f, nil
}

// release gives a day back. A file that could not be opened is tried anew by the next user.
func (d *days) release(f *day) {
	d.mu.Lock()
	f.users--
	d.tick++
	f.used = d.tick
	var closing []*day
	switch {
	case f.users > 0:
	case beyondUse(f.err): // bbolt may have left it locked: it is not tried again
	case f.err != nil:
		if errors.Is(f.err, fs.ErrNotExist) {
			delete(d.known, f.number) // somebody removed it by hand
		}
		f.ready, f.err = nil, nil
	case f.doomed:
		delete(d.known, f.number)
		closing = append(closing, f)
	default:
		closing = d.idle()
	}
	d.mu.Unlock()
	for _, c := range closing {
		c.db.Close()
	}
}

// idle takes the files out that have been without a user longest, beyond maxIdle. The caller holds mu and closes them.
func (d *days) idle() []*day {
	var unused []*day
	for _, f := range d.known {
		if f.users == 0 && f.db != nil {
			unused = append(unused, f)
		}
	}
	if len(unused) <= maxIdle {
		return nil
	}
	slices.SortFunc(unused, func(a, b *day) int { return int(int64(a.used) - int64(b.used)) })
	out := unused[:len(unused)-maxIdle]
	for _, f := range out {
		d.known[f.number] = d.entry(f.number)
	}
	return out
}

// remove unlinks a day. Readers that have it open finish undisturbed.
func (d *days) remove(n int64) error {
	d.mu.Lock()
	f := d.known[n]
	if f == nil {
		d.mu.Unlock()
		return nil
	}
	var closing *bbolt.DB
	if f.users > 0 {
		f.doomed = true
	} else {
		delete(d.known, n)
		closing = f.db
	}
	d.mu.Unlock()
	err := os.Remove(f.path)
	if closing != nil {
		closing.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing a day file: %w", err)
	}
	return nil
}

// close closes every file. Nobody uses one any more.
func (d *days) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, f := range d.known {
		if f.db != nil {
			errs = append(errs, f.db.Close())
		}
	}
	d.known = map[int64]*day{}
	return errors.Join(errs...)
}

func openDay(path string, create bool) (db *bbolt.DB, err error) {
	o := &bbolt.Options{
		Timeout: lockTimeout, PageSize: pageSize, InitialMmapSize: firstMap, FreelistType: bbolt.FreelistMapType,
	}
	if !create {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("opening a day file: %w", err)
		}
	}
	err = guarded(path, func() error {
		db, err = bbolt.Open(path, 0o640, o)
		var system syscall.Errno
		switch {
		case err == nil:
			return nil
		case errors.Is(err, bolterrors.ErrTimeout), errors.As(err, &system):
			return fmt.Errorf("opening the day file %s: %w", path, err)
		}
		// It is not the system that refuses: the content is not that of a bbolt file.
		return fmt.Errorf("opening the day file %s: %w: %w", path, errDamagedFile, err)
	})
	if err != nil {
		return nil, err
	}
	db.AllocSize = 1 << 20
	return db, nil
}

// errDamagedFile says that a bbolt file can't be used at all.
var errDamagedFile = errors.New("the file is damaged")

// beyondUse reports whether an error means that a day file can't be opened or written again, ever.
func beyondUse(err error) bool {
	return errors.Is(err, errDamagedFile)
}

// setAside renames a day file that is beyond use, so that the day begins anew; what it held comes back from the peer.
func (d *days) setAside(n int64) (to string, err error) {
	d.mu.Lock()
	f := d.known[n]
	delete(d.known, n)
	d.mu.Unlock()
	if f == nil {
		return "", nil
	}
	to = f.path + damagedSuffix
	if err := os.Rename(f.path, to); err != nil {
		return "", fmt.Errorf("setting a damaged day file aside: %w", err)
	}
	return to, nil // the handle, if there is one, stays open: closing a damaged file may fault again
}

// guarded runs f on a bbolt file and turns what a damaged file does to it, panics and memory faults of the mapping,
// into an error that names the file.
func guarded(path string, f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %w: %v", path, errDamagedFile, p)
		}
	}()
	return f()
}

// view reads a day inside one transaction.
func (f *day) view(read func(blocks, windows *bbolt.Bucket) error) error {
	return guarded(f.path, func() error {
		return f.db.View(func(tx *bbolt.Tx) error {
			b, m := tx.Bucket(bucketBlocks), tx.Bucket(bucketWindows)
			if b == nil || m == nil {
				return nil // created, but never written to
			}
			return read(b, m)
		})
	})
}

// update writes a day in one transaction.
func (f *day) update(seed func(uint32) (uint64, bool), write func(t *dayTx) error) error {
	return guarded(f.path, func() error {
		return f.db.Update(func(tx *bbolt.Tx) error {
			t := &dayTx{seed: seed}
			for _, x := range []struct {
				name []byte
				to   **bbolt.Bucket
			}{{bucketBlocks, &t.blocks}, {bucketWindows, &t.windows}, {bucketDamaged, &t.damaged}} {
				b, err := tx.CreateBucketIfNotExists(x.name)
				if err != nil {
					return fmt.Errorf("%s: %w", f.path, err)
				}
				*x.to = b
			}
			t.blocks.FillPercent = 1 // keys come in order, so pages need no room for later ones
			return write(t)
		})
	})
}
