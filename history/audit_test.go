package history

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"scada/acquisition/tag"
)

// auditOf reads everything and adds up what was found.
func auditOf(t *testing.T, s *Store) (sum Audited) {
	t.Helper()
	must(t, s.Audit(t.Context(), 0, 1<<62, func(a Audited) error {
		sum.Samples += a.Samples
		sum.Windows = append(sum.Windows, a.Windows...)
		sum.Wrong = append(sum.Wrong, a.Wrong...)
		sum.Damaged = append(sum.Damaged, a.Damaged...)
		return nil
	}))
	return sum
}

// TestAuditSeesWhatIsLost takes a sound block out of a day file behind the store's back: every checksum is right, and
// only the record of the window tells.
func TestAuditSeesWhatIsLost(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		defs, dir := kinds(), t.TempDir()
		s := openT(t, dir, Options{Tags: defs, Now: afterDay, SealAfter: -1})
		peer := openT(t, t.TempDir(), Options{Tags: defs, Now: afterDay, SealAfter: -1})
		for _, x := range []*Store{s, peer} {
			fillDay(t, x, defs, 20*time.Second, 7)
		}
		n := dayOf(windowOf(midnight.UnixNano()))
		if sealed {
			must(t, s.seal(n))
		}
		whole := auditOf(t, s)
		stored, err := s.Windows(t.Context(), 0, 1<<62)
		must(t, err)
		if len(whole.Wrong)+len(whole.Damaged) > 0 || len(whole.Windows) != len(stored) || whole.Samples == 0 {
			t.Fatalf("sealed %v: a sound archive: %d wrong, %d damaged, %d windows of %d", sealed, len(whole.Wrong), len(whole.Damaged), len(whole.Windows), len(stored))
		}
		must(t, s.Close())

		path := dayFiles(t, dir)[0]
		db, err := bbolt.Open(dir+"/p/"+path, 0o600, nil)
		must(t, err)
		must(t, db.Update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(bucketBlocks)
			k, _ := b.Cursor().First()
			return b.Delete(k)
		}))
		must(t, db.Close())

		s = openT(t, dir, Options{Tags: defs, Now: afterDay, SealAfter: -1})
		got := auditOf(t, s)
		if len(got.Wrong) == 0 || got.Samples >= whole.Samples || len(got.Damaged) > 0 {
			t.Errorf("sealed %v: %d windows wrong, %d samples of %d", sealed, len(got.Wrong), got.Samples, whole.Samples)
		}
		if blocks, digests, err := s.Repair(t.Context(), 0, 1<<62); err != nil || blocks != 0 || digests != len(got.Wrong) {
			t.Errorf("sealed %v: repair of %d blocks and %d digests, %v", sealed, blocks, digests, err)
		}
		pull(t, s, peer, math.MaxInt)
		if healed := auditOf(t, s); healed.Samples != whole.Samples || len(healed.Wrong) > 0 {
			t.Errorf("sealed %v: after the exchange %d samples of %d, %d windows wrong", sealed, healed.Samples, whole.Samples, len(healed.Wrong))
		}
		must(t, s.seal(n)) // it compares everything once more
		must(t, errors.Join(s.Close(), peer.Close()))
	}
}

func TestEnterIsAllOrNothing(t *testing.T) {
	now := start.Add(48 * time.Hour)
	s := openT(t, t.TempDir(), Options{Tags: floats(2), Now: func() time.Time { return now }, Retention: 72 * time.Hour})
	defer s.Close()
	names := [2]string{floats(2)[0].Name, floats(2)[1].Name}
	at := func(h time.Duration) tag.Sample {
		return tag.Sample{Time: start.Add(h).UnixNano(), Value: tag.Float64(float64(h))}
	}
	for _, bad := range []struct {
		x    tag.Sample
		want error
	}{
		{at(49 * time.Hour), ErrFuture}, {at(-25 * time.Hour), ErrTooOld}, {tag.Sample{Time: -1}, ErrNoTime},
		{tag.Sample{Time: start.UnixNano(), Value: tag.String(string(make([]byte, tag.MaxText+1)))}, ErrTooLong},
	} {
		n, err := s.Enter(t.Context(), []Entered{{names[0], []tag.Sample{at(time.Hour)}}, {names[1], []tag.Sample{at(2 * time.Hour), bad.x}}})
		if n != 0 || !errors.Is(err, bad.want) {
			t.Errorf("%v: %d entered, %v", bad.want, n, err)
		}
	}
	if d, err := s.Digest(t.Context(), nil, 0, 1<<62); err != nil || d.Samples != 0 {
		t.Fatalf("%d samples of refused entries, %v", d.Samples, err)
	}
	what := []Entered{{names[0], []tag.Sample{at(30 * time.Hour), at(time.Hour), at(time.Hour)}}, {names[1], []tag.Sample{at(2 * time.Hour)}}}
	for i, want := range []int{3, 0} {
		if n, err := s.Enter(t.Context(), what); n != want || err != nil {
			t.Errorf("the %d. time %d were new, %v", i+1, n, err)
		}
	}
	many := []Entered{{names[0], make([]tag.Sample, MaxEntered+1)}}
	if _, err := s.Enter(context.Background(), many); !errors.Is(err, ErrTooMuch) {
		t.Errorf("%d at once: %v", MaxEntered+1, err)
	}
}
