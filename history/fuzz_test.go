package history

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"
	"time"

	"scada/acquisition/tag"
	"scada/history/block"
)

// FuzzJournal feeds the entry decoder bytes that passed their checksum by chance.
func FuzzJournal(f *testing.F) {
	r := &series{id: 3}
	r.define(tag.Definition{Name: "t", Type: tag.TypeFloat64, Scale: tag.Linear{RawHigh: 100, High: 1}})
	p := binary.AppendUvarint(nil, 7)
	var st stream
	for i, v := range []tag.Value{tag.Float64(0.25), tag.Float64(0.333), tag.String("x"), {}, tag.Int(tag.TypeInt8, -1)} {
		p = r.appendSample(p, 1, &st, tag.Sample{Time: int64(i), Value: v, Quality: tag.Quality(i)})
	}
	p = appendGap(append(p, entryBatch), Gap{From: 1, To: 2, Reason: "r"})
	f.Add(p)
	f.Fuzz(func(t *testing.T, b []byte) {
		d := decoder{tags: map[uint32]*coder{}}
		_ = d.entries(b, func(_ uint64, _ uint32, x tag.Sample) {
			if len(x.Value.Text()) > tag.MaxText {
				t.Fatal("a text over the limit")
			}
		}, func(Gap) {})
	})
}

// FuzzImport feeds the parser of the peer's bytes.
func FuzzImport(f *testing.F) {
	s, err := Open(f.TempDir(), Options{Tags: floats(3), Logger: quiet, Now: func() time.Time { return start }})
	if err != nil {
		f.Fatal(err)
	}
	s.Append(tick(3, start))
	b, _, err := s.Export(f.Context(), start, "")
	if err != nil {
		f.Fatal(err)
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(b[4 : len(b)-4])
	f.Add(Pack(b))
	f.Fuzz(func(t *testing.T, b []byte) {
		if plain, err := unpack(b); err != nil && len(plain) > 0 || len(plain) > maxImport && len(b) < maxImport {
			t.Fatalf("%d bytes of %d, %v", len(plain), len(b), err)
		}
		b = append([]byte(exportMagic), b...)
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
		w, tags, err := parseExport(b)
		if err != nil {
			return
		}
		for _, x := range tags {
			samples, err := block.Decode(nil, x.block)
			if err != nil || len(samples) == 0 || windowOf(samples[0].Time) != w || len(x.name) > MaxName {
				t.Fatalf("%+v in window %d", x, w)
			}
		}
	})
}

func TestJournalGivesBackEverySample(t *testing.T) {
	var tags []*series
	for i, typ := range []tag.Type{tag.TypeFloat64, tag.TypeFloat32, tag.TypeBool, tag.TypeInt64, tag.TypeUint64, tag.TypeString, tag.TypeFloat64} {
		r := &series{id: uint32(i * i)}
		r.define(tag.Definition{Type: typ})
		if i == 6 {
			r.define(tag.Definition{Type: typ, Scale: tag.Linear{RawLow: 4000, RawHigh: 20000, Low: -1, High: 1}})
		}
		tags = append(tags, r)
	}
	values := []tag.Value{
		{}, tag.Float64(0), tag.Float64(-0.1), tag.Float64(1e300), tag.Float32(3.14), tag.Bool(true), tag.Int(tag.TypeInt64, -1<<63),
		tag.Uint(tag.TypeUint64, 1<<64-1), tag.String(""), tag.String("水"), tag.Float64(tag.Linear{RawLow: 4000, RawHigh: 20000, Low: -1, High: 1}.Scale(12345)),
	}
	type entry struct {
		id uint32
		x  tag.Sample
	}
	var want, got []entry
	var st stream
	p := binary.AppendUvarint(nil, 1)
	for i := range 5000 {
		r := tags[i*7919%len(tags)]
		x := tag.Sample{Time: int64(i/3) * 1e9, Value: values[i*31%len(values)], Quality: []tag.Quality{0, 0, 0x80000000, 0xFFFFFFFF}[i/5%4]}
		p = r.appendSample(p, 1, &st, x)
		want = append(want, entry{r.id, x})
	}
	d := decoder{tags: map[uint32]*coder{}}
	if err := d.entries(p, func(_ uint64, id uint32, x tag.Sample) { got = append(got, entry{id, x}) }, nil); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%d entries, want %d, or they differ", len(got), len(want))
	}
}
