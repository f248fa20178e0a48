package block

import (
	"encoding/binary"

	"scada/acquisition/tag"
)

// packSize is how many samples a Buffer packs at once: enough for a width in bits of their own, and few enough that what
// is not packed is small.
const packSize = 64

// Buffer collects the samples of one tag as they come, in little memory: all but the last packSize and a few more are
// packed, without loss, in a form that is quick to make and to read. The zero value is empty; Scale may be set then.
type Buffer struct {
	// Scale is what the values most likely come through, or nil. It makes the buffer smaller, never different.
	Scale *tag.Linear

	tail   Columns // times and bits of the samples that are not packed; runs and texts of all
	groups []byte  // packSize samples each
	packed int     // samples in groups
}

// How the numbers of a group are packed. The forms with a scaling say what it gives: float64 or float32.
const (
	packInts = iota
	packXOR
	packRaw64
	packRaw32
)

// Len returns the number of samples.
func (b *Buffer) Len() int { return b.packed + len(b.tail.times) }

// Full is [Columns.Full].
func (b *Buffer) Full(text int) bool {
	return b.Len() >= MaxSamples || b.tail.textBytes+text > MaxTextBytes
}

// Append is [Columns.Append].
func (b *Buffer) Append(s tag.Sample) bool {
	t := &b.tail
	if len(t.times) == cap(t.times) { // never more room than is used
		room := min(max(8, 2*len(t.times)), packSize+recent)
		t.times = append(make([]int64, 0, room), t.times...)
		t.bits = append(make([]uint64, 0, room), t.bits...)
	}
	if !t.Append(s) {
		return false
	}
	if len(t.times) == packSize+recent {
		b.pack()
	}
	return true
}

// pack packs the oldest samples of the tail. Those that Append may look at again stay.
func (b *Buffer) pack() {
	t := &b.tail
	var ints [packSize]int64
	unit := unitOf(t.times[:packSize])
	copy(ints[:], t.times)
	perUnit(ints[:], unit)
	b.groups = appendGroup(append(b.groups, byte(unit)), ints[:])
	b.groups = b.appendNumbers(b.groups, t.bits[:packSize], ints[:])
	b.packed += packSize
	t.times = t.times[:copy(t.times, t.times[packSize:])]
	t.bits = t.bits[:copy(t.bits, t.bits[packSize:])]
}

// appendNumbers appends the smallest form of a group's numbers that is quick to find. Whatever they are, it gives them back.
func (b *Buffer) appendNumbers(dst []byte, numbers []uint64, ints []int64) []byte {
	last := b.tail.runs[len(b.tail.runs)-1].typ
	if form, m := b.mapping(last); form != packInts && m.integers(ints, numbers) {
		return appendGroup(append(dst, byte(form)), ints)
	}
	if last.IsFloat() {
		var room [10 * packSize]byte
		column := appendXOR(room[:0], numbers)
		dst = binary.AppendUvarint(append(dst, packXOR), uint64(len(column)))
		return append(dst, column...)
	}
	for i, n := range numbers {
		ints[i] = int64(n)
	}
	return appendGroup(append(dst, packInts), ints)
}

// mapping returns the scaled form for numbers of a type, packInts if there is none.
func (b *Buffer) mapping(typ tag.Type) (form int, m mapping) {
	if b.Scale == nil || !typ.IsFloat() || !usable(*b.Scale) {
		return packInts, m
	}
	if typ == tag.TypeFloat32 {
		return packRaw32, mapping{codec: codecLinear, typ: typ, scale: *b.Scale}
	}
	return packRaw64, mapping{codec: codecLinear, typ: typ, scale: *b.Scale}
}

// Samples appends the samples with from <= time < to, in the order they were appended.
func (b *Buffer) Samples(dst []tag.Sample, from, to int64) []tag.Sample {
	var d Decoder
	return d.Unpack(b).Samples(dst, from, to)
}

// Latest is Samples without unpacking anything; false means that it can't be had so: the samples came out of order, or
// begin among the packed ones.
func (b *Buffer) Latest(dst []tag.Sample, from, to int64) ([]tag.Sample, bool) {
	t := &b.tail
	if b.packed > 0 && (t.disorder || len(t.times) == 0 || t.times[0] >= from) || t.disorder {
		return dst, false
	}
	i := -b.packed // in the tail
	for _, r := range t.runs {
		end := i + r.n
		for i = max(i, min(0, end)); i < end; i++ {
			if at := t.times[i]; at >= from && at < to {
				dst = append(dst, t.sample(i, r))
			}
		}
	}
	return dst, true
}

// Unpack returns the samples of a buffer by column. They are valid until the decoder or the buffer is used again.
func (d *Decoder) Unpack(b *Buffer) *Columns {
	d.known = timesKey{}
	n := b.Len()
	if n == 0 {
		return &Columns{}
	}
	d.times, d.bits, d.ints = sized(d.times, n), sized(d.bits, n), sized(d.ints, n)
	_, by := b.mapping(b.tail.runs[len(b.tail.runs)-1].typ)
	raw := len(b.tail.runs) == 1 && by.codec == codecLinear
	rest := b.groups
	for i := 0; i < b.packed; i += packSize {
		var same bool
		rest, same = d.unpackGroup(b, rest, i)
		raw = raw && same
	}
	copy(d.times[b.packed:], b.tail.times)
	copy(d.bits[b.packed:], b.tail.bits)
	d.columns = b.tail
	d.columns.times, d.columns.bits = d.times, d.bits
	if raw && by.integers(d.ints[b.packed:], b.tail.bits) {
		d.columns.raw, d.columns.rawBy = d.ints, by
	}
	return &d.columns
}

// unpackGroup reads the group of samples that begin at one, and reports whether their raw numbers are in d.ints. The
// groups were never outside of memory, so there is nothing to check.
func (d *Decoder) unpackGroup(b *Buffer, g []byte, at int) (rest []byte, raw bool) {
	times, bits, ints := d.times[at:at+packSize], d.bits[at:at+packSize], d.ints[at:at+packSize]
	unit := units[g[0]]
	rest, _ = readGroup(times, g[1:])
	for i := range times {
		times[i] *= unit
	}
	form := rest[0]
	if form == packXOR {
		size, n := binary.Uvarint(rest[1:])
		rest = rest[1+n:]
		_ = readXOR(bits, rest[:size])
		return rest[size:], false
	}
	rest, _ = readGroup(ints, rest[1:])
	m := mapping{codec: codecInt}
	if form == packRaw64 || form == packRaw32 {
		m = mapping{codec: codecLinear, typ: tag.TypeFloat64, scale: *b.Scale}
		if form == packRaw32 {
			m.typ = tag.TypeFloat32
		}
	}
	m.fill(bits, ints)
	return rest, form != packInts
}
