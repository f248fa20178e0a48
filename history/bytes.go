package history

import (
	"encoding/binary"
	"hash/crc32"
	"math"

	"scada/acquisition/tag"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// newReader returns a reader of journal entries or of an export.
func newReader(b []byte) *tag.Reader {
	r := tag.NewReader(b, ErrFormat)
	return &r
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func appendFloat(dst []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
}
