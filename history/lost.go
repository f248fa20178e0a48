package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// A day file that somebody removed leaves nothing behind that could be wrong, so meta.db keeps a list of the files there
// should be. What is missing is told, and brought back by the next exchange with the peer.

var bucketDays = []byte("days") // day u32 BE -> u8: 1 when it has a sealed file

var errGone = errors.New("the file is gone")

// watchFiles looks for files that are on the list and gone. The caller holds the writing lock.
func (s *Store) watchFiles() error {
	changed := map[int64]*bool{} // nil takes a day off the list
	for n, sealed := range s.noted {
		e := s.days.entry(n)
		plain, err1 := exists(e.path)
		whole, err2 := exists(e.sealed)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if whole || plain && !sealed {
			continue
		}
		changed[n] = nil
		lost := e.path
		if sealed {
			lost = e.sealed
		}
		if err := s.lostFile(n, lost, plain); err != nil {
			return err
		}
	}
	return s.note(changed)
}

// noteFiles brings the list up to date with the files there are. The caller holds the writing lock.
func (s *Store) noteFiles() error {
	changed := map[int64]*bool{}
	for _, n := range s.days.list() {
		sealed, err := exists(s.days.entry(n).sealed)
		if err != nil {
			return err
		}
		if was, noted := s.noted[n]; !noted || was != sealed {
			changed[n] = &sealed
		}
	}
	return s.note(changed)
}

// lostFile forgets a file that is gone, and says so unless it was set aside.
func (s *Store) lostFile(n int64, path string, left bool) error {
	s.days.forget(n, left)
	s.rolls.stale(n)
	if left { // its digests were over both files
		if err := s.recountDay(n); err != nil {
			return err
		}
	}
	if aside, err := exists(path + damagedSuffix); aside || err != nil {
		return err
	}
	d := Damage{File: filepath.Join("p", filepath.Base(path)), Window: dayTime(n)}
	s.mu.Lock()
	s.damaged[d] = struct{}{}
	s.mu.Unlock()
	s.o.Logger.Error("a day file is gone; its samples come back from the other node", "file", d.File, "error", errGone)
	return nil
}

// note writes what has changed in the list.
func (s *Store) note(changed map[int64]*bool) error {
	if len(changed) == 0 {
		return nil
	}
	err := s.meta.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketDays)
		for n, sealed := range changed {
			key := binary.BigEndian.AppendUint32(nil, uint32(n))
			var err error
			switch {
			case sealed == nil:
				err = b.Delete(key)
			case *sealed:
				err = b.Put(key, []byte{1})
			default:
				err = b.Put(key, []byte{0})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for n, sealed := range changed {
		if sealed == nil {
			delete(s.noted, n)
		} else {
			s.noted[n] = *sealed
		}
	}
	return nil
}

func loadDays(tx *bbolt.Tx) map[int64]bool {
	out := map[int64]bool{}
	c := tx.Bucket(bucketDays).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if len(k) == 4 && len(v) == 1 {
			out[int64(binary.BigEndian.Uint32(k))] = v[0] == 1
		}
	}
	return out
}

func exists(path string) (bool, error) {
	switch _, err := os.Stat(path); {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	default:
		return false, fmt.Errorf("looking for a day file: %w", err)
	}
}

// forget closes what is open of a day whose files are gone; with left one of them is still there. Readers that have them
// open finish undisturbed.
func (d *days) forget(n int64, left bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.known[n]; f != nil && !f.doomed {
		if f.stale = true; f.users == 0 {
			_ = f.close() // nobody can read it any more
		}
		delete(d.known, n)
	}
	if left {
		d.known[n] = d.entry(n)
	}
}

// dropNote takes a day off the list before its files are removed.
func (s *Store) dropNote(n int64) error {
	s.writing <- struct{}{}
	defer s.unlock()
	return s.note(map[int64]*bool{n: nil})
}
