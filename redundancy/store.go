package redundancy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// storeFile is the file in the data directory that holds what must survive a crash.
const storeFile = "redundancy.json"

// store keeps the epochs and the incarnation on disk. Every change is synced before it returns.
type store struct {
	mu   sync.Mutex
	file string
	data stored
	sync func(*os.File) error
}

type stored struct {
	Incarnation uint64            `json:"incarnation"`
	Epochs      map[string]uint64 `json:"epochs"`
}

func openStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("the directory of the stored epochs: %w", err)
	}
	s := &store{file: filepath.Join(dir, storeFile), data: stored{Epochs: map[string]uint64{}}, sync: (*os.File).Sync}
	b, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the stored epochs: %w", err)
	}
	if err := json.Unmarshal(b, &s.data); err != nil {
		return nil, fmt.Errorf("%s is damaged; without it the node would repeat epochs it has used. If the other node runs, remove the file: the epochs are learned from it: %w", s.file, err)
	}
	if s.data.Epochs == nil {
		s.data.Epochs = map[string]uint64{}
	}
	return s, nil
}

// nextIncarnation stores and returns a number higher than every one before and at least floor.
func (s *store) nextIncarnation(floor uint64) (uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data.Incarnation = max(s.data.Incarnation+1, floor)
	return s.data.Incarnation, s.write()
}

func (s *store) epoch(area string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data.Epochs[area]
}

// setEpoch stores the epoch unless a higher one is stored.
func (s *store) setEpoch(area string, epoch uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.data.Epochs[area]
	if epoch <= old {
		return nil
	}
	s.data.Epochs[area] = epoch
	if err := s.write(); err != nil {
		s.data.Epochs[area] = old
		return err
	}
	return nil
}

// write replaces the file: written beside it, synced, renamed, and the directory synced.
func (s *store) write() error {
	b, err := json.Marshal(s.data)
	if err == nil {
		err = s.writeSynced(s.file+".new", b)
	}
	if err == nil {
		err = os.Rename(s.file+".new", s.file)
	}
	if err == nil {
		err = s.syncDir(filepath.Dir(s.file))
	}
	if err != nil {
		return fmt.Errorf("storing the epochs: %w", err)
	}
	return nil
}

func (s *store) writeSynced(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = s.sync(f)
	}
	return errors.Join(err, f.Close())
}

func (s *store) syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(s.sync(d), d.Close())
}
