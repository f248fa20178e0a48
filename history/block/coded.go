package block

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// A column of integers in sealed files is worth more work than one that was just recorded: each integer is predicted,
// and the errors are written in a Huffman code of their own. codedColumn stands in place of the head byte of a group,
// which has no such value.
const codedColumn = 0x7f

// The symbols: the upper bits of an error's zigzag; a run of zeros, its length following in so many bits; and an error
// too large for both, written in full.
const (
	symbolRun    = 240 // + e - minRun: 2^e and an e-bit number more zeros
	symbolEscape = 255
	minRun       = 3
	maxRun       = minRun + symbolEscape - symbolRun - 1
	maxShift     = 40 // bits of an error that are written as they are
)

// leastCoded is the number of integers from which on the code's table may pay.
const leastCoded = 64

// appendSmall appends integers in the smaller of both forms, groups on a tie.
func appendSmall(dst []byte, v []int64) []byte {
	start := len(dst)
	dst = appendInts(dst, v)
	if len(v) < leastCoded || len(dst)-start < leastCoded/4 {
		return dst
	}
	if c := appendCoded(nil, v); len(c) < len(dst)-start {
		return append(dst[:start], c...)
	}
	return dst
}

// appendCoded appends the coded form: the mark, k of the predictor, the shift, the first integer, the code's table and
// the bits.
func appendCoded(dst []byte, v []int64) []byte {
	errors, k := bestErrors(v)
	total := uint(0)
	for _, z := range errors {
		total += uint(bits.Len64(z))
	}
	typical := total / uint(max(1, len(errors))) // bits of an error
	var best []byte
	for least := uint(3); least <= 6; least++ {
		shift := min(max(typical, least)-least, maxShift)
		c := encodeErrors(errors, shift)
		if best == nil || len(c) < len(best) {
			best = c
		}
		if shift == 0 {
			break
		}
	}
	dst = append(dst, codedColumn, byte(k))
	dst = binary.AppendVarint(dst, v[0])
	return append(dst, best...)
}

// eachSymbol calls back for every symbol of the errors with the bits that follow it.
func eachSymbol(errors []uint64, shift uint, call func(symbol byte, more uint64, width uint)) {
	for i := 0; i < len(errors); i++ {
		z := errors[i]
		if z != 0 {
			if top := z >> shift; top < symbolRun {
				call(byte(top), z&(1<<shift-1), shift)
			} else {
				call(symbolEscape, z, 64)
			}
			continue
		}
		n := 1
		for i+n < len(errors) && errors[i+n] == 0 && n < 1<<(maxRun+1)-1 {
			n++
		}
		e := bits.Len(uint(n)) - 1
		if e < minRun {
			call(0, 0, shift)
			continue
		}
		call(byte(symbolRun+e-minRun), uint64(n)-1<<e, uint(e))
		i += n - 1
	}
}

func encodeErrors(errors []uint64, shift uint) []byte {
	var h huffman
	eachSymbol(errors, shift, func(s byte, _ uint64, _ uint) { h.count[s]++ })
	h.build()
	dst := append(make([]byte, 0, len(errors)), byte(shift))
	dst = h.appendTable(dst)
	p := packer{}
	eachSymbol(errors, shift, func(s byte, more uint64, width uint) {
		dst = p.put(dst, uint64(h.code[s]), uint(h.length[s]))
		dst = p.put(dst, more, width)
	})
	return p.end(dst)
}

// readCoded is the inverse of appendCoded, behind the mark.
func readCoded(out []int64, b []byte) ([]byte, error) {
	r := newReader(b)
	k, first, shift := uint(r.Byte()), r.Varint(), uint(r.Byte())
	if k > maxSmooth || shift > maxShift {
		r.Fail("head of coded integers")
	}
	var d decodingTable
	d.read(r)
	if r.Err() != nil {
		return nil, r.Err()
	}
	out[0] = first
	all := r.Left()
	left, ok := d.integers(out, all, k, shift)
	if !ok {
		return nil, fmt.Errorf("%w: coded integers end early", ErrFormat)
	}
	return all[len(all)-left:], nil
}

// integers decodes what follows the first integer, which is in out, and returns how many bytes are left.
func (d *decodingTable) integers(out []int64, b []byte, k, shift uint) (left int, ok bool) {
	// The predictor, spelt out: this loop is what reading the history costs.
	acc, half := out[0]<<k, int64(1)<<k>>1
	need, low := maxCode+int(shift), uint64(1)<<shift-1
	u := bitReader{b: b}
	for i := 1; i < len(out); {
		if u.n < need {
			u = u.fill()
		}
		x := d[u.acc&(1<<maxCode-1)]
		u.acc >>= x.length & 15
		u.n -= int(x.length)
		if x.symbol < symbolRun && x.length > 0 {
			z := uint64(x.symbol)<<(shift&63) | u.acc&low
			u.acc >>= shift & 63
			u.n -= int(shift)
			v := (acc+half)>>(k&63) + (int64(z>>1) ^ -int64(z&1))
			out[i] = v
			acc += v - acc>>(k&63)
			i++
			continue
		}
		z, n := uint64(0), 1
		switch {
		case x.length == 0:
			return 0, false
		case x.symbol == symbolEscape:
			z = u.take(32)
			z |= u.take(32) << 32
		default:
			e := uint(x.symbol-symbolRun) + minRun
			n = 1<<e + int(u.take(e))
		}
		if u.n < 0 || n > len(out)-i {
			return 0, false
		}
		e := int64(z>>1) ^ -int64(z&1)
		for ; n > 0; n-- {
			out[i] = (acc+half)>>k + e
			acc += out[i] - acc>>k
			i++
		}
	}
	return u.left(), u.n >= 0
}
