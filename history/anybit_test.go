package history

import (
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"scada/acquisition/tag"
)

// spoil flips one bit, anywhere, in every block of a day file and in every column of times blocks share; it returns how many
// blocks there are.
func spoil(t *testing.T, path string, r *rand.Rand) (blocks int) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketBlocks, bucketTimes} {
			b := tx.Bucket(name)
			if b == nil {
				continue
			}
			all := map[string][]byte{}
			must(t, b.ForEach(func(k, v []byte) error {
				v = slices.Clone(v)
				v[r.IntN(len(v))] ^= 1 << r.IntN(8)
				all[string(k)] = v
				return nil
			}))
			for k, v := range all {
				must(t, b.Put([]byte(k), v))
			}
			if string(name) == string(bucketBlocks) {
				blocks = len(all)
			}
		}
		return nil
	}))
	must(t, db.Close())
	return blocks
}

// TestAFlippedBitInEveryBlockIsFoundAndHealed: whatever block it is and wherever in it the bit, before the day is sealed and
// after: every block is reported, none is read, and everything comes back from the peer.
func TestAFlippedBitInEveryBlockIsFoundAndHealed(t *testing.T) {
	for _, sealed := range []bool{false, true} {
		for seed := range uint64(2) {
			r := rand.New(rand.NewPCG(seed, 11))
			dir, defs, o := t.TempDir(), kinds(), Options{Tags: kinds(), Now: afterDay, SealAfter: -1}
			s, peer := openT(t, dir, o), openT(t, t.TempDir(), o)
			for _, x := range []*Store{s, peer} {
				fillDay(t, x, defs, 5*time.Minute, seed)
				if sealed {
					must(t, x.seal(dayOf(windowOf(midnight.UnixNano()))))
				}
			}
			want := auditOf(t, peer)
			must(t, s.Close())
			blocks := spoil(t, filepath.Join(dir, "p", dayFiles(t, dir)[0]), r)
			s = openT(t, dir, o)
			sum := auditOf(t, s)
			if len(sum.Damaged) != blocks || blocks == 0 || sum.Samples != 0 {
				t.Errorf("sealed %v: %d of %d blocks found, %d samples were read of them", sealed, len(sum.Damaged), blocks, sum.Samples)
			}
			if n, _ := s.Damaged(); n != blocks {
				t.Errorf("sealed %v: the health tells of %d damaged blocks of %d", sealed, n, blocks)
			}
			if n, _, err := s.Repair(t.Context(), 0, 1<<62); err != nil || n != blocks {
				t.Errorf("sealed %v: %d blocks of %d set aside, %v", sealed, n, blocks, err)
			}
			pull(t, s, peer, math.MaxInt)
			if got := auditOf(t, s); got.Samples != want.Samples || len(got.Damaged)+len(got.Wrong) > 0 || !slices.Equal(got.Windows, want.Windows) {
				t.Errorf("sealed %v: healed to %d samples of %d, %d damaged, %d wrong", sealed, got.Samples, want.Samples, len(got.Damaged), len(got.Wrong))
			}
			must(t, errors.Join(s.Close(), peer.Close()))
		}
	}
}

// TestExtremeValues records what no measurement gives: each comes back bit for bit from memory, from the day file, from the sealed
// one and after a restart, beside ordinary values that stay what they are. NaN and infinities are no values.
func TestExtremeValues(t *testing.T) {
	long := string(make([]byte, tag.MaxText))
	values := map[tag.Type][]tag.Value{
		tag.TypeFloat64: {tag.Float64(math.MaxFloat64), tag.Float64(math.MaxFloat64), tag.Float64(-math.MaxFloat64), tag.Float64(math.SmallestNonzeroFloat64), tag.Float64(math.Copysign(0, -1)),
			tag.Float64(3.4028234663852886e38), tag.Float64(-9999), tag.Float64(1e38), tag.Float64(math.NaN()), tag.Float64(math.Inf(1)), tag.Float64(math.Inf(-1))},
		tag.TypeFloat32: {tag.Float32(math.MaxFloat32), tag.Float32(-math.MaxFloat32), tag.Float32(math.SmallestNonzeroFloat32), tag.Float32(float32(math.NaN())), tag.Float32(float32(math.Inf(1)))},
		tag.TypeInt64:   {tag.Int(tag.TypeInt64, math.MinInt64), tag.Int(tag.TypeInt64, math.MaxInt64), tag.Int(tag.TypeInt64, 1<<53+1)},
		tag.TypeUint64:  {tag.Uint(tag.TypeUint64, math.MaxUint64)},
		tag.TypeString:  {tag.String(""), tag.String("a,\"b\"\r\n'=1+1"), tag.String("\x00\xff\xfe"), tag.String("水泵\u202e"), tag.String(long), tag.String(long + "x")},
	}
	now := start.Add(24 * time.Hour)
	var defs []tag.Definition
	for _, typ := range []tag.Type{tag.TypeFloat64, tag.TypeFloat32, tag.TypeInt64, tag.TypeUint64, tag.TypeString} {
		defs = append(defs, tag.Definition{ID: tag.ID(len(defs)), Name: typ.String(), Type: typ})
	}
	dir, o := t.TempDir(), Options{Tags: defs, Now: func() time.Time { return now }, SealAfter: -1}
	s := openT(t, dir, o)
	want, refused, notFinite := map[string][]tag.Sample{}, uint64(0), uint64(0)
	for _, d := range defs {
		for i, v := range values[d.Type] {
			for k, x := range []tag.Value{tag.Float64(20), v} { // an ordinary value before each
				if d.Type == tag.TypeString && k == 0 {
					x = tag.String("on")
				}
				at := start.Add(time.Duration(2*i+k) * time.Second).UnixNano()
				s.Append([]tag.Update{{Tag: d.ID, Sample: tag.Sample{Time: at, Value: x}}})
				switch n := x.Number(); {
				case len(x.Text()) > tag.MaxText:
					refused++
				case x.Type().IsFloat() && (math.IsNaN(n) || math.IsInf(n, 0)):
					notFinite++
					want[d.Name] = append(want[d.Name], tag.Sample{Time: at, Quality: tag.BadOutOfRange})
				default:
					want[d.Name] = append(want[d.Name], tag.Sample{Time: at, Value: x})
				}
			}
		}
	}
	if st := s.Stats(); st.Refused != refused || st.NotFinite != notFinite || refused != 1 {
		t.Errorf("%d refused of %d, %d not finite of %d", st.Refused, refused, st.NotFinite, notFinite)
	}
	check := func(where string) {
		t.Helper()
		for _, d := range defs {
			if got := raw(t, s, d.Name).Samples; !slices.Equal(got, want[d.Name]) {
				t.Errorf("%s: %s: %.300v, want %.300v", where, d.Name, got, want[d.Name])
			}
		}
		// Two of the largest numbers have no sum: that is told, and not an infinity given out.
		p, err := s.Aggregate(t.Context(), "float64", start.UnixNano(), start.Add(4*time.Second).UnixNano(), 4*time.Second, Average)
		if err != nil || !p[0].Value.IsNone() || !p[0].Quality.IsBad() {
			t.Errorf("%s: average %+v, %v", where, p, err)
		}
	}
	check("in memory")
	must(t, s.Flush(t.Context()))
	check("in the day file")
	must(t, s.seal(dayOf(windowOf(start.UnixNano()))))
	check("sealed")
	must(t, s.Close())
	s = openT(t, dir, o)
	check("after a restart")
}
