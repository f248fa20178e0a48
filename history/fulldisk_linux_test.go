package history

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"scada/acquisition/tag"
)

// TestFullFileSystem fills a real, small file system to the last byte while samples come in, twice: journal and day files are
// refused wherever they are. It is told, nothing acknowledged is lost or changed, and recording goes on when there is room again.
func TestFullFileSystem(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("scada", dir, "tmpfs", 0, "size=12m"); err != nil {
		t.Skipf("a file system of its own cannot be mounted here: %v", err)
	}
	defer func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) }()
	synctest.Test(t, func(t *testing.T) {
		f := filler{t: t, r: rand.New(rand.NewPCG(1, 7)), defs: floats(200), ballast: filepath.Join(dir, "ballast")}
		o := Options{Tags: f.defs, Reserve: 1, WhenFull: StopRecording, SealAfter: -1}
		s := openT(t, filepath.Join(dir, "history"), o)
		f.leave(1 << 20)
		f.until(s, "the disk is full", func() bool { return s.Health() != nil })
		f.record(s, 60) // nothing waits for the disk
		durable := s.Durable()
		if s.Health() == nil || durable >= f.last {
			t.Fatalf("health %v, durable up to %d of %d", s.Health(), durable, f.last)
		}
		f.leave(8 << 20)
		f.until(s, "there is room again", func() bool { return s.Health() == nil })
		must(t, s.Sync(t.Context()))
		must(t, s.Flush(t.Context()))
		if sum := auditOf(t, s); len(sum.Damaged)+len(sum.Wrong) > 0 {
			t.Errorf("%d blocks damaged, %d windows wrong after a full disk", len(sum.Damaged), len(sum.Wrong))
		}
		f.check(s, durable)
		must(t, s.Close())
		s = openT(t, filepath.Join(dir, "history"), o)
		f.check(s, durable)
		must(t, s.Close())
	})
}

// filler records numbers nobody can compress, and takes up the rest of the disk.
type filler struct {
	t       *testing.T
	r       *rand.Rand
	defs    []tag.Definition
	batches []filled
	last    uint64 // position of the last batch
	ballast string
}

// filled is a batch the archive took, with its position.
type filled struct {
	pos   uint64
	batch []tag.Update
}

// leave has a file take up the whole disk but for so much.
func (f *filler) leave(bytes int64) {
	f.t.Helper()
	must(f.t, os.RemoveAll(f.ballast))
	free, err := freeSpace(filepath.Dir(f.ballast))
	must(f.t, err)
	if n := int64(free) - bytes; n > 0 {
		must(f.t, os.WriteFile(f.ballast, make([]byte, n), 0o600))
	}
}

// record appends a batch a second.
func (f *filler) record(s *Store, n int) {
	for range n {
		batch := tick(len(f.defs), time.Now())
		for i := range batch {
			batch[i].Value = tag.Float64(f.r.NormFloat64())
		}
		pos := s.Append(batch)
		if pos > f.last { // else it was refused
			f.batches = append(f.batches, filled{pos, batch})
		}
		f.last = pos
		time.Sleep(time.Second)
	}
}

// until records until something is so.
func (f *filler) until(s *Store, what string, so func() bool) {
	f.t.Helper()
	for range 200 {
		if so() {
			return
		}
		f.record(s, 60)
	}
	f.t.Fatalf("not within hours: %s: %v", what, s.Health())
}

// check looks whether the batches up to a position are there, whole and unchanged.
func (f *filler) check(s *Store, durable uint64) {
	f.t.Helper()
	for i, d := range f.defs {
		got := map[int64]tag.Sample{}
		for at, more := (Cursor{}), true; more; {
			p, err := s.Raw(f.t.Context(), d.Name, 0, 1<<62, 0, at)
			must(f.t, err)
			for _, x := range p.Samples {
				got[x.Time] = x
			}
			at, more = p.Next, p.More
		}
		for _, b := range f.batches {
			if x := b.batch[i].Sample; b.pos <= durable && got[x.Time] != x {
				f.t.Fatalf("%s: the sample of position %d, of %d acknowledged ones, is missing or another", d.Name, b.pos, durable)
			}
		}
	}
}
