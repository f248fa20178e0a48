package block

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// maxCode is the longest code of a symbol in bits: the decoder looks up so many at once.
const maxCode = 11

// huffman is a canonical Huffman code of 256 symbols. Equal counts give equal codes.
type huffman struct {
	count  [256]int
	length [256]uint8
	code   [256]uint16 // least significant bit first
}

// build computes lengths and codes from the counts.
func (h *huffman) build() {
	count := h.count
	for h.measure(&count) > maxCode {
		for i, n := range count { // a flatter distribution has shorter longest codes
			if n > 0 {
				count[i] = n/2 + 1
			}
		}
	}
	codes(&h.length, func(s int, code uint16) { h.code[s] = code })
}

// measure computes the lengths of an unlimited code and returns the longest.
func (h *huffman) measure(count *[256]int) (longest uint8) {
	h.length = [256]uint8{}
	var leaves []int
	for s, n := range count {
		if n > 0 {
			leaves = append(leaves, s)
		}
	}
	if len(leaves) == 1 {
		h.length[leaves[0]] = 1
		return 1
	}
	slices.SortStableFunc(leaves, func(a, b int) int { return cmp.Compare(count[a], count[b]) })
	// Nodes in order of weight: leaves are taken from one queue, joined nodes from another.
	n := len(leaves)
	weight, parent := make([]int, 2*n), make([]int, 2*n)
	for i, s := range leaves {
		weight[i] = count[s]
	}
	leaf, inner := 0, n
	for next := n; next < 2*n-1; next++ {
		for range 2 {
			i := inner
			if leaf < n && (inner >= next || weight[leaf] <= weight[inner]) {
				i = leaf
				leaf++
			} else {
				inner++
			}
			weight[next] += weight[i]
			parent[i] = next
		}
	}
	depth := make([]uint8, 2*n)
	for i := 2*n - 3; i >= 0; i-- {
		depth[i] = depth[parent[i]] + 1
		if i < n {
			h.length[leaves[i]] = depth[i]
			longest = max(longest, depth[i])
		}
	}
	return longest
}

// codes calls back with the code of each symbol that has one. Codes count up: shorter ones first, then in order of symbol.
func codes(length *[256]uint8, call func(s int, code uint16)) {
	var count, next [maxCode + 2]uint16
	for _, l := range length {
		count[l]++
	}
	count[0] = 0
	for l := 1; l <= maxCode; l++ {
		next[l+1] = (next[l] + count[l]) << 1
	}
	for s, l := range length {
		if l > 0 {
			call(s, bits.Reverse16(next[l])>>(16-l))
			next[l]++
		}
	}
}

// appendTable appends the lengths: stretches of symbols, each the number of lengths in it, the number of symbols to pass
// over before it, and the lengths in four bits each. A stretch of none is the end.
func (h *huffman) appendTable(dst []byte) []byte {
	const gap = 4 // symbols without a code that cost less in a stretch than between two
	at := 0
	for {
		from := at
		for from < 256 && h.length[from] == 0 {
			from++
		}
		if from == 256 {
			return append(dst, 0)
		}
		to := from + 1 // behind the last length of the stretch
		for s := to; s < min(256, to+gap); s++ {
			if h.length[s] > 0 {
				to = s + 1
			}
		}
		dst = binary.AppendUvarint(dst, uint64(to-from))
		dst = append(dst, byte(from-at))
		p := packer{}
		for s := from; s < to; s++ {
			dst = p.put(dst, uint64(h.length[s]), 4)
		}
		dst = p.end(dst)
		at = to
	}
}

// decodingTable gives, for the next maxCode bits, the symbol and its length; length 0 stands for bits no code begins with.
type decodingTable [1 << maxCode]struct{ symbol, length uint8 }

// read takes the table off the front.
func (d *decodingTable) read(r *reader) {
	var length [256]uint8
	for at := 0; ; {
		n := r.Length(256)
		if n == 0 {
			break
		}
		at += int(r.Byte())
		packed := r.Take((n + 1) / 2)
		if r.Err() != nil || at+n > 256 {
			r.Fail("table of a code")
			return
		}
		for i := range n {
			length[at+i] = packed[i/2] >> (4 * (i & 1)) & 15
		}
		at += n
	}
	room := 1 << maxCode // what is left of the code space
	for _, l := range length {
		if l > maxCode {
			r.Fail("length of a code")
			return
		}
		if l > 0 {
			room -= 1 << (maxCode - l)
		}
	}
	if room < 0 || room == 1<<maxCode {
		r.Fail("table of a code")
		return
	}
	codes(&length, func(s int, code uint16) {
		for i := int(code); i < len(d); i += 1 << length[s] {
			d[i].symbol, d[i].length = uint8(s), length[s]
		}
	})
}

// bitReader takes bits off, least significant first. Past the end it gives zeros.
type bitReader struct {
	b   []byte // what is not in acc yet
	acc uint64 // the next n bits
	n   int    // below zero: so many bits were taken that are not there
}

// fill makes sure of 56 bits, as far as there are any. Bits of acc from n on are those of b, so adding them again changes
// nothing.
func (u bitReader) fill() bitReader {
	if len(u.b) >= 8 && u.n >= 0 {
		u.acc |= binary.LittleEndian.Uint64(u.b) << u.n
		u.b = u.b[(63-u.n)>>3:]
		u.n |= 56
		return u
	}
	for len(u.b) > 0 && u.n >= 0 && u.n <= 56 {
		u.acc |= uint64(u.b[0]) << u.n
		u.b, u.n = u.b[1:], u.n+8
	}
	return u
}

// take takes up to 32 bits off.
func (u *bitReader) take(width uint) uint64 {
	*u = u.fill()
	v := u.acc & (1<<width - 1)
	u.acc >>= width
	u.n -= int(width)
	return v
}

// left returns how many whole bytes were not taken.
func (u *bitReader) left() int { return len(u.b) + u.n/8 }
