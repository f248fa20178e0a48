package block

import (
	"fmt"
	"math/bits"
)

// appendXOR appends numbers as differences of their bits from the one before, after Gorilla (Pelkonen et al., 2015):
// 0 for an equal number; 10 and the meaningful bits when they fit the last window; 11, 5 bits of leading zeros, 6 bits
// of length (0 means 64) and the bits for a new window.
func appendXOR(dst []byte, v []uint64) []byte {
	p := packer{}
	var prev uint64
	lead, trail := uint(65), uint(0)
	for _, x := range v {
		d := x ^ prev
		prev = x
		if d == 0 {
			dst = p.put(dst, 0, 1)
			continue
		}
		l, t := min(uint(bits.LeadingZeros64(d)), 31), uint(bits.TrailingZeros64(d))
		if lead <= 64 && l >= lead && t >= trail {
			dst = p.put(dst, 1, 2) // bits 1,0 in order of writing
			dst = p.put(dst, d>>trail, 64-lead-trail)
			continue
		}
		lead, trail = l, t
		size := 64 - lead - trail
		dst = p.put(dst, 3, 2)
		dst = p.put(dst, uint64(lead), 5)
		dst = p.put(dst, uint64(size&63), 6)
		dst = p.put(dst, d>>trail, size)
	}
	return p.end(dst)
}

type unpacker struct {
	b   []byte
	pos uint
}

func (u *unpacker) get(width uint) (uint64, bool) {
	if u.pos+width > uint(len(u.b))*8 {
		return 0, false
	}
	v := load(u.b, u.pos, width)
	u.pos += width
	return v & (^uint64(0) >> (64 - width)), true
}

// readXOR decodes len(out) numbers.
func readXOR(out []uint64, b []byte) error {
	u := unpacker{b: b}
	var prev uint64
	var lead, trail uint
	for i := range out {
		d, ok := u.difference(&lead, &trail)
		if !ok {
			return fmt.Errorf("%w: numbers end early", ErrFormat)
		}
		prev ^= d
		out[i] = prev
	}
	return nil
}

func (u *unpacker) difference(lead, trail *uint) (uint64, bool) {
	changed, ok := u.get(1)
	if !ok || changed == 0 {
		return 0, ok
	}
	fresh, ok := u.get(1)
	if !ok {
		return 0, false
	}
	if fresh == 1 {
		head, ok := u.get(11)
		if !ok {
			return 0, false
		}
		size := uint(head >> 5)
		if size == 0 {
			size = 64
		}
		if *lead = uint(head & 31); *lead+size > 64 {
			return 0, false
		}
		*trail = 64 - *lead - size
	}
	d, ok := u.get(64 - *lead - *trail)
	return d << *trail, ok
}
