package tag

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Reader takes values off the front of bytes that come from outside. It remembers the first thing that is wrong; from
// then on there is nothing left and every value is zero, so a decoder asks for the error once, at its end. It never
// panics, and what it returns is never longer than what it was given.
type Reader struct {
	left      []byte
	malformed error
	err       error
}

// NewReader returns a reader of b, whose errors wrap malformed.
func NewReader(b []byte, malformed error) Reader { return Reader{left: b, malformed: malformed} }

// Err returns the first error.
func (r *Reader) Err() error { return r.err }

// Left returns what has not been taken.
func (r *Reader) Left() []byte { return r.left }

// Fail makes what the first error, unless there is one.
func (r *Reader) Fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", r.malformed, what)
	}
	r.left = nil
}

// Adopt makes err, the error of a reader of a part of the bytes, the first error, unless there is one.
func (r *Reader) Adopt(err error) {
	if err != nil && r.err == nil {
		r.err, r.left = err, nil
	}
}

// Take returns the next n bytes, nil if there are fewer.
func (r *Reader) Take(n int) []byte {
	if n < 0 || n > len(r.left) {
		r.Fail("ends early")
		return nil
	}
	out := r.left[:n:n]
	r.left = r.left[n:]
	return out
}

// Byte returns the next byte.
func (r *Reader) Byte() byte {
	if b := r.Take(1); b != nil {
		return b[0]
	}
	return 0
}

// Uint16 returns the next two bytes, little-endian.
func (r *Reader) Uint16() uint16 {
	if b := r.Take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// Uint64 returns the next eight bytes, little-endian.
func (r *Reader) Uint64() uint64 {
	if b := r.Take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Float64 returns the next eight bytes as a number.
func (r *Reader) Float64() float64 { return math.Float64frombits(r.Uint64()) }

// Uvarint returns the next unsigned number of variable length.
func (r *Reader) Uvarint() uint64 {
	v, n := binary.Uvarint(r.left)
	if n <= 0 {
		r.Fail("number")
		return 0
	}
	r.left = r.left[n:]
	return v
}

// Varint returns the next signed number of variable length.
func (r *Reader) Varint() int64 {
	v, n := binary.Varint(r.left)
	if n <= 0 {
		r.Fail("number")
		return 0
	}
	r.left = r.left[n:]
	return v
}

// Uvarint32 returns the next unsigned number of variable length, which must fit 32 bits.
func (r *Reader) Uvarint32() uint32 {
	v := r.Uvarint()
	if v > math.MaxUint32 {
		r.Fail("number over 32 bits")
		return 0
	}
	return uint32(v)
}

// Length returns the next number, which must be at most limit.
func (r *Reader) Length(limit int) int {
	v := r.Uvarint()
	if limit < 0 || v > uint64(limit) {
		r.Fail("number over its limit")
		return 0
	}
	return int(v)
}

// Bytes returns the next bytes, which stand behind their number: at most limit.
func (r *Reader) Bytes(limit int) []byte { return r.Take(r.Length(limit)) }

// Text returns the next text, which stands behind its length: at most limit bytes.
func (r *Reader) Text(limit int) string { return string(r.Bytes(limit)) }

// Update returns the next update, as [AppendUpdate] wrote it.
func (r *Reader) Update() Update {
	if r.err != nil {
		return Update{}
	}
	u, rest, err := ReadUpdate(r.left)
	if err != nil {
		r.Fail(err.Error())
		return Update{}
	}
	r.left = rest
	return u
}
