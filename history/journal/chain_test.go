package journal_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"scada/alarms"
	"scada/history/journal"
)

// written is a closed journal file of 310 entries, one of them replaced by its fork, with the anchors another node would
// have seen on the way.
func written(t *testing.T) (path string, seen []journal.Anchor) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "journal.db")
	j, err := journal.Open(path, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < 300; n += 50 {
		if err := j.Append(entries(n+1, n+51)...); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, head(t, j))
	}
	fork := entry(99)
	marked := *fork.Alarm
	marked.Note = alarms.NoteFork
	fork.Alarm = &marked
	if err := j.Append(fork); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(entries(301, 311)...); err != nil {
		t.Fatal(err)
	}
	seen = append(seen, head(t, j))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path, seen
}

func head(t *testing.T, j *journal.Journal) journal.Anchor {
	t.Helper()
	a, err := j.Head()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func prove(t *testing.T, path string, seen []journal.Anchor) journal.Proof {
	t.Helper()
	j, err := journal.Open(path, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	p, err := j.Prove(t.Context(), seen)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// tamper changes the closed file behind the program's back.
func tamper(t *testing.T, path string, change func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(change); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// nth is the place and the value of the n-th entry of the file.
func nth(tx *bbolt.Tx, n int) (k, v []byte) {
	c := tx.Bucket([]byte("entries")).Cursor()
	for k, v = c.First(); n > 1; n-- {
		k, v = c.Next()
	}
	return bytes.Clone(k), bytes.Clone(v)
}

// sealed puts the right checksum in front: who can change the file can do that.
func sealed(v []byte) []byte {
	binary.BigEndian.PutUint32(v, crc32.Checksum(v[4:], crc32.MakeTable(crc32.Castagnoli)))
	return v
}

// remove deletes an entry with everything that points to it.
func remove(tx *bbolt.Tx, k, v []byte) error {
	for bucket, key := range map[string][]byte{"entries": k, "keys": k[10:], "sequence": v[4:12]} {
		if err := tx.Bucket([]byte(bucket)).Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// insert adds an entry in every index, under a sequence.
func insert(tx *bbolt.Tx, seq uint64, text string) error {
	k := make([]byte, 26)
	binary.BigEndian.PutUint64(k, uint64(150e9+5)^(1<<63))
	copy(k[10:], "forged entry....")
	v := append(make([]byte, 4), binary.BigEndian.AppendUint64(nil, seq)...)
	v = sealed(append(v, text...))
	s := binary.BigEndian.AppendUint64(nil, seq)
	for bucket, pair := range map[string][2][]byte{"entries": {k, v}, "keys": {k[10:], k}, "sequence": {s, k}} {
		if err := tx.Bucket([]byte(bucket)).Put(pair[0], pair[1]); err != nil {
			return err
		}
	}
	return nil
}

// rechain makes the chain anew so that it fits the file as it is, as somebody would who knows the format.
func rechain(tx *bbolt.Tx, from uint64) error {
	meta, chain, entries := tx.Bucket([]byte("meta")), tx.Bucket([]byte("chain")), tx.Bucket([]byte("entries"))
	hash := bytes.Clone(meta.Get([]byte("chain base"))[8:])
	var n uint64
	c := chain.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		n = binary.BigEndian.Uint64(k)
		v = bytes.Clone(v)
		if e := entries.Get(v[9:35]); e != nil && n >= from {
			sum := sha256.Sum256(e[12:])
			copy(v[35:], sum[:])
		}
		sum := sha256.Sum256(append(append(bytes.Clone(hash), k...), v[:67]...))
		copy(v[67:], sum[:])
		hash = sum[:]
		if err := chain.Put(bytes.Clone(k), v); err != nil {
			return err
		}
	}
	return meta.Put([]byte("chain head"), append(binary.BigEndian.AppendUint64(nil, n), hash...))
}

func TestTheChainHolds(t *testing.T) {
	path, seen := written(t)
	p := prove(t, path, seen)
	if len(p.Findings) != 0 || p.Entries != 310 || p.Covered != 310 || p.Before != 0 || p.Anchors != len(seen) || p.Head.N != 312 {
		t.Fatalf("%+v", p)
	}
	j := open(t, path)
	if err := j.Discard(entry(7).Key); err != nil {
		t.Fatal(err)
	}
	if n, err := j.Prune(100e9); err != nil || n != 98 {
		t.Fatal(n, err)
	}
	if err := j.Append(entry(50), entry(311)); err != nil { // an old one, as a comparison brings it
		t.Fatal(err)
	}
	last := head(t, j)
	proof, err := j.Prove(t.Context(), append(seen, last))
	if err != nil || len(proof.Findings) != 0 || proof.Entries != 213 || proof.Anchors != len(seen) {
		t.Fatalf("%+v %v", proof, err)
	}
	if _, err := j.Prune(100e9); err != nil {
		t.Fatal(err)
	}
	if proof, err = j.Prove(t.Context(), []journal.Anchor{last}); err != nil || len(proof.Findings) != 0 || proof.Entries != 212 {
		t.Fatalf("%+v %v", proof, err)
	}
}

// TestTamperedFiles changes real files in every way and asks where.
func TestTamperedFiles(t *testing.T) {
	cases := map[string]struct {
		change func(tx *bbolt.Tx) error
		want   string // of the first finding
		alone  bool   // found without the other node
	}{
		"altered": {func(tx *bbolt.Tx) error {
			k, v := nth(tx, 120)
			return tx.Bucket([]byte("entries")).Put(k, sealed(bytes.Replace(v, []byte("Set-point 120"), []byte("Set-point 121"), 1)))
		}, "altered 120 time 120000000000", true},
		"altered without its checksum": {func(tx *bbolt.Tx) error {
			k, v := nth(tx, 120)
			return tx.Bucket([]byte("entries")).Put(k, bytes.Replace(v, []byte(`"li"`), []byte(`"wu"`), 1))
		}, "altered", true},
		"removed": {func(tx *bbolt.Tx) error {
			k, v := nth(tx, 40)
			return remove(tx, k, v)
		}, "removed 40 time 40000000000", true},
		"removed from the entries alone": {func(tx *bbolt.Tx) error {
			k, _ := nth(tx, 40)
			return tx.Bucket([]byte("entries")).Delete(k)
		}, "removed 40 time 40000000000", true},
		"removed at the end": {func(tx *bbolt.Tx) error {
			k, v := nth(tx, 310)
			return remove(tx, k, v)
		}, "removed 312 time 310000000000", true},
		"inserted in a free place": {func(tx *bbolt.Tx) error { return insert(tx, 5000, `{"user":"nobody"}`) }, "inserted 0 time 150000000005", true},
		"inserted over another":    {func(tx *bbolt.Tx) error { return insert(tx, 77, `{"user":"nobody"}`) }, "removed 77 time 77000000000", true},
		"a record of the chain removed": {func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("chain")).Delete(binary.BigEndian.AppendUint64(nil, 60))
		}, "broken 60 time 0", true},
		"a record of the chain altered": {func(tx *bbolt.Tx) error {
			b := tx.Bucket([]byte("chain"))
			k := binary.BigEndian.AppendUint64(nil, 60)
			v := bytes.Clone(b.Get(k))
			v[40] ^= 1
			return b.Put(k, v)
		}, "broken 60 time 0", true},
		"the end cut off": {func(tx *bbolt.Tx) error {
			for n := uint64(303); n <= 312; n++ {
				if err := tx.Bucket([]byte("chain")).Delete(binary.BigEndian.AppendUint64(nil, n)); err != nil {
					return err
				}
			}
			for n := 310; n > 300; n-- {
				k, v := nth(tx, n)
				if err := remove(tx, k, v); err != nil {
					return err
				}
			}
			return nil
		}, "truncated 302 time 0", true},
		"the end cut off and the head set back": {func(tx *bbolt.Tx) error {
			for n := uint64(303); n <= 312; n++ {
				if err := tx.Bucket([]byte("chain")).Delete(binary.BigEndian.AppendUint64(nil, n)); err != nil {
					return err
				}
			}
			for n := 310; n > 300; n-- {
				k, v := nth(tx, n)
				if err := remove(tx, k, v); err != nil {
					return err
				}
			}
			return rechain(tx, 1000)
		}, "truncated 302 time 0", false},
		"the beginning cut off": {func(tx *bbolt.Tx) error {
			for n := uint64(1); n <= 30; n++ {
				k, v := nth(tx, 1)
				if err := remove(tx, k, v); err != nil {
					return err
				}
				b := tx.Bucket([]byte("chain"))
				key := binary.BigEndian.AppendUint64(nil, n)
				base := append(bytes.Clone(key), b.Get(key)[67:]...)
				if err := b.Delete(key); err != nil {
					return err
				}
				if err := tx.Bucket([]byte("meta")).Put([]byte("chain base"), base); err != nil {
					return err
				}
			}
			return nil
		}, "cut 30 time 0", true},
		"altered with the whole chain made anew": {func(tx *bbolt.Tx) error {
			k, v := nth(tx, 120)
			if err := tx.Bucket([]byte("entries")).Put(k, sealed(bytes.Replace(v, []byte("Set-point 120"), []byte("Set-point 121"), 1))); err != nil {
				return err
			}
			return rechain(tx, 120)
		}, "broken 150 time 0", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path, seen := written(t)
			tamper(t, path, c.change)
			for _, anchors := range [][]journal.Anchor{seen, nil} {
				p := prove(t, path, anchors)
				if anchors == nil && !c.alone {
					if len(p.Findings) != 0 {
						t.Errorf("found alone, and the test says it cannot be: %+v", p.Findings)
					}
					continue
				}
				if len(p.Findings) == 0 {
					t.Fatal("nothing was found")
				}
				f := p.Findings[0]
				if got := fmt.Sprintf("%s %d time %d", f.What, f.N, f.Time); !strings.HasPrefix(got, c.want) {
					t.Errorf("%s, want %s; %+v", got, c.want, p.Findings)
				}
				if len(p.Findings) > 4 {
					t.Errorf("one change is %d findings: %+v", len(p.Findings), p.Findings)
				}
			}
		})
	}
}

// TestAnotherJournal: a file that was put in place of the old one has another chain.
func TestAnotherJournal(t *testing.T) {
	_, seen := written(t)
	other, _ := written(t)
	p := prove(t, other, seen[len(seen)-1:])
	if len(p.Findings) != 1 || p.Findings[0].What != journal.FoundTruncated || !strings.Contains(p.Findings[0].Detail, "another journal") {
		t.Errorf("%+v", p.Findings)
	}
}

// TestAJournalOfAVersionBefore has no chain: what it holds counts as written before.
func TestAJournalOfAVersionBefore(t *testing.T) {
	path, _ := written(t)
	tamper(t, path, func(tx *bbolt.Tx) error {
		for _, bucket := range []string{"chain", "anchors"} {
			if err := tx.DeleteBucket([]byte(bucket)); err != nil {
				return err
			}
		}
		for _, key := range []string{"chain id", "chain base", "chain head"} {
			if err := tx.Bucket([]byte("meta")).Delete([]byte(key)); err != nil {
				return err
			}
		}
		return nil
	})
	j := open(t, path)
	if err := j.Append(entry(400)); err != nil {
		t.Fatal(err)
	}
	p, err := j.Prove(t.Context(), nil)
	if err != nil || len(p.Findings) != 0 || p.Before != 310 || p.Covered != 1 || p.Entries != 311 {
		t.Errorf("%+v %v", p, err)
	}
}

func TestWitness(t *testing.T) {
	j := fresh(t)
	a := journal.Anchor{Chain: strings.Repeat("ab", 16), N: 10, Hash: strings.Repeat("01", 32), At: 5}
	tell := func(a journal.Anchor, want string) {
		t.Helper()
		wrong, err := j.Witness("b", a)
		if err != nil || (want == "") != (wrong == "") || !strings.Contains(wrong, want) {
			t.Errorf("%+v: %q %v", a, wrong, err)
		}
	}
	tell(a, "")
	tell(a, "")
	for range 2 * 64 {
		a.N++
		tell(a, "")
	}
	if list, err := j.Witnessed("b"); err != nil || len(list) != 64 || list[63] != a {
		t.Fatal(len(list), err)
	}
	back := a
	back.N -= 3
	tell(back, "went back")
	other := a
	other.Hash = strings.Repeat("02", 32)
	tell(other, "went back")
	if list, _ := j.Witnessed("b"); list[len(list)-1] != a {
		t.Error("the evidence was replaced")
	}
	a.Chain = strings.Repeat("cd", 16)
	tell(a, "began anew")
	if list, _ := j.Witnessed("b"); len(list) != 1 {
		t.Error("anchors of the other chain remain")
	}
	for _, bad := range []journal.Anchor{{Chain: "x", Hash: a.Hash}, {Chain: a.Chain, Hash: "y"}, {}} {
		if _, err := j.Witness("b", bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	if list, _ := j.Witnessed("nobody"); len(list) != 0 {
		t.Error("anchors of nobody")
	}
}

func FuzzProve(f *testing.F) {
	f.Add(uint32(100), byte(1))
	f.Fuzz(func(t *testing.T, at uint32, flip byte) {
		path, seen := written(t)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[int(at)%len(b)] ^= flip
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		j, err := journal.Open(path, journal.Options{})
		if err != nil {
			return // refused is fine; a panic is not
		}
		_, _ = j.Prove(t.Context(), seen)
		_ = j.Close()
	})
}
