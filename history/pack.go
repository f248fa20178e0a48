package history

import (
	"errors"
	"fmt"

	"github.com/klauspost/compress/s2"
)

// packedMagic is what a packed piece begins with.
const packedMagic = "SCZ1"

// Pack makes a piece that Export returned smaller for the way to the peer: the tags of a device have most of their times in
// common, and each block brings its own. Import takes either form.
func Pack(piece []byte) []byte {
	out := make([]byte, len(packedMagic)+s2.MaxEncodedLen(len(piece)))
	n := copy(out, packedMagic)
	return out[:n+len(s2.EncodeBetter(out[n:], piece))]
}

// errSize says that a packed piece is larger than any piece.
var errSize = errors.New("the size is out of range")

// unpack returns a piece as it was before Pack; one that is not packed stays as it is.
func unpack(b []byte) ([]byte, error) {
	if len(b) < len(packedMagic) || string(b[:len(packedMagic)]) != packedMagic {
		return b, nil
	}
	b = b[len(packedMagic):]
	n, err := s2.DecodedLen(b)
	if err == nil && n > maxImport {
		err = errSize
	}
	var out []byte
	if err == nil {
		out, err = s2.Decode(nil, b)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: unpacking a piece of %d bytes: %w", ErrFormat, len(b), err)
	}
	return out, nil
}
