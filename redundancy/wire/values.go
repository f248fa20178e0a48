package wire

import (
	"encoding/binary"
	"fmt"

	"scada/acquisition/tag"
)

// MaxUpdates is how many samples one payload may have.
const MaxUpdates = 64 << 10

func formatError(why string) error { return fmt.Errorf("%w: %s", ErrFormat, why) }

// AppendUpdates appends a payload of samples: their number (4 bytes, little-endian) and each by [tag.AppendUpdate].
func AppendUpdates(b []byte, list []tag.Update) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(list)))
	for _, u := range list {
		b = tag.AppendUpdate(b, u)
	}
	return b
}

// ReadUpdates decodes a payload of samples, appending to list, and returns what follows it.
func ReadUpdates(list []tag.Update, b []byte) ([]tag.Update, []byte, error) {
	if len(b) < 4 {
		return list, b, formatError("a payload of samples cut short")
	}
	n := binary.LittleEndian.Uint32(b)
	if n > MaxUpdates {
		return list, b, formatError("too many samples")
	}
	b = b[4:]
	for range n {
		u, rest, err := tag.ReadUpdate(b)
		if err != nil {
			return list, b, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		list, b = append(list, u), rest
	}
	return list, b, nil
}
