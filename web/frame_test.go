package web

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"
	"time"

	"scada/acquisition/live"
	"scada/acquisition/tag"
)

// decoded is a data frame as a client reads it, written from PROTOCOL.md and not from the encoder.
type decoded struct {
	kind    byte
	more    bool
	sub     uint16
	seq     uint64
	micros  int64
	epoch   uint64
	number  uint32
	values  []float64
	ages    []int32
	handles []uint32
	quals   []byte
}

func decodeFrame(b []byte) (decoded, error) {
	if len(b) < 40 {
		return decoded{}, fmt.Errorf("%d bytes are no frame", len(b))
	}
	le := binary.LittleEndian
	n := int(le.Uint32(b[4:]))
	f := decoded{kind: b[0], more: b[1]&1 != 0, sub: le.Uint16(b[2:]), seq: le.Uint64(b[8:]), micros: int64(le.Uint64(b[16:])),
		epoch: le.Uint64(b[24:]), number: le.Uint32(b[32:])}
	round := func(x int) int { return (x + 7) / 8 * 8 }
	ages := 40 + 8*n
	handles := round(ages + 4*n)
	quals := round(handles + 4*n)
	if len(b) != quals+n {
		return f, fmt.Errorf("frame of %d values has %d bytes, want %d", n, len(b), quals+n)
	}
	for i := range n {
		f.values = append(f.values, math.Float64frombits(le.Uint64(b[40+8*i:])))
		f.ages = append(f.ages, int32(le.Uint32(b[ages+4*i:])))
		f.handles = append(f.handles, le.Uint32(b[handles+4*i:]))
		f.quals = append(f.quals, b[quals+i])
	}
	return f, nil
}

func TestFrameReadsBack(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 123456000, time.UTC)
	sample := func(ago time.Duration, v tag.Value, q tag.Quality) tag.Sample {
		return tag.Sample{Time: at.Add(-ago).UnixNano(), Value: v, Quality: q}
	}
	for n := range 10 {
		f := frame{kind: kindDelta, more: n%2 == 1, sub: 65535, seq: 1 << 40, epoch: 9, number: 77, at: at}
		for i := range n {
			s := []tag.Sample{
				sample(1500*time.Millisecond, tag.Float64(-0.5), tag.Good),
				sample(-time.Hour, tag.Int(tag.TypeInt32, -7), tag.BadCommunicationError),
				sample(3000*time.Hour, tag.Bool(true), tag.UncertainLastUsableValue),
				{Quality: tag.BadWaitingForInitialData},
				sample(0, tag.String("水"), tag.Quality(0x80FF0000)),
			}[i%5]
			f.changes = append(f.changes, live.Change{Update: tag.Update{Tag: tag.ID(1000 + i), Sample: s}})
		}
		got, err := decodeFrame(appendFrame([]byte{1, 2, 3}[:0], f))
		if err != nil {
			t.Fatal(err)
		}
		if got.kind != 2 || got.more != f.more || got.sub != 65535 || got.seq != 1<<40 || got.epoch != 9 || got.number != 77 || got.micros != at.UnixMicro() {
			t.Errorf("header %+v", got)
		}
		wantAges := []int32{1500, -3600000, math.MaxInt32 - 1, math.MaxInt32, 0}
		wantValues := []float64{-0.5, -7, 1, math.NaN(), math.NaN()}
		names := qualityTable()
		for i := range n {
			v, q := f.changes[i].Value, f.changes[i].Quality
			if w := wantValues[i%5]; got.values[i] != w && !(math.IsNaN(w) && math.IsNaN(got.values[i])) {
				t.Errorf("value %v came as %v", v, got.values[i])
			}
			if got.ages[i] != wantAges[i%5] || got.handles[i] != uint32(1000+i) {
				t.Errorf("%d: age %d handle %d", i, got.ages[i], got.handles[i])
			}
			want := q.String()
			if i%5 == 4 {
				want = "Bad" // has no byte of its own
			}
			if names[got.quals[i]] != want || got.quals[i]>>6 != byte(q>>30) {
				t.Errorf("quality %s came as %d %s", q, got.quals[i], names[got.quals[i]])
			}
		}
	}
}

func TestAValueCosts17Bytes(t *testing.T) {
	f := frame{changes: make([]live.Change, 10_000)}
	if n := len(appendFrame(nil, f)); n != frameHeader+17*10_000 {
		t.Errorf("10,000 values take %d bytes", n)
	}
}

func TestOnlyInexactNumbersComeAsText(t *testing.T) {
	for v, want := range map[tag.Value]bool{
		tag.Int(tag.TypeInt64, 1<<53): false, tag.Int(tag.TypeInt64, 1<<53+1): true, tag.Int(tag.TypeInt64, math.MinInt64): true,
		tag.Uint(tag.TypeUint64, math.MaxUint64): true, tag.Uint(tag.TypeUint32, math.MaxUint32): false,
		tag.Float64(1e300): false, tag.String(""): true, {}: false,
	} {
		if needsText(v) != want {
			t.Errorf("%s %v needs text: %v", v.Type(), v, !want)
		}
	}
}

func BenchmarkAppendFrame10000(b *testing.B) {
	f := frame{changes: make([]live.Change, 10_000)}
	for i := range f.changes {
		f.changes[i].Value = tag.Float64(float64(i))
	}
	var buf []byte
	for b.Loop() {
		buf = appendFrame(buf[:0], f)
	}
}
