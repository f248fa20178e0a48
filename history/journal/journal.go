package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Limits of the file.
const (
	// MaxEntryBytes is the size of one encoded entry.
	MaxEntryBytes = 64 << 10
	// batchEntries is how many entries one transaction takes; a longer batch is written in several.
	batchEntries = 20_000
	// lockTimeout is how long Open waits for another process; bbolt would wait for ever.
	lockTimeout = time.Second
	fileMode    = 0o640
	allocBytes  = 1 << 20
	format      = 1
)

// The buckets. The order of the file is the order of time; keys and sequence point into it.
var (
	bucketMeta     = []byte("meta")
	bucketEntries  = []byte("entries")  // place -> crc32c, sequence, JSON
	bucketKeys     = []byte("keys")     // key -> place
	bucketSequence = []byte("sequence") // sequence -> place
	metaFormat     = []byte("format")
)

var (
	// ErrDamaged is the reason for refusing a file or an entry whose bytes cannot be trusted.
	ErrDamaged = errors.New("the journal file is damaged")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the journal is closed")
	// ErrCursor is the reason for refusing a cursor that no page returned.
	ErrCursor = errors.New("malformed cursor")
)

// Options of a journal.
type Options struct {
	// ReadOnly opens a journal another process may also be reading.
	ReadOnly bool
}

// Journal is one journal file. It is safe for concurrent use.
type Journal struct {
	path string

	mu     sync.RWMutex // Close excludes everything else
	db     *bbolt.DB
	notify sync.Mutex
	seq    uint64
	grown  chan struct{} // closed and replaced when entries are added
	closed chan struct{}
}

// Open opens or creates the journal file. A file that is cut short, torn or no journal is refused.
func Open(path string, opts Options) (*Journal, error) {
	j := &Journal{path: path, grown: make(chan struct{}), closed: make(chan struct{})}
	err := guarded(func() error {
		db, err := bbolt.Open(path, fileMode, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType, ReadOnly: opts.ReadOnly})
		if err != nil {
			return err
		}
		db.AllocSize = allocBytes
		j.db = db
		if err := j.prepare(opts.ReadOnly); err != nil {
			return errors.Join(err, db.Close())
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("opening the journal %s: %w", path, explain(err))
	}
	return j, nil
}

// explain gives the errors of bbolt that mean damage that name.
func explain(err error) error {
	for _, e := range []error{bolterrors.ErrInvalid, bolterrors.ErrChecksum, bolterrors.ErrVersionMismatch} {
		if errors.Is(err, e) {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("another process has it open: %w", err)
	}
	return err
}

// guarded turns what a damaged file does to bbolt, panics and faults of the memory mapping, into an error.
func guarded(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return f()
}

// prepare creates the buckets of a new file and checks those of an old one.
func (j *Journal) prepare(readOnly bool) error {
	if err := j.whole(); err != nil {
		return err
	}
	fresh := false
	err := j.db.View(func(tx *bbolt.Tx) error {
		first, _ := tx.Cursor().First()
		fresh = first == nil
		return nil
	})
	if err == nil && fresh && !readOnly {
		err = j.create()
	}
	if err != nil {
		return err
	}
	if err := j.db.View(func(tx *bbolt.Tx) error { return j.inspect(tx) }); err != nil || readOnly {
		return err
	}
	return j.beginChain()
}

// whole checks that the file has all the pages its header speaks of.
func (j *Journal) whole() error {
	info, err := os.Stat(j.path)
	if err != nil {
		return err
	}
	return j.db.View(func(tx *bbolt.Tx) error {
		if info.Size() < tx.Size() {
			return fmt.Errorf("%w: %d bytes, its header speaks of %d", ErrDamaged, info.Size(), tx.Size())
		}
		return nil
	})
}

func (j *Journal) create() error {
	return j.db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketMeta, bucketEntries, bucketKeys, bucketSequence} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return tx.Bucket(bucketMeta).Put(metaFormat, []byte{format})
	})
}

// inspect checks that the file is a journal of this format and that its ends can be read.
func (j *Journal) inspect(tx *bbolt.Tx) error {
	for _, name := range [][]byte{bucketMeta, bucketEntries, bucketKeys, bucketSequence} {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: it has no bucket %q: not a journal", ErrDamaged, name)
		}
	}
	if v := tx.Bucket(bucketMeta).Get(metaFormat); len(v) != 1 || v[0] != format {
		return fmt.Errorf("the journal has format %v, this program reads %d", v, format)
	}
	c := tx.Bucket(bucketEntries).Cursor()
	for _, end := range []func() ([]byte, []byte){c.First, c.Last} {
		if k, v := end(); k != nil {
			if _, _, err := decode(k, v); err != nil {
				return err
			}
		}
	}
	if k, _ := tx.Bucket(bucketSequence).Cursor().Last(); k != nil {
		j.seq = binary.BigEndian.Uint64(k)
	}
	j.seq = max(j.seq, tx.Bucket(bucketSequence).Sequence())
	return nil
}

// Verify reads the whole file and returns the first thing that is wrong with it.
func (j *Journal) Verify(ctx context.Context) error {
	return j.view(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		keys, seqs := tx.Bucket(bucketKeys), tx.Bucket(bucketSequence)
		c := tx.Bucket(bucketEntries).Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			seq, e, err := decode(k, v)
			if err != nil {
				return err
			}
			if string(keys.Get(e.Key[:])) != string(k) || string(seqs.Get(sequenceKey(seq))) != string(k) {
				return fmt.Errorf("%w: the indexes do not lead to entry %s", ErrDamaged, e.Key)
			}
		}
		return nil
	})
}

// Close ends waiting readers and closes the file.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.db == nil {
		return nil
	}
	close(j.closed)
	db := j.db
	j.db = nil
	if err := guarded(db.Close); err != nil {
		return fmt.Errorf("closing the journal %s: %w", j.path, err)
	}
	return nil
}

func (j *Journal) view(f func(tx *bbolt.Tx) error) error {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.db == nil {
		return ErrClosed
	}
	return guarded(func() error { return j.db.View(f) })
}

func (j *Journal) update(f func(tx *bbolt.Tx) error) error {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.db == nil {
		return ErrClosed
	}
	return guarded(func() error { return j.db.Update(f) })
}
