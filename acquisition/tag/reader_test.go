package tag_test

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"scada/acquisition/tag"
)

var errBytes = errors.New("bytes")

func TestReaderTakesWhatWasAppended(t *testing.T) {
	b := []byte{7}
	b = binary.LittleEndian.AppendUint16(b, 0xBEEF)
	b = binary.LittleEndian.AppendUint64(b, math.Float64bits(-1.5))
	b = binary.AppendUvarint(b, 1<<40)
	b = binary.AppendVarint(b, -3)
	b = binary.AppendUvarint(b, math.MaxUint32)
	b = append(binary.AppendUvarint(b, 3), "水"...)
	r := tag.NewReader(b, errBytes)
	if r.Byte() != 7 || r.Uint16() != 0xBEEF || r.Float64() != -1.5 || r.Uvarint() != 1<<40 || r.Varint() != -3 || r.Uvarint32() != math.MaxUint32 || r.Text(3) != "水" {
		t.Error("a value came back as another")
	}
	if r.Err() != nil || len(r.Left()) != 0 {
		t.Errorf("%v, %d bytes left", r.Err(), len(r.Left()))
	}
}

func TestReaderKeepsItsLimits(t *testing.T) {
	text := append(binary.AppendUvarint(nil, 4), "four"...)
	for name, read := range map[string]func(*tag.Reader){
		"one byte too many":      func(r *tag.Reader) { r.Take(6) },
		"a negative number":      func(r *tag.Reader) { r.Take(-1) },
		"text just over":         func(r *tag.Reader) { r.Text(3) },
		"length just over":       func(r *tag.Reader) { r.Length(3) },
		"a negative limit":       func(r *tag.Reader) { r.Length(-1) },
		"eight bytes of five":    func(r *tag.Reader) { r.Uint64() },
		"its user's own":         func(r *tag.Reader) { r.Fail("no") },
		"that of another reader": func(r *tag.Reader) { r.Adopt(errBytes) },
	} {
		r := tag.NewReader(text, errBytes)
		read(&r)
		if !errors.Is(r.Err(), errBytes) || len(r.Left()) != 0 || r.Byte() != 0 || r.Uvarint() != 0 || r.Text(9) != "" || r.Take(1) != nil {
			t.Errorf("%s: %v, %d bytes left", name, r.Err(), len(r.Left()))
		}
		first := r.Err()
		r.Fail("later")
		if r.Adopt(errors.New("later")); !errors.Is(r.Err(), first) {
			t.Errorf("%s: the first error was replaced by %v", name, r.Err())
		}
	}
	r := tag.NewReader(binary.AppendUvarint(nil, math.MaxUint32+1), errBytes)
	if r.Uvarint32() != 0 || r.Err() == nil {
		t.Error("33 bits were taken for 32")
	}
	r = tag.NewReader(text, errBytes)
	if r.Text(4) != "four" || r.Err() != nil {
		t.Errorf("a text as long as it may be: %v", r.Err())
	}
}

// FuzzReader takes values in the order the first half says from the second half.
func FuzzReader(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7}, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	f.Add([]byte{6, 7}, []byte{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, order, b []byte) {
		r := tag.NewReader(b, errBytes)
		for _, o := range order {
			before, failed := len(r.Left()), r.Err() != nil
			limit := int(o >> 3)
			var got int
			switch o & 7 {
			case 0:
				r.Byte()
			case 1:
				r.Uint16()
			case 2:
				r.Uint64()
			case 3:
				r.Uvarint32()
			case 4:
				r.Varint()
			case 5:
				got = len(r.Text(limit))
			case 6:
				if n := r.Length(limit); n > limit {
					t.Fatalf("length %d, the limit is %d", n, limit)
				}
			case 7:
				got = len(r.Take(limit))
			}
			switch {
			case got > limit || got > before:
				t.Fatalf("%d bytes of %d, the limit is %d", got, before, limit)
			case failed && (r.Err() == nil || len(r.Left()) > 0), r.Err() != nil && len(r.Left()) > 0:
				t.Fatalf("goes on after an error")
			case r.Err() == nil && len(r.Left()) >= before && o&7 != 7:
				t.Fatalf("took nothing")
			case r.Err() != nil && !errors.Is(r.Err(), errBytes):
				t.Fatalf("error of another kind: %v", r.Err())
			}
		}
	})
}
