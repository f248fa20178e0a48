package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

func TestPackedPieces(t *testing.T) {
	o := Options{Tags: floats(50), Logger: quiet, Now: func() time.Time { return start.Add(2 * time.Minute) }}
	s, err := Open(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 100 {
		s.Append(tick(50, start.Add(time.Duration(i)*1001*time.Millisecond)))
	}
	plain, _, err := s.Export(t.Context(), start, "")
	if err != nil {
		t.Fatal(err)
	}
	packed := Pack(plain)
	if got, err := unpack(packed); err != nil || !bytes.Equal(got, plain) || len(packed) >= len(plain) {
		t.Fatalf("%d bytes packed to %d, then %d, %v", len(plain), len(packed), len(got), err)
	}
	for what, piece := range map[string][]byte{"plain": plain, "packed": packed} {
		peer, err := Open(t.TempDir(), o)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{5000, 0} {
			if n, err := peer.Import(t.Context(), piece, piece); n != want || err != nil {
				t.Errorf("%s: %d samples, want %d, %v", what, n, want, err)
			}
		}
		if err := peer.Close(); err != nil {
			t.Error(err)
		}
	}
	long := append([]byte(packedMagic), binary.AppendUvarint(nil, maxImport+1)...)
	for what, bad := range map[string][]byte{"cut": packed[:len(packed)-1], "empty": []byte(packedMagic), "too long": long} {
		if _, err := s.Import(t.Context(), bad); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := unpack(long); !errors.Is(err, errSize) {
		t.Errorf("a piece that says it is one byte too long: %v", err)
	}
	if _, err := s.Import(t.Context(), make([][]byte, MaxPieces+1)...); !errors.Is(err, ErrTooMuch) {
		t.Errorf("one piece too many: %v", err)
	}
}
