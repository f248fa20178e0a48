package journal

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"go.etcd.io/bbolt"

	"scada/alarms"
)

// The chain lists what this node wrote into its journal, in the order it did: every entry added, every entry another
// took the place of, every removal of what was too old. Each record has the hash of the one before it, so none can be
// changed, left out or put in between without all later ones telling. See FORMAT.md.
var (
	bucketChain   = []byte("chain")   // number -> link record
	bucketAnchors = []byte("anchors") // node, 0, number -> what that node said of its own chain

	metaChainID   = []byte("chain id")
	metaChainBase = []byte("chain base") // number and hash of the last record that was forgotten
	metaChainHead = []byte("chain head") // number and hash of the last record
)

// The kinds of records.
const (
	linkAdd   = 1 // an entry was written
	linkDrop  = 2 // an entry gave way to another with the same key
	linkPrune = 3 // entries before a time were deleted, and the records of them forgotten up to a number
	linkBegin = 4 // the journal had entries up to a sequence before it had a chain
)

const (
	chainIDBytes = 16
	linkBytes    = 1 + 8 + placeBytes + sha256.Size // without the hash that ends a record
	markBytes    = 8 + sha256.Size
	chainSeed    = "scada journal chain 1\x00"
)

// Anchor is a point of a chain: with the hash of one record all before it are fixed.
type Anchor struct {
	Chain string `json:"chain"` // which chain: a new journal begins a new one
	N     uint64 `json:"n"`     // number of the record
	Hash  string `json:"hash"`  // of the record, hexadecimal
	At    int64  `json:"at"`    // when it was told, UTC nanoseconds
}

// link is one record.
type link struct {
	kind   byte
	seq    uint64
	place  [placeBytes]byte
	digest [sha256.Size]byte
}

func (l *link) encode(b []byte) []byte {
	b = append(b, l.kind)
	b = binary.BigEndian.AppendUint64(b, l.seq)
	b = append(b, l.place[:]...)
	return append(b, l.digest[:]...)
}

func readLink(b []byte) (l link, hash []byte, ok bool) {
	if len(b) != linkBytes+sha256.Size {
		return l, nil, false
	}
	l.kind, l.seq = b[0], binary.BigEndian.Uint64(b[1:])
	copy(l.place[:], b[9:])
	copy(l.digest[:], b[9+placeBytes:])
	return l, b[linkBytes:], true
}

// next is the hash of record n after the one with the hash before.
func next(before []byte, n uint64, content []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(before)
	h.Write(binary.BigEndian.AppendUint64(nil, n))
	h.Write(content)
	return [sha256.Size]byte(h.Sum(nil))
}

func mark(n uint64, hash []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, n), hash...)
}

// readMark splits a number with its hash; a malformed one is number 0 without a hash.
func readMark(b []byte) (uint64, []byte) {
	if len(b) != markBytes {
		return 0, nil
	}
	return binary.BigEndian.Uint64(b), bytes.Clone(b[8:])
}

// beginChain gives the journal a chain if it has none.
func (j *Journal) beginChain() error {
	return j.db.Update(func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists(bucketAnchors); err != nil {
			return err
		}
		if tx.Bucket(bucketChain) != nil {
			return nil
		}
		if _, err := tx.CreateBucket(bucketChain); err != nil {
			return err
		}
		id := make([]byte, chainIDBytes)
		rand.Read(id)
		seed := sha256.Sum256(append([]byte(chainSeed), id...))
		meta := tx.Bucket(bucketMeta)
		for key, value := range map[string][]byte{string(metaChainID): id, string(metaChainBase): mark(0, seed[:]), string(metaChainHead): mark(0, seed[:])} {
			if err := meta.Put([]byte(key), value); err != nil {
				return err
			}
		}
		last, _ := tx.Bucket(bucketSequence).Cursor().Last()
		if last == nil {
			return nil
		}
		c := newChain(tx)
		if err := c.add(link{kind: linkBegin, seq: binary.BigEndian.Uint64(last)}); err != nil {
			return err
		}
		return c.end()
	})
}

// chain writes records in a transaction.
type chain struct {
	meta, records *bbolt.Bucket
	n             uint64
	hash          []byte
	grown         bool
}

func newChain(tx *bbolt.Tx) *chain {
	c := &chain{meta: tx.Bucket(bucketMeta), records: tx.Bucket(bucketChain)}
	c.n, c.hash = readMark(c.meta.Get(metaChainHead))
	c.records.FillPercent = 1 // it grows at the end
	return c
}

func (c *chain) add(l link) error {
	c.n++
	content := l.encode(make([]byte, 0, linkBytes+sha256.Size))
	hash := next(c.hash, c.n, content)
	c.hash, c.grown = hash[:], true
	return c.records.Put(sequenceKey(c.n), append(content, hash[:]...))
}

// added notes an entry that was written.
func (c *chain) added(seq uint64, place, text []byte) error {
	return c.add(link{kind: linkAdd, seq: seq, place: [placeBytes]byte(place), digest: sha256.Sum256(text)})
}

// dropped notes an entry that is gone although it is not old.
func (c *chain) dropped(seq uint64, place []byte) error {
	return c.add(link{kind: linkDrop, seq: seq, place: [placeBytes]byte(place)})
}

// pruned forgets the records of what is gone at the beginning, and notes until when entries were deleted and how far the
// chain was forgotten: a beginning that is missing without such a note was cut off by somebody else.
func (c *chain) pruned(tx *bbolt.Tx, before int64) error {
	base, hash := readMark(c.meta.Get(metaChainBase))
	seqs := tx.Bucket(bucketSequence)
	var gone [][]byte
	cur := c.records.Cursor()
	for k, v := cur.First(); k != nil && len(gone) < pruneStep; k, v = cur.Next() {
		l, h, ok := readLink(v)
		if !ok || !forgettable(l, seqs, before) {
			break
		}
		base, hash = binary.BigEndian.Uint64(k), bytes.Clone(h)
		gone = append(gone, bytes.Clone(k))
	}
	for _, k := range gone {
		if err := c.records.Delete(k); err != nil {
			return err
		}
	}
	if err := c.meta.Put(metaChainBase, mark(base, hash)); err != nil {
		return err
	}
	l := link{kind: linkPrune, seq: base, digest: [sha256.Size]byte(hash)}
	copy(l.place[:], timeKey(before))
	return c.add(l)
}

// forgettable reports whether nothing in the journal needs the record any more.
func forgettable(l link, seqs *bbolt.Bucket, before int64) bool {
	switch l.kind {
	case linkAdd:
		return timeOf(l.place[:]) < before && seqs.Get(sequenceKey(l.seq)) == nil
	case linkBegin:
		first, _ := seqs.Cursor().First()
		return first == nil || binary.BigEndian.Uint64(first) > l.seq
	}
	return true
}

// end stores the head.
func (c *chain) end() error {
	if !c.grown {
		return nil
	}
	return c.meta.Put(metaChainHead, mark(c.n, c.hash))
}

// Head returns the end of the chain.
func (j *Journal) Head() (Anchor, error) {
	var a Anchor
	err := j.view(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		n, hash := readMark(meta.Get(metaChainHead))
		a = Anchor{Chain: hex.EncodeToString(meta.Get(metaChainID)), N: n, Hash: hex.EncodeToString(hash)}
		return nil
	})
	if err != nil {
		return a, fmt.Errorf("reading the head of the journal: %w", err)
	}
	return a, nil
}

// maxAnchors is how many anchors of another node's chain are kept; the last one fixes all before it.
const maxAnchors = 64

// Witness keeps what another node says the end of its chain is, for when it may be asked. It returns what is wrong with
// it, empty for nothing: a chain that went back, or another chain than before.
func (j *Journal) Witness(node string, a Anchor) (wrong string, err error) {
	id, errID := hex.DecodeString(a.Chain)
	hash, errHash := hex.DecodeString(a.Hash)
	if errID != nil || errHash != nil || len(id) != chainIDBytes || len(hash) != sha256.Size || node == "" || len(node) > alarms.MaxText {
		return "", fmt.Errorf("the head of the journal of %q is malformed", node)
	}
	err = j.update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucketAnchors)
		known := anchorsOf(b, node)
		if len(known) > 0 {
			last := known[len(known)-1]
			switch {
			case last.Chain != a.Chain:
				wrong = fmt.Sprintf("the journal of node %s is another one than before: it began anew", node)
				for _, old := range known {
					if err := b.Delete(anchorKey(node, old.N)); err != nil {
						return err
					}
				}
			case last.N == a.N && last.Hash == a.Hash:
				return nil
			case a.N <= last.N:
				wrong = fmt.Sprintf("the journal of node %s went back from record %d to %d", node, last.N, a.N)
				return nil // what was seen first stays the evidence
			case len(known) >= maxAnchors:
				if err := b.Delete(anchorKey(node, known[0].N)); err != nil {
					return err
				}
			}
		}
		value := append(append(bytes.Clone(id), hash...), timeKey(a.At)...)
		return b.Put(anchorKey(node, a.N), value)
	})
	if err != nil {
		return wrong, fmt.Errorf("keeping the head of the journal of %s: %w", node, err)
	}
	return wrong, nil
}

// Witnessed returns the anchors kept of another node's chain, the oldest first.
func (j *Journal) Witnessed(node string) ([]Anchor, error) {
	var list []Anchor
	err := j.view(func(tx *bbolt.Tx) error {
		list = anchorsOf(tx.Bucket(bucketAnchors), node)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the heads of other journals: %w", err)
	}
	return list, nil
}

func anchorKey(node string, n uint64) []byte {
	return append(append([]byte(node), 0), sequenceKey(n)...)
}

func anchorsOf(b *bbolt.Bucket, node string) []Anchor {
	var list []Anchor
	prefix := append([]byte(node), 0)
	c := b.Cursor()
	for k, v := c.Seek(prefix); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
		if len(k) != len(prefix)+8 || len(v) != chainIDBytes+sha256.Size+8 {
			continue
		}
		list = append(list, Anchor{Chain: hex.EncodeToString(v[:chainIDBytes]), N: binary.BigEndian.Uint64(k[len(prefix):]),
			Hash: hex.EncodeToString(v[chainIDBytes : chainIDBytes+sha256.Size]), At: timeOf(v[chainIDBytes+sha256.Size:])})
	}
	return list
}
