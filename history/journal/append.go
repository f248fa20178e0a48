package journal

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.etcd.io/bbolt"

	"scada/alarms"
)

// Append writes entries and returns when they are on disk: one transaction, one flush, all or none (a batch of more than
// 20,000 entries takes several). An entry that is already there changes nothing. If one is there with other content,
// both nodes choose alike, whichever came first: a record marked as made by the losing side of a split brain wins over
// the same record without the mark.
func (j *Journal) Append(entries ...Entry) error {
	for len(entries) > 0 {
		n := min(len(entries), batchEntries)
		if err := j.appendBatch(entries[:n]); err != nil {
			return fmt.Errorf("writing %d entries to the journal: %w", n, err)
		}
		entries = entries[n:]
	}
	return nil
}

func (j *Journal) appendBatch(entries []Entry) error {
	texts := make([][]byte, len(entries))
	list := make([]Entry, len(entries))
	for i := range entries {
		list[i] = bound(entries[i])
		text, err := json.Marshal(&list[i])
		if err != nil {
			return fmt.Errorf("encoding entry %s: %w", entries[i].Key, err)
		}
		if len(text) > MaxEntryBytes {
			return fmt.Errorf("entry %s has %d bytes, the limit is %d", entries[i].Key, len(text), MaxEntryBytes)
		}
		texts[i] = text
	}
	added, last := 0, uint64(0)
	err := j.update(func(tx *bbolt.Tx) error {
		w := newWriter(tx)
		for i := range entries {
			if err := w.put(&list[i], texts[i]); err != nil {
				return err
			}
		}
		added, last = w.added, w.seqs.Sequence()
		return w.chain.end()
	})
	if err == nil && added > 0 {
		j.announce(last)
	}
	return err
}

// announce wakes those who wait for entries.
func (j *Journal) announce(seq uint64) {
	j.notify.Lock()
	defer j.notify.Unlock()
	j.seq = max(j.seq, seq)
	close(j.grown)
	j.grown = make(chan struct{})
}

// writer holds the buckets of one writing transaction.
type writer struct {
	entries, keys, seqs *bbolt.Bucket
	chain               *chain
	added               int
}

func newWriter(tx *bbolt.Tx) *writer {
	w := &writer{entries: tx.Bucket(bucketEntries), keys: tx.Bucket(bucketKeys), seqs: tx.Bucket(bucketSequence), chain: newChain(tx)}
	w.entries.FillPercent, w.seqs.FillPercent = 0.95, 1 // both grow at the end
	return w
}

func (w *writer) put(e *Entry, text []byte) error {
	at := place(e)
	if old := w.keys.Get(e.Key[:]); old != nil {
		old = bytes.Clone(old)
		keep, err := w.keeps(old, e, text)
		if err != nil || keep {
			return err
		}
		if err := w.drop(old); err != nil {
			return err
		}
	}
	seq, err := w.seqs.NextSequence()
	if err != nil {
		return err
	}
	w.added++
	if err := w.entries.Put(at, encode(seq, text)); err != nil {
		return err
	}
	if err := w.keys.Put(e.Key[:], at); err != nil {
		return err
	}
	if err := w.seqs.Put(sequenceKey(seq), at); err != nil {
		return err
	}
	return w.chain.added(seq, at, text)
}

// keeps decides between what is stored under a key and what comes for it. The choice depends on the two contents alone,
// so that nodes which see them in different order end with the same.
func (w *writer) keeps(old []byte, e *Entry, text []byte) (bool, error) {
	v := w.entries.Get(old)
	_, have, err := stored(old, v)
	if err != nil {
		return false, err
	}
	if bytes.Equal(have, text) {
		return true, nil
	}
	_, present, err := decode(old, v)
	if err != nil {
		return false, err
	}
	if was, is := forked(&present), forked(e); was != is {
		return was, nil
	}
	return bytes.Compare(have, text) > 0, nil
}

func forked(e *Entry) bool { return e.Alarm != nil && e.Alarm.Note == alarms.NoteFork }

// drop deletes an entry that is not too old, and says so in the chain.
func (w *writer) drop(at []byte) error {
	seq, _, err := stored(at, w.entries.Get(at))
	if err != nil {
		return err
	}
	if err := w.chain.dropped(seq, at); err != nil {
		return err
	}
	return w.remove(at)
}

// remove deletes the entry at a place with everything that points to it.
func (w *writer) remove(at []byte) error {
	seq, _, err := stored(at, w.entries.Get(at))
	if err != nil {
		return err
	}
	if err := w.entries.Delete(at); err != nil {
		return err
	}
	if err := w.keys.Delete(at[placeBytes-len(alarms.Key{}):]); err != nil {
		return err
	}
	return w.seqs.Delete(sequenceKey(seq))
}

// pruneStep is how many entries one transaction of Prune deletes: writers wait no longer than that takes.
const pruneStep = 2000

// Prune deletes the entries before the given time and returns how many. The file keeps its size; the space is used again.
func (j *Journal) Prune(before int64) (int, error) {
	total := 0
	for {
		var old [][]byte // collected first: deleting under a moving cursor is quadratic
		err := j.update(func(tx *bbolt.Tx) error {
			w := newWriter(tx)
			c := w.entries.Cursor()
			for k, _ := c.First(); k != nil && timeOf(k) < before && len(old) < pruneStep; k, _ = c.Next() {
				old = append(old, bytes.Clone(k))
			}
			for _, k := range old {
				if err := w.remove(k); err != nil {
					return err
				}
			}
			if len(old) == 0 {
				return nil
			}
			if err := w.chain.pruned(tx, before); err != nil {
				return err
			}
			return w.chain.end()
		})
		if err != nil {
			return total, fmt.Errorf("deleting old journal entries: %w", err)
		}
		if total += len(old); len(old) < pruneStep {
			return total, nil
		}
	}
}

// Discard deletes entries by key, as a node does on its return with records nobody else has stored. Unknown keys are
// ignored.
func (j *Journal) Discard(keys ...alarms.Key) error {
	err := j.update(func(tx *bbolt.Tx) error {
		w := newWriter(tx)
		for _, k := range keys {
			if at := w.keys.Get(k[:]); at != nil {
				if err := w.drop(bytes.Clone(at)); err != nil {
					return err
				}
			}
		}
		return w.chain.end()
	})
	if err != nil {
		return fmt.Errorf("discarding journal entries: %w", err)
	}
	return nil
}
