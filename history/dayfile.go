package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"syscall"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"scada/history/block"
)

// openFiles opens what there is of a day. With create the file to write to is made when it is not there.
func openFiles(path, sealed string, create bool) (db, sealedDB *bbolt.DB, err error) {
	sealedDB, err = openDay(sealed, &bbolt.Options{Timeout: lockTimeout, ReadOnly: true})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	o := &bbolt.Options{Timeout: lockTimeout, PageSize: pageSize, InitialMmapSize: firstMap, FreelistType: bbolt.FreelistMapType}
	if !create {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && sealedDB != nil {
			return nil, sealedDB, nil
		} else if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("opening a day file: %w", err), closeDB(sealedDB))
		}
	}
	if db, err = openDay(path, o); err != nil {
		return nil, nil, errors.Join(err, closeDB(sealedDB))
	}
	db.AllocSize = 1 << 20
	return db, sealedDB, nil
}

func closeDB(db *bbolt.DB) error {
	if db == nil {
		return nil
	}
	return db.Close()
}

func openDay(path string, o *bbolt.Options) (db *bbolt.DB, err error) {
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
		return &damagedFile{path, err}
	})
	if err != nil {
		return nil, err
	}
	return db, nil
}

// damagedFile says that a bbolt file can't be used at all.
type damagedFile struct {
	path string
	why  any
}

// Error names the file and what happened.
func (d *damagedFile) Error() string {
	return fmt.Sprintf("%s: the file is damaged: %v", d.path, d.why)
}

// beyondUse reports whether an error means that a day file can't be opened or written again, ever.
func beyondUse(err error) bool {
	var d *damagedFile
	return errors.As(err, &d)
}

// setAside renames a day file that is beyond use, as err says, so that it begins anew; what it held comes back from the
// peer.
func (d *days) setAside(n int64, err error) (to string, sealed bool, _ error) {
	var bad *damagedFile
	if !errors.As(err, &bad) {
		return "", false, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.known[n]
	if f == nil || (bad.path != f.path && bad.path != f.sealed) {
		return "", false, nil
	}
	to = bad.path + damagedSuffix
	if err := os.Rename(bad.path, to); err != nil {
		return "", false, fmt.Errorf("setting a damaged day file aside: %w", err)
	}
	// The handle of the damaged file, if there is one, stays open: closing it may fault again. The other is sound.
	if bad.path == f.path {
		f.db = nil
	} else {
		f.sealedDB = nil
	}
	if f.stale = true; f.users == 0 {
		_ = f.close()
	}
	delete(d.known, n)
	other := f.sealed
	if sealed = bad.path == f.sealed; sealed {
		other = f.path
	}
	if _, err := os.Stat(other); err == nil {
		d.known[n] = d.entry(n)
	}
	return to, sealed, nil
}

// guarded runs f on a bbolt file and turns what a damaged file does to it, panics and memory faults of the mapping,
// into an error that names the file.
func guarded(path string, f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			err = &damagedFile{path, p}
		}
	}()
	return f()
}

// dayView is what a day holds, inside one transaction. A bucket that is not there is nil.
type dayView struct {
	blocks, windows, damaged             *bbolt.Bucket
	sealed, sealedWindows, sealedDamaged *bbolt.Bucket
	sealedTimes                          *bbolt.Bucket
}

// decoder returns a decoder for the blocks of the sealed file, and of any other.
func (v dayView) decoder() block.Decoder { return decoderOf(v.sealedTimes) }

// decoderOf returns a decoder for blocks whose times are in a bucket, which may be nil.
func decoderOf(times *bbolt.Bucket) block.Decoder { return block.Decoder{Shared: sharedOf(times)} }

func sharedOf(times *bbolt.Bucket) func(number uint32) []byte {
	if times == nil {
		return nil
	}
	return func(number uint32) []byte { return times.Get(binary.BigEndian.AppendUint32(nil, number)) }
}

// info returns what is known of a window. The file that is written to has the last word: it knew the sealed one.
func (v dayView) info(w int64) (windowInfo, bool) {
	if i, ok := readInfo(v.windows, w); ok {
		return i, true
	}
	return readInfo(v.sealedWindows, w)
}

// view reads a day inside one transaction.
func (f *day) view(read func(dayView) error) error {
	v := dayView{}
	plain := func() error { return read(v) }
	if f.db != nil {
		plain = func() error {
			return guarded(f.path, func() error {
				return f.db.View(func(tx *bbolt.Tx) error {
					v.blocks, v.windows, v.damaged = tx.Bucket(bucketBlocks), tx.Bucket(bucketWindows), tx.Bucket(bucketDamaged)
					return read(v)
				})
			})
		}
	}
	if f.sealedDB == nil {
		return plain()
	}
	return guarded(f.sealed, func() error {
		return f.sealedDB.View(func(tx *bbolt.Tx) error {
			v.sealed, v.sealedWindows, v.sealedDamaged = tx.Bucket(bucketBlocks), tx.Bucket(bucketWindows), tx.Bucket(bucketDamaged)
			v.sealedTimes = tx.Bucket(bucketTimes)
			return plain()
		})
	})
}

// update writes a day in one transaction.
func (f *day) update(seed func(uint32) (uint64, bool), write func(t *dayTx) error) error {
	t := &dayTx{seed: seed, file: f.sealed}
	plain := func() error {
		return guarded(f.path, func() error {
			return f.db.Update(func(tx *bbolt.Tx) error {
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
	if f.sealedDB == nil {
		return plain()
	}
	return f.sealedDB.View(func(tx *bbolt.Tx) error {
		t.sealed, t.sealedWindows, t.sealedTimes = tx.Bucket(bucketBlocks), tx.Bucket(bucketWindows), tx.Bucket(bucketTimes)
		return plain()
	})
}
