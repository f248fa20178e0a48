package history

import (
	"encoding/binary"
	"math"

	"go.etcd.io/bbolt"
)

// A sealed block holds the samples of one tag and layer in one or several whole windows of a day.

// sealedKey is u32 tag | u32 first window | u8 windows - 1 | u8 layer.
func sealedKey(id uint32, first, count int64, l Layer) []byte {
	k := make([]byte, 0, sealedKeySize)
	k = binary.BigEndian.AppendUint32(k, id)
	k = binary.BigEndian.AppendUint32(k, uint32(first))
	return append(k, byte(count-1), byte(l))
}

const sealedKeySize = 10

// sealedCursor goes through the sealed blocks of one tag.
type sealedCursor struct {
	c  *bbolt.Cursor // nil without a sealed file
	id uint32

	found        bool // the rest is set
	first, count int64
	layer        Layer
	block        []byte
}

// seek goes to the first block that covers window w, or else is after it.
func (s *sealedCursor) seek(w int64) {
	s.found = false
	if s.c == nil {
		return
	}
	k, v := s.c.Seek(sealedKey(s.id, w, 1, 0))
	// The block that covers w may begin before it; those of its other layers are beside it.
	if k == nil || binary.BigEndian.Uint32(k) != s.id || int64(binary.BigEndian.Uint32(k[4:])) > w {
		if k == nil {
			k, v = s.c.Last()
		} else {
			k, v = s.c.Prev()
		}
		if s.take(k, v); s.found && s.first+s.count > w {
			k, v = s.c.Seek(sealedKey(s.id, s.first, 1, 0))
		} else if k == nil {
			k, v = s.c.First()
		} else {
			k, v = s.c.Next()
		}
	}
	s.take(k, v)
}

// next goes to the block after.
func (s *sealedCursor) next() { s.take(s.c.Next()) }

func (s *sealedCursor) take(k, v []byte) {
	s.found = len(k) == sealedKeySize && binary.BigEndian.Uint32(k) == s.id && Layer(k[9]) < layerEnd
	if s.found {
		s.first, s.count, s.layer, s.block = int64(binary.BigEndian.Uint32(k[4:])), int64(k[8])+1, Layer(k[9]), v
	}
}

// eachTag calls back for the number of every tag that has sealed blocks.
func eachTag(sealed *bbolt.Bucket, call func(id uint32)) {
	c := sealed.Cursor()
	for k, _ := c.First(); len(k) == sealedKeySize; {
		id := binary.BigEndian.Uint32(k)
		call(id)
		if id == math.MaxUint32 {
			return
		}
		k, _ = c.Seek(binary.BigEndian.AppendUint32(nil, id+1))
	}
}
