package history

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// cramped says why there is no more room for the archive, or nothing.
func (s *Store) cramped() (why string, err error) {
	if s.Limits().MaxDisk > 0 {
		size, err := s.size()
		if err != nil {
			return "", err
		}
		if size > s.Limits().MaxDisk {
			return fmt.Sprintf("the archive has %d bytes, its limit is %d", size, s.Limits().MaxDisk), nil
		}
	}
	free, err := s.o.FreeSpace(s.dir)
	if err != nil {
		return "", fmt.Errorf("asking for the free space: %w", err)
	}
	if free < s.o.Reserve {
		return fmt.Sprintf("the disk has %d bytes left, %d are to stay free", free, s.o.Reserve), nil
	}
	return "", nil
}

// size returns the bytes of all files of the archive.
func (s *Store) size() (total int64, err error) {
	err = filepath.WalkDir(s.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(d.Name(), newSuffix) { // that is here for a moment only
			return ignoreMissing(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreMissing(err)
		}
		total += diskSize(info)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measuring the archive: %w", err)
	}
	return total, nil
}

// ignoreMissing forgives files that are removed while they are looked at.
func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// Stats returns counters and sizes.
func (s *Store) Stats() Stats {
	size, _ := s.size() // a folder that can't be read shows in Health
	s.mu.Lock()
	st := s.stats
	st.Durable, st.Pending, st.HeadSamples = s.durable, s.pending, s.headSamples
	st.DamagedFound = uint64(len(s.damaged))
	s.mu.Unlock()
	st.DiskBytes = size
	list := s.days.list()
	if st.Days = len(list); st.Days > 0 {
		st.OldestDay = dayTime(list[0])
	}
	return st
}

// Health returns nil while samples are being recorded and are getting to disk, else what is wrong.
func (s *Store) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	var names []string
	for n := range s.problems {
		names = append(names, n)
	}
	slices.Sort(names)
	var errs []error
	for _, n := range names {
		errs = append(errs, fmt.Errorf("%s: %w", n, s.problems[n]))
	}
	if s.stopped != nil {
		errs = append(errs, s.stopped)
	}
	return errors.Join(errs...)
}

// Damaged returns how many damaged blocks were found since Open, repaired from the peer meanwhile or not, and in how many
// records of the journal Open put a flipped bit right. Neither keeps the archive from recording.
func (s *Store) Damaged() (blocks, mended int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.damaged), int(s.stats.Mended)
}
