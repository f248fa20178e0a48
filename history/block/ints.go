package block

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// group is how many integers share a base and a width.
const group = 128

const deltaMode = 0x80

// appendInts appends integers in groups of 128: a head byte (delta flag and width), bases, and the differences from the
// base in width bits each. All arithmetic wraps, so every int64 survives.
func appendInts(dst []byte, v []int64) []byte {
	for len(v) > 0 {
		n := min(group, len(v))
		dst = appendGroup(dst, v[:n])
		v = v[n:]
	}
	return dst
}

func appendGroup(dst []byte, v []int64) []byte {
	lo, hi := v[0], v[0]
	var dlo, dhi int64
	for i, x := range v {
		lo, hi = min(lo, x), max(hi, x)
		if i == 1 {
			dlo = x - v[0]
			dhi = dlo
		} else if i > 1 {
			d := x - v[i-1]
			dlo, dhi = min(dlo, d), max(dhi, d)
		}
	}
	width := bits.Len64(uint64(hi) - uint64(lo))
	dwidth := bits.Len64(uint64(dhi) - uint64(dlo))
	plain := len(v)*width + 8*varintLen(lo)
	delta := (len(v)-1)*dwidth + 8*(varintLen(v[0])+varintLen(dlo))
	p := packer{}
	if delta < plain {
		dst = append(dst, deltaMode|byte(dwidth))
		dst = binary.AppendVarint(dst, v[0])
		dst = binary.AppendVarint(dst, dlo)
		for i := 1; i < len(v); i++ {
			dst = p.put(dst, uint64(v[i]-v[i-1])-uint64(dlo), uint(dwidth))
		}
		return p.end(dst)
	}
	dst = append(dst, byte(width))
	dst = binary.AppendVarint(dst, lo)
	for _, x := range v {
		dst = p.put(dst, uint64(x)-uint64(lo), uint(width))
	}
	return p.end(dst)
}

func varintLen(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	return (bits.Len64(u|1) + 6) / 7
}

// packer writes numbers of a few bits each, least significant bit first.
type packer struct {
	acc uint64
	n   uint
}

func (p *packer) put(dst []byte, v uint64, width uint) []byte {
	if width == 0 {
		return dst
	}
	p.acc |= v << p.n
	if p.n+width < 64 {
		p.n += width
		return dst
	}
	dst = binary.LittleEndian.AppendUint64(dst, p.acc)
	p.acc = v >> (64 - p.n) // a shift by 64 gives 0
	p.n = p.n + width - 64
	return dst
}

func (p *packer) end(dst []byte) []byte {
	for p.n > 0 {
		dst = append(dst, byte(p.acc))
		p.acc >>= 8
		p.n -= min(8, p.n)
	}
	p.acc = 0
	return dst
}

// readInts decodes len(out) integers and returns the bytes behind them.
func readInts(out []int64, b []byte) ([]byte, error) {
	if len(out) > 0 && len(b) > 0 && b[0] == codedColumn {
		return readCoded(out, b[1:])
	}
	for len(out) > 0 {
		n := min(group, len(out))
		var err error
		if b, err = readGroup(out[:n], b); err != nil {
			return nil, err
		}
		out = out[n:]
	}
	return b, nil
}

func readGroup(out []int64, b []byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: integers end early", ErrFormat)
	}
	delta, width := b[0]&deltaMode != 0, uint(b[0]&^deltaMode)
	b = b[1:]
	base, n := binary.Varint(b)
	if n <= 0 || width > 64 {
		return nil, fmt.Errorf("%w: head of a group of integers", ErrFormat)
	}
	b = b[n:]
	if !delta {
		return unpack(out, b, base, width)
	}
	first := base
	if base, n = binary.Varint(b); n <= 0 {
		return nil, fmt.Errorf("%w: base of a group of differences", ErrFormat)
	}
	out[0] = first
	b, err := unpack(out[1:], b[n:], base, width)
	if err != nil {
		return nil, err
	}
	for i := 1; i < len(out); i++ {
		out[i] += out[i-1]
	}
	return b, nil
}

func unpack(out []int64, b []byte, base int64, width uint) ([]byte, error) {
	size := (uint(len(out))*width + 7) / 8
	if size > uint(len(b)) {
		return nil, fmt.Errorf("%w: packed integers end early", ErrFormat)
	}
	if width == 0 {
		for i := range out {
			out[i] = base
		}
		return b, nil
	}
	mask := ^uint64(0) >> (64 - width)
	pos, i := uint(0), 0
	if width <= 57 { // with up to 7 bits of shift, one load of 8 bytes holds it all
		for p := b[:size]; i < len(out) && pos>>3+8 <= size; i++ {
			out[i] = base + int64(binary.LittleEndian.Uint64(p[pos>>3:])>>(pos&7)&mask)
			pos += width
		}
	}
	for ; i < len(out); i++ {
		out[i] = base + int64(load(b[:size], pos, width)&mask)
		pos += width
	}
	return b[size:], nil
}

// load returns at least width bits from bit pos on; the bits above are whatever follows.
func load(b []byte, pos, width uint) uint64 {
	i, shift := pos>>3, pos&7
	if i+8 <= uint(len(b)) {
		v := binary.LittleEndian.Uint64(b[i:]) >> shift
		if shift+width > 64 {
			v |= uint64(b[i+8]) << (64 - shift)
		}
		return v
	}
	var v uint64
	for k := uint(0); i+k < uint(len(b)); k++ {
		v |= uint64(b[i+k]) << (8 * k)
	}
	return v >> shift
}
