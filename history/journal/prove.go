package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// What [Journal.Prove] can find.
const (
	FoundAltered   = "altered"   // an entry is not as it was written
	FoundRemoved   = "removed"   // an entry that was written is gone
	FoundInserted  = "inserted"  // an entry was not written by this program
	FoundTruncated = "truncated" // the end of the chain is gone
	FoundCut       = "cut"       // the beginning of the chain is gone
	FoundBroken    = "broken"    // a record of the chain is gone or not as it was written
)

// Finding is one thing that is wrong.
type Finding struct {
	What   string `json:"what"`
	N      uint64 `json:"n,omitempty"`    // record of the chain
	Time   int64  `json:"time,omitempty"` // of the entry, UTC nanoseconds
	Key    string `json:"key,omitempty"`  // of the entry
	Detail string `json:"detail"`
}

// Proof is what a journal was found to be.
type Proof struct {
	Entries  int       `json:"entries"`  // in the journal
	Covered  int       `json:"covered"`  // of them by the chain
	Before   int       `json:"before"`   // written before the journal had a chain
	Anchors  int       `json:"anchors"`  // heads another node has seen that the chain was held against
	Head     Anchor    `json:"head"`     // the end of the chain
	Findings []Finding `json:"findings"` // at most MaxFindings
	More     int       `json:"more"`     // findings beyond that
}

// MaxFindings is how many findings a proof lists.
const MaxFindings = 100

// Prove reads the whole journal and holds it against its chain, and the chain against the heads another node has seen.
func (j *Journal) Prove(ctx context.Context, seen []Anchor) (Proof, error) {
	p := prover{ctx: ctx, dropped: map[[placeBytes]byte]uint64{}}
	err := j.view(func(tx *bbolt.Tx) error {
		p.tx = tx
		if tx.Bucket(bucketChain) == nil {
			return fmt.Errorf("%w: it has no chain: a version before this one wrote it", ErrDamaged)
		}
		for _, step := range []func() error{p.links, p.entries, p.strangers} {
			if err := step(); err != nil {
				return err
			}
		}
		p.anchors(seen)
		return nil
	})
	if err != nil {
		return p.Proof, fmt.Errorf("verifying the journal: %w", err)
	}
	return p.Proof, nil
}

type prover struct {
	Proof
	ctx context.Context
	tx  *bbolt.Tx

	dropped map[[placeBytes]byte]uint64 // place -> record that says it is gone
	pruned  int64                       // entries before it were deleted; 0: none were
	began   uint64                      // the sequence up to which there was no chain
}

func (p *prover) found(f Finding) {
	if len(p.Findings) >= MaxFindings {
		p.More++
		return
	}
	p.Findings = append(p.Findings, f)
}

// links recomputes the chain. After a record that does not fit it goes on with what is stored: one fault is one finding.
func (p *prover) links() error {
	meta := p.tx.Bucket(bucketMeta)
	base, hash := readMark(meta.Get(metaChainBase))
	id := meta.Get(metaChainID)
	if seed := sha256.Sum256(append([]byte(chainSeed), id...)); base == 0 && !bytes.Equal(hash, seed[:]) {
		p.found(Finding{What: FoundCut, Detail: "the chain does not begin as it began"})
	}
	n, prune := base, link{}
	c := p.tx.Bucket(bucketChain).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if p.ctx.Err() != nil {
			return p.ctx.Err()
		}
		at := binary.BigEndian.Uint64(k)
		l, stored, ok := readLink(v)
		if at != n+1 {
			p.found(Finding{What: FoundBroken, N: n + 1, Detail: fmt.Sprintf("records %d to %d of the chain are missing", n+1, at-1)})
		} else if want := next(hash, at, v[:min(len(v), linkBytes)]); !ok || !bytes.Equal(stored, want[:]) {
			p.found(Finding{What: FoundBroken, N: at, Detail: fmt.Sprintf("record %d of the chain does not follow from record %d", at, n)})
		}
		n, hash = at, stored
		switch {
		case !ok:
		case l.kind == linkDrop:
			p.dropped[l.place] = at
		case l.kind == linkBegin:
			p.began = max(p.began, l.seq)
		case l.kind == linkPrune:
			p.pruned, prune = max(p.pruned, timeOf(l.place[:])), l
		}
	}
	if _, first := readMark(meta.Get(metaChainBase)); base > 0 && (prune.seq != base || !bytes.Equal(prune.digest[:], first)) {
		p.found(Finding{What: FoundCut, N: base, Detail: fmt.Sprintf("the records up to %d were taken away, and not because they were too old", base)})
	}
	head, end := readMark(meta.Get(metaChainHead))
	if head != n || !bytes.Equal(end, hash) {
		p.found(Finding{What: FoundTruncated, N: n, Detail: fmt.Sprintf("the chain ended with record %d and ends with %d now", head, n)})
	}
	p.Head = Anchor{Chain: hex.EncodeToString(id), N: n, Hash: hex.EncodeToString(hash)}
	return nil
}

// entries walks the chain and the sequence side by side: what was written must be there, as it was written, and nothing
// else.
func (p *prover) entries() error {
	entries := p.tx.Bucket(bucketEntries)
	seqs := p.tx.Bucket(bucketSequence).Cursor()
	seq, at := seqs.Seek(sequenceKey(p.began + 1))
	insertedUpTo := func(end uint64) {
		for ; seq != nil && binary.BigEndian.Uint64(seq) < end; seq, at = seqs.Next() {
			p.found(finding(FoundInserted, 0, at, "it is not in the chain"))
		}
	}
	c := p.tx.Bucket(bucketChain).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if p.ctx.Err() != nil {
			return p.ctx.Err()
		}
		l, _, ok := readLink(v)
		if !ok || l.kind != linkAdd {
			continue
		}
		n := binary.BigEndian.Uint64(k)
		insertedUpTo(l.seq)
		there := seq != nil && binary.BigEndian.Uint64(seq) == l.seq
		if there {
			there = bytes.Equal(at, l.place[:])
			seq, at = seqs.Next()
		}
		p.entry(n, l, there, entries)
	}
	insertedUpTo(^uint64(0))
	return nil
}

// entry judges one entry that was written.
func (p *prover) entry(n uint64, l link, there bool, entries *bbolt.Bucket) {
	value := entries.Get(l.place[:])
	if !there || value == nil {
		if gone := p.dropped[l.place]; gone < n && timeOf(l.place[:]) >= p.pruned {
			p.found(finding(FoundRemoved, n, l.place[:], "it was written and is gone"))
		}
		return
	}
	p.Covered++
	_, text, err := stored(l.place[:], value)
	if err != nil || sha256.Sum256(text) != l.digest {
		p.found(finding(FoundAltered, n, l.place[:], "it is not as it was written"))
	}
}

// strangers looks for entries no index leads to.
func (p *prover) strangers() error {
	seqs := p.tx.Bucket(bucketSequence)
	c := p.tx.Bucket(bucketEntries).Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if p.ctx.Err() != nil {
			return p.ctx.Err()
		}
		p.Entries++
		if len(v) < headerBytes || len(k) != placeBytes {
			p.found(finding(FoundAltered, 0, k, "it is cut short"))
			continue
		}
		seq := binary.BigEndian.Uint64(v[4:])
		if seq <= p.began {
			p.Before++
		}
		if !bytes.Equal(seqs.Get(sequenceKey(seq)), k) {
			p.found(finding(FoundInserted, 0, k, "the order of writing does not know it"))
		}
	}
	return nil
}

// anchors holds the chain against what the other node has seen of it.
func (p *prover) anchors(seen []Anchor) {
	meta, records := p.tx.Bucket(bucketMeta), p.tx.Bucket(bucketChain)
	base, _ := readMark(meta.Get(metaChainBase))
	told := map[string]bool{} // the first of each kind says where; those after it say the same
	tell := func(what string, n uint64, format string, args ...any) {
		if !told[what] {
			told[what] = true
			p.found(Finding{What: what, N: n, Detail: fmt.Sprintf(format, args...)})
		}
	}
	for _, a := range seen {
		when := time.Unix(0, a.At).UTC().Format(time.RFC3339)
		if a.Chain != p.Head.Chain {
			tell(FoundTruncated, a.N, "the other node saw record %d of another journal on %s: this one was put in its place", a.N, when)
			continue
		}
		if a.N <= base {
			continue // too old
		}
		p.Anchors++
		if a.N > p.Head.N {
			tell(FoundTruncated, p.Head.N, "the chain ends with record %d, the other node saw record %d on %s", p.Head.N, a.N, when)
			continue
		}
		if _, hash, ok := readLink(records.Get(sequenceKey(a.N))); !ok || hex.EncodeToString(hash) != a.Hash {
			tell(FoundBroken, a.N, "record %d is not the one the other node saw on %s: the chain was made anew at or before it", a.N, when)
		}
	}
}

func finding(what string, n uint64, place []byte, detail string) Finding {
	f := Finding{What: what, N: n, Detail: detail}
	if len(place) == placeBytes {
		f.Time, f.Key = timeOf(place), hex.EncodeToString(place[placeBytes-16:])
	}
	return f
}
