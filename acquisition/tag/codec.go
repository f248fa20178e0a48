package tag

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxText is the longest text a value may have, in bytes, wherever it comes from: device, link, file or client.
const MaxText = 64 << 10

// ErrCodec is the reason [ReadUpdate] gives for bytes that are not an update.
var ErrCodec = errors.New("malformed sample")

// AppendUpdate appends the binary form of u to dst: uvarint tag, 8 bytes time, 4 bytes quality, 1 byte type, then
// 8 bytes of bits, or for text a uvarint length and the bytes. Little-endian. It is the form of the link and of the
// write-ahead journal; equal updates give equal bytes.
func AppendUpdate(dst []byte, u Update) []byte {
	dst = binary.AppendUvarint(dst, uint64(u.Tag))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(u.Time))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(u.Quality))
	dst = append(dst, byte(u.Value.typ))
	switch u.Value.typ {
	case TypeNone:
		return dst
	case TypeString:
		dst = binary.AppendUvarint(dst, uint64(len(u.Value.text)))
		return append(dst, u.Value.text...)
	}
	return binary.LittleEndian.AppendUint64(dst, u.Value.bits)
}

// ReadUpdate decodes one update from the front of b and returns the rest. It never panics and allocates only the text.
func ReadUpdate(b []byte) (Update, []byte, error) {
	id, n := binary.Uvarint(b)
	if n <= 0 || id > 0xFFFFFFFF {
		return Update{}, b, fmt.Errorf("%w: tag id", ErrCodec)
	}
	b = b[n:]
	if len(b) < 13 {
		return Update{}, b, fmt.Errorf("%w: %d bytes left, a sample has 13 or more", ErrCodec, len(b))
	}
	u := Update{Tag: ID(id), Sample: Sample{
		Time:    int64(binary.LittleEndian.Uint64(b)),
		Quality: Quality(binary.LittleEndian.Uint32(b[8:])),
	}}
	typ := Type(b[12])
	b = b[13:]
	switch {
	case typ == TypeNone:
		return u, b, nil
	case typ >= typeEnd:
		return Update{}, b, fmt.Errorf("%w: unknown type %d", ErrCodec, typ)
	case typ == TypeString:
		size, n := binary.Uvarint(b)
		if n <= 0 || size > MaxText || size > uint64(len(b)-n) {
			return Update{}, b, fmt.Errorf("%w: text length", ErrCodec)
		}
		u.Value = String(string(b[n : n+int(size)]))
		return u, b[n+int(size):], nil
	case len(b) < 8:
		return Update{}, b, fmt.Errorf("%w: value cut short", ErrCodec)
	}
	u.Value = Value{bits: binary.LittleEndian.Uint64(b), typ: typ}
	return u, b[8:], nil
}
