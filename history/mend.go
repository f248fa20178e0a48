package history

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// A bit that flips in the middle of a segment would cost all records behind it: each names only what differs from those
// before. The checksum says more than that something is wrong: to every single bit belongs another difference, so the bit
// is found and put right. This is done only where a sound record follows; the end of a journal may be torn in any way.

// wholeRecord returns the payload of the record at the front, if it is sound, and what follows.
func wholeRecord(b []byte) (payload, rest []byte, ok bool) {
	if len(b) < recordHeader {
		return nil, b, false
	}
	n := binary.LittleEndian.Uint32(b)
	if n == 0 || n > maxRecord || int(n) > len(b)-recordHeader {
		return nil, b, false
	}
	payload = b[recordHeader : recordHeader+n]
	return payload, b[recordHeader+n:], crc32.Checksum(payload, castagnoli) == binary.LittleEndian.Uint32(b[4:])
}

// mendRecord puts one flipped bit of the record at the front right, in place; false means it can't.
func mendRecord(b []byte) bool {
	if len(b) < recordHeader {
		return false
	}
	payload, rest, _ := wholeRecord(b)
	if payload != nil {
		if _, _, ok := wholeRecord(rest); ok && mendPayload(b[4:8], payload) {
			return true
		}
	}
	size := binary.LittleEndian.Uint32(b)
	for i := range 32 { // the bit is in the length
		binary.LittleEndian.PutUint32(b, size^1<<i)
		if _, _, ok := wholeRecord(b); ok {
			return true
		}
	}
	binary.LittleEndian.PutUint32(b, size)
	return false
}

// mendPayload finds the bit that makes the payload fit its checksum.
func mendPayload(sum, payload []byte) bool {
	got := crc32.Checksum(payload, castagnoli)
	wrong := got ^ binary.LittleEndian.Uint32(sum)
	if bits.OnesCount32(wrong) == 1 { // the checksum itself
		binary.LittleEndian.PutUint32(sum, got)
		return true
	}
	// What a flipped bit changes in the checksum depends on its distance from the end alone.
	var changes [8]uint32
	for i := range changes {
		changes[i] = castagnoli[1<<i]
	}
	for at := len(payload) - 1; at >= 0; at-- {
		for i, c := range changes {
			if c == wrong {
				payload[at] ^= 1 << i
				return true
			}
			changes[i] = castagnoli[byte(c)] ^ c>>8
		}
	}
	return false
}

// segmentHead is the header of a segment.
func segmentHead(segment uint64) []byte {
	head := make([]byte, 0, walHeader)
	head = append(head, walMagic...)
	head = binary.LittleEndian.AppendUint64(head, segment)
	return binary.LittleEndian.AppendUint32(head, crc32.Checksum(head, castagnoli))
}

// soundHead reports whether a segment begins as it must. Its number is known from its name, so a flipped bit is forgiven.
func soundHead(b []byte, segment uint64) bool {
	if len(b) < walHeader {
		return false
	}
	wrong := 0
	for i, x := range segmentHead(segment) {
		wrong += bits.OnesCount8(b[i] ^ x)
	}
	return wrong <= 1
}
