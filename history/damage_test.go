package history

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// flipBlock flips a bit in the stored block of a tag and returns the day file's name.
func flipBlock(t *testing.T, dir, name string) string {
	t.Helper()
	s := openT(t, dir, Options{})
	id := s.byName[name].id
	must(t, s.Close())
	files, err := filepath.Glob(filepath.Join(dir, "p", "*.db"))
	must(t, err)
	db, err := bbolt.Open(files[0], 0o600, &bbolt.Options{ReadOnly: true})
	must(t, err)
	var stored []byte
	must(t, db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketBlocks).ForEach(func(k, v []byte) error {
			if got, _, _ := splitKey(k); got == id && stored == nil {
				stored = slices.Clone(v)
			}
			return nil
		})
	}))
	must(t, db.Close())
	b, err := os.ReadFile(files[0])
	must(t, err)
	found := 0 // pages that are no longer used may hold the block too
	for at := 0; ; found++ {
		i := bytes.Index(b[at:], stored)
		if i < 0 {
			break
		}
		b[at+i+len(stored)/2] ^= 4
		at += i + len(stored)
	}
	if found == 0 {
		t.Fatalf("the block is not in %s", files[0])
	}
	must(t, os.WriteFile(files[0], b, 0o640))
	return filepath.Base(files[0])
}

func TestFlippedBitIsFoundAndHealedFromThePeer(t *testing.T) {
	defs, now := floats(8), func() time.Time { return start.Add(30 * time.Minute) }
	dirs := [2]string{t.TempDir(), t.TempDir()}
	for _, dir := range dirs {
		s := openT(t, dir, Options{Tags: defs, Now: now})
		for i := range 600 {
			s.Append(tick(8, start.Add(time.Duration(i)*time.Second)))
		}
		must(t, s.Flush(t.Context()))
		must(t, s.Close())
	}
	file := flipBlock(t, dirs[0], "t05")
	s, peer := openT(t, dirs[0], Options{Tags: defs, Now: now}), openT(t, dirs[1], Options{Tags: defs, Now: now})
	p := raw(t, s, "t05")
	if len(p.Damaged) != 1 || p.Damaged[0].File != "p/"+file || p.Damaged[0].Tag != "t05" || len(p.Samples) == 0 || len(p.Samples) >= 600 {
		t.Fatalf("%d samples, damage %v", len(p.Samples), p.Damaged)
	}
	if n, _ := s.Damaged(); n != 1 || s.Health() != nil {
		t.Errorf("%d damaged blocks, health %v", n, s.Health())
	}
	for _, d := range defs {
		if got := raw(t, s, d.Name); d.Name != "t05" && (len(got.Samples) != 600 || len(got.Damaged) != 0) {
			t.Errorf("%s: %d samples, damage %v", d.Name, len(got.Samples), got.Damaged)
		}
	}
	found, err := s.Verify(t.Context(), 0, 1<<62)
	must(t, err)
	if len(found) != 1 || found[0].Tag != "t05" {
		t.Fatalf("verify found %v", found)
	}
	heal(t, s, peer, 1)
	if got := raw(t, s, "t05"); len(got.Samples) != 600 || len(got.Damaged) != 0 {
		t.Fatalf("after healing: %d samples, damage %v", len(got.Samples), got.Damaged)
	}
}

// heal brings s what it lacks of the peer's windows; want is how many windows must differ before.
func heal(t *testing.T, s, peer *Store, want int) {
	t.Helper()
	differ := func() []time.Time {
		mine, err := s.Windows(t.Context(), 0, 1<<62)
		must(t, err)
		theirs, err := peer.Windows(t.Context(), 0, 1<<62)
		must(t, err)
		own := map[time.Time]Digest{}
		for _, w := range mine {
			own[w.Window] = w.Digest
		}
		var out []time.Time
		for _, w := range theirs {
			if own[w.Window] != w.Digest {
				out = append(out, w.Window)
			}
		}
		return out
	}
	windows := differ()
	if len(windows) != want {
		t.Fatalf("%d windows differ, want %d", len(windows), want)
	}
	for _, w := range windows {
		for after := ""; ; {
			data, next, err := peer.Export(t.Context(), w, after)
			must(t, err)
			_, err = s.Import(t.Context(), data)
			must(t, err)
			if after = next; after == "" {
				break
			}
		}
	}
	if left := differ(); len(left) != 0 {
		t.Fatalf("windows still differ: %v", left)
	}
}

func TestDamagedFilesNeverStopTheStore(t *testing.T) {
	defs, now := floats(8), func() time.Time { return start.Add(30 * time.Minute) }
	dir := t.TempDir()
	s := openT(t, dir, Options{Tags: defs, Now: now})
	for i := range 600 {
		s.Append(tick(8, start.Add(time.Duration(i)*time.Second)))
	}
	must(t, s.Flush(t.Context()))
	must(t, s.Close())
	r := rand.New(rand.NewPCG(1, 1))
	for range 25 {
		after := copyFolder(t, dir)
		files, _ := filepath.Glob(filepath.Join(after, "p", "*.db"))
		b, err := os.ReadFile(files[0])
		must(t, err)
		switch r.IntN(3) {
		case 0:
			b = b[:r.IntN(len(b))]
		case 1:
			for range 20 {
				b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			}
		case 2:
			i := r.IntN(len(b))
			clear(b[i:min(len(b), i+4096)])
		}
		must(t, os.WriteFile(files[0], b, 0o640))
		s := openT(t, after, Options{Tags: defs, Now: now})
		for _, d := range defs {
			_, _ = s.Raw(t.Context(), d.Name, 0, 1<<62, 0, Cursor{}) // an error or damage, never a crash
		}
		s.Append(tick(8, start.Add(24*time.Hour)))
		s.Append(tick(8, start.Add(time.Minute+time.Millisecond))) // into the damaged day
		must(t, s.Sync(t.Context()))
		must(t, s.Flush(t.Context()))
		for _, at := range []time.Time{start.Add(24 * time.Hour), start.Add(time.Minute + time.Millisecond)} {
			p, err := s.Raw(t.Context(), "t03", at.UnixNano(), at.UnixNano()+1, 0, Cursor{})
			if err != nil || len(p.Samples) != 1 {
				t.Fatalf("sample at %v after the damage: %v, %v", at, p.Samples, err)
			}
		}
		must(t, s.Close())
	}
}
