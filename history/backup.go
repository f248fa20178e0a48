package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// Backup calls add with every file of a copy of the archive: its path below the archive's folder, with slashes, its size in
// bytes, and its content. Recording goes on meanwhile. The copy holds everything appended before the call; what comes later
// may be in it.
func (s *Store) Backup(ctx context.Context, add func(name string, size int64, content io.WriterTo) error) error {
	if err := s.Flush(ctx); err != nil { // then the journal has nothing the day files have not
		return fmt.Errorf("backup: %w", err)
	}
	for _, n := range s.days.list() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
		if err := s.backupDay(n, add); err != nil {
			return fmt.Errorf("backup: %w", err)
		}
	}
	if err := s.backupRollups(ctx, add); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	// The last of all: its position must be beyond that of every day file, and its tags those of every block.
	if err := s.backupFile(s.meta.db, "meta.db", add); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return nil
}

func (s *Store) backupDay(n int64, add func(string, int64, io.WriterTo) error) error {
	f, err := s.days.acquire(n, false)
	if f == nil || err != nil {
		return err
	}
	defer s.days.release(f)
	// The file that is written to comes first: should the day be sealed in between, it is in both, which is the same set.
	if f.db != nil {
		if err := s.backupFile(f.db, "p/"+filepath.Base(f.path), add); err != nil {
			return err
		}
	}
	if f.sealedDB == nil {
		return nil
	}
	return guarded(f.sealed, func() error {
		return f.sealedDB.View(func(tx *bbolt.Tx) error {
			return add("p/"+filepath.Base(f.sealed), tx.Size(), tx)
		})
	})
}

func (s *Store) backupRollups(ctx context.Context, add func(string, int64, io.WriterTo) error) error {
	for _, month := range s.rolls.months() {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.rolls.with(month, func(db *bbolt.DB) error { return s.backupFile(db, "r/"+month+rollupSuffix, add) })
		if err != nil && !beyondUse(err) { // summaries are made again; what was recorded is worth more
			return err
		}
	}
	return nil
}

// backupFile hands out a file that is written to. It is copied first: whoever takes the backup may be slow, and an open
// transaction keeps a file from using its free pages again.
func (s *Store) backupFile(db *bbolt.DB, name string, add func(string, int64, io.WriterTo) error) (err error) {
	tmp, err := os.CreateTemp(s.dir, "backup-*"+newSuffix)
	if err != nil {
		return fmt.Errorf("copying %s: %w", name, err)
	}
	_ = os.Remove(tmp.Name()) // it lives while it is open; where that is not allowed, until the end
	defer func() {
		err = errors.Join(err, tmp.Close())
		_ = os.Remove(tmp.Name())
	}()
	var size int64
	err = guarded(db.Path(), func() error {
		return db.View(func(tx *bbolt.Tx) error {
			size, err = tx.WriteTo(tmp)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("copying %s: %w", name, err)
	}
	if _, err := tmp.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("copying %s: %w", name, err)
	}
	return add(name, size, tmp)
}
