package history

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

const (
	dayLayout     = "20060102"
	daySuffix     = ".l0.db"
	sealedSuffix  = ".l1.db"
	newSuffix     = ".new"      // of a sealed file that is being written
	damagedSuffix = ".damaged"  // of day files that were beyond use
	lockTimeout   = time.Second // bbolt waits for ever for a lock unless told otherwise
	pageSize      = 16 << 10    // fewer, fuller pages: a third of a 4 KB page of blocks is slack
	firstMap      = 256 << 20   // address space, so that a growing file seldom has to be mapped anew (that waits for readers)
	maxIdle       = 32          // day files kept open without a user
)

var (
	bucketBlocks  = []byte("b") // window u32 BE | tag u32 BE | layer u8 -> block
	bucketWindows = []byte("m") // window u32 BE -> windowInfo
	bucketTimes   = []byte("t") // in sealed files: number u32 BE -> times several blocks share
	bucketDamaged = []byte("d") // as b: blocks set aside because they can't be read
)

// day is what there is of one UTC day: the file samples are written to, the sealed file, or both. They are open while
// somebody uses them and for a while after.
type day struct {
	number       int64
	path, sealed string
	ready        chan struct{} // closed when the databases or err are set
	db           *bbolt.DB     // of path, or nil
	sealedDB     *bbolt.DB     // of sealed, or nil
	err          error
	users        int
	doomed       bool // to be removed when the last user leaves
	stale        bool // another entry has taken its place; to be closed when the last user leaves
	used         uint64
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
		name := e.Name()
		if strings.HasSuffix(name, sealedSuffix+newSuffix) { // sealing did not come to its end
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return nil, fmt.Errorf("removing an unfinished day file: %w", err)
			}
			continue
		}
		t, err := time.Parse(dayLayout, strings.TrimSuffix(strings.TrimSuffix(name, daySuffix), sealedSuffix))
		if err == nil && !e.IsDir() && len(name) == len(dayLayout)+len(daySuffix) {
			n := t.Unix() / (24 * 3600)
			d.known[n] = d.entry(n)
		}
	}
	return d, nil
}

func (d *days) entry(n int64) *day {
	path := filepath.Join(d.dir, dayTime(n).Format(dayLayout))
	return &day{number: n, path: path + daySuffix, sealed: path + sealedSuffix}
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

// acquire opens a day, or returns nil when there is none. With create it has a file to write to. The caller releases it.
func (d *days) acquire(n int64, create bool) (*day, error) {
	for {
		f, err := d.use(n, create)
		if f == nil || err != nil || !create || f.db != nil {
			return f, err
		}
		// It was opened for readers, with a sealed file only.
		d.mu.Lock()
		if d.known[n] == f && !f.doomed {
			f.stale = true
			d.known[n] = d.entry(n)
		}
		d.mu.Unlock()
		d.release(f)
	}
}

func (d *days) use(n int64, create bool) (*day, error) {
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
		db, sealed, err := openFiles(f.path, f.sealed, create)
		d.mu.Lock()
		f.db, f.sealedDB, f.err = db, sealed, err
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
	case f.stale:
		closing = append(closing, f)
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
		_ = c.close() // everything in it is on disk
	}
}

// close closes the files that are open.
func (f *day) close() error {
	var errs []error
	for _, db := range [...]*bbolt.DB{f.db, f.sealedDB} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// idle takes the files out that have been without a user longest, beyond maxIdle. The caller holds mu and closes them.
func (d *days) idle() []*day {
	var unused []*day
	for _, f := range d.known {
		if f.users == 0 && f.isOpen() {
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
	closing := f.users == 0
	if closing {
		delete(d.known, n)
	} else {
		f.doomed = true
	}
	d.mu.Unlock()
	var errs []error
	for _, path := range [...]string{f.path, f.sealed} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("removing a day file: %w", err))
		}
	}
	if closing {
		_ = f.close() // it is gone
	}
	return errors.Join(errs...)
}

// isOpen reports whether the day's files are open.
func (f *day) isOpen() bool { return f.db != nil || f.sealedDB != nil }

// close closes every file. Nobody uses one any more.
func (d *days) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, f := range d.known {
		errs = append(errs, f.close())
	}
	d.known = map[int64]*day{}
	return errors.Join(errs...)
}
