package history

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"scada/acquisition/tag"
)

var (
	bucketTags  = []byte("tags")  // name -> tagRecord as JSON
	bucketAreas = []byte("areas") // name -> time of the newest sample, 8 bytes
	bucketGaps  = []byte("gaps")  // from i64 BE | to i64 BE | area 0 device 0 scan class -> reason
	bucketState = []byte("state")
	keyFormat   = []byte("format")
	keyPosition = []byte("position")
)

// formatVersion is that of the whole folder.
const formatVersion = "scada history 1"

// maxStoredGaps bounds the gap markers of an archive; beyond it the oldest are forgotten.
const maxStoredGaps = 20_000

// tagRecord is what an archive remembers of a tag, so that one that left the configuration can still be read.
type tagRecord struct {
	ID        uint32     `json:"id"`
	Type      tag.Type   `json:"type"`
	Stepped   bool       `json:"stepped,omitempty"`
	Area      string     `json:"area,omitempty"`
	Device    string     `json:"device,omitempty"`
	ScanClass string     `json:"scan,omitempty"`
	Scale     tag.Linear `json:"scale"`
}

func (r *series) record() tagRecord {
	return tagRecord{ID: r.id, Type: r.typ, Stepped: r.stepped, Area: r.scope.Area, Device: r.scope.Device, ScanClass: r.scope.ScanClass, Scale: r.scale()}
}

// meta is meta.db. Its lock is the lock of the whole folder.
type meta struct {
	path string
	db   *bbolt.DB
}

func openMeta(path string) (*meta, error) {
	m := &meta{path: path}
	err := guarded(path, func() (err error) {
		m.db, err = bbolt.Open(path, 0o640, &bbolt.Options{Timeout: lockTimeout, FreelistType: bbolt.FreelistMapType})
		return err
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%s: %w%s", path, ErrInUse, holder(path))
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	err = m.update(func(tx *bbolt.Tx) error {
		for _, b := range [][]byte{bucketTags, bucketAreas, bucketGaps, bucketState, bucketDays} {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		b := tx.Bucket(bucketState)
		if v := b.Get(keyFormat); v != nil && string(v) != formatVersion {
			return fmt.Errorf("its format is %q, this program writes %q", v, formatVersion)
		}
		return b.Put(keyFormat, []byte(formatVersion))
	})
	if err != nil {
		m.db.Close()
		return nil, err
	}
	return m, nil
}

func (m *meta) update(f func(tx *bbolt.Tx) error) error {
	if err := guarded(m.path, func() error { return m.db.Update(f) }); err != nil {
		return fmt.Errorf("%s: %w", m.path, err)
	}
	return nil
}

// load reads everything into the store.
func (m *meta) load(s *Store) error {
	err := guarded(m.path, func() error {
		return m.db.View(func(tx *bbolt.Tx) error {
			s.noted = loadDays(tx)
			if v := tx.Bucket(bucketState).Get(keyPosition); len(v) == 8 {
				s.pos = binary.BigEndian.Uint64(v)
			}
			if err := tx.Bucket(bucketAreas).ForEach(func(k, v []byte) error {
				if len(v) == 8 {
					s.area(string(k)).last = int64(binary.BigEndian.Uint64(v))
				}
				return nil
			}); err != nil {
				return err
			}
			if err := tx.Bucket(bucketGaps).ForEach(func(k, v []byte) error {
				if g, ok := gapOf(k, v); ok {
					s.gaps.add(g)
				}
				return nil
			}); err != nil {
				return err
			}
			return tx.Bucket(bucketTags).ForEach(func(k, v []byte) error {
				var rec tagRecord
				if err := json.Unmarshal(v, &rec); err != nil {
					return fmt.Errorf("tag %q: %w", k, err)
				}
				return s.know(string(k), rec)
			})
		})
	})
	if err != nil {
		return fmt.Errorf("reading %s: %w", m.path, err)
	}
	return nil
}

// saveTags writes the records of tags that are new or have changed.
func (m *meta) saveTags(records map[string]tagRecord) error {
	if len(records) == 0 {
		return nil
	}
	return m.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketTags)
		for name, rec := range records {
			v, err := json.Marshal(rec)
			if err != nil {
				return fmt.Errorf("tag %q: %w", name, err)
			}
			if err := b.Put([]byte(name), v); err != nil {
				return fmt.Errorf("tag %q: %w", name, err)
			}
		}
		return nil
	})
}

// saveState writes the position, the areas' times and gaps, so that journal segments that hold them can go.
func (m *meta) saveState(pos uint64, areas map[string]int64, fresh []Gap, oldest time.Time) error {
	return m.update(func(tx *bbolt.Tx) error {
		if err := tx.Bucket(bucketState).Put(keyPosition, binary.BigEndian.AppendUint64(nil, pos)); err != nil {
			return err
		}
		a := tx.Bucket(bucketAreas)
		for name, t := range areas {
			if name == "" {
				continue
			}
			if err := a.Put([]byte(name), binary.BigEndian.AppendUint64(nil, uint64(t))); err != nil {
				return err
			}
		}
		g := tx.Bucket(bucketGaps)
		for _, x := range fresh {
			if err := g.Put(x.key(), []byte(x.Reason)); err != nil {
				return err
			}
		}
		return dropGaps(g, oldest)
	})
}

// dropGaps forgets gaps that ended before the oldest day.
func dropGaps(g *bbolt.Bucket, oldest time.Time) error {
	if oldest.IsZero() {
		return nil
	}
	var old [][]byte
	c := g.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if x, ok := gapOf(k, v); ok && x.To >= oldest.UnixNano() {
			break
		}
		old = append(old, append([]byte(nil), k...))
	}
	for _, k := range old {
		if err := g.Delete(k); err != nil {
			return err
		}
	}
	return nil
}
