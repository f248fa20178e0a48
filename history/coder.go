package history

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"scada/acquisition/tag"
	"scada/history/block"
)

// The first byte of a journal entry. Samples have the top bit and say in the others what is not repeated.
const (
	entryBatch  = 1 // end of a batch: the position advances
	entryGap    = 2
	entryDefine = 3 // a tag's scaling, before its first sample of the segment; resets what is remembered of it

	entrySample = 0x80
	nextTag     = 1 << 0 // the tag after the one before
	sameTime    = 1 << 1 // as the sample before
	sameQuality = 1 << 2 // as the tag's sample before, and so on
	sameType    = 1 << 3
	sameValue   = 1 << 4
	rawValue    = 1 << 5 // difference of the device's raw number
)

// coder is what the journal remembers of a tag within one segment.
type coder struct {
	segment uint64 // to which the rest belongs
	quality tag.Quality
	typ     tag.Type
	bits    uint64
	text    string
	raw     int64
	scale   tag.Linear
	stale   bool // the segment has an older state of the tag, which a definition resets
}

// stream is what the journal remembers of the sample before.
type stream struct {
	id   uint32
	time int64
}

// appendSample appends the journal form of a sample.
func (r *series) appendSample(dst []byte, segment uint64, st *stream, x tag.Sample) []byte {
	c := &r.coder
	if c.segment != segment {
		stale := c.stale
		*c = coder{segment: segment}
		if r.typ.IsFloat() {
			c.scale = r.scale()
		}
		if stale || !c.scale.IsZero() {
			dst = appendDefine(dst, r.id, c.scale)
		}
	}
	typ := x.Value.Type()
	at := len(dst)
	flags := byte(entrySample)
	dst = append(dst, 0)
	if r.id == st.id+1 {
		flags |= nextTag
	} else {
		dst = binary.AppendUvarint(dst, uint64(r.id))
	}
	if x.Time == st.time {
		flags |= sameTime
	} else {
		dst = binary.AppendVarint(dst, x.Time-st.time)
	}
	st.id, st.time = r.id, x.Time
	if x.Quality == c.quality {
		flags |= sameQuality
	} else {
		dst = binary.AppendUvarint(dst, uint64(x.Quality))
	}
	if typ == c.typ {
		flags |= sameType
	} else {
		dst = append(dst, byte(typ))
	}
	flags, dst = c.appendValue(dst, flags, typ, x.Value)
	c.quality, c.typ = x.Quality, typ
	dst[at] = flags
	return dst
}

func (c *coder) appendValue(dst []byte, flags byte, typ tag.Type, v tag.Value) (byte, []byte) {
	b := v.Bits()
	switch {
	case typ == tag.TypeNone:
		return flags | sameValue, dst
	case typ == tag.TypeString:
		if v.Text() == c.text {
			return flags | sameValue, dst
		}
		c.text = v.Text()
		return flags, appendText(dst, c.text)
	case b == c.bits:
		return flags | sameValue, dst
	case !typ.IsFloat():
		dst = binary.AppendVarint(dst, int64(b-c.bits))
		c.bits = b
		return flags, dst
	}
	if n, ok := block.Raw(c.scale, typ, b); ok {
		dst = binary.AppendVarint(dst, n-c.raw)
		c.raw, c.bits = n, b
		return flags | rawValue, dst
	}
	// The bytes of the difference between its leading and trailing zero bytes.
	d := b ^ c.bits
	c.bits = b
	trail := bits.TrailingZeros64(d) / 8
	size := 8 - bits.LeadingZeros64(d)/8 - trail
	dst = append(dst, byte(trail<<4|size))
	d >>= 8 * trail
	for range size {
		dst = append(dst, byte(d))
		d >>= 8
	}
	return flags, dst
}

func appendDefine(dst []byte, id uint32, l tag.Linear) []byte {
	dst = append(dst, entryDefine)
	dst = binary.AppendUvarint(dst, uint64(id))
	for _, f := range [...]float64{l.RawLow, l.RawHigh, l.Low, l.High} {
		dst = appendFloat(dst, f)
	}
	return dst
}

func appendGap(dst []byte, g Gap) []byte {
	dst = append(dst, entryGap)
	for _, s := range [...]string{g.Scope.Area, g.Scope.Device, g.Scope.ScanClass, g.Reason} {
		dst = appendText(dst, s)
	}
	dst = binary.AppendVarint(dst, g.From)
	return binary.AppendVarint(dst, g.To)
}

// decoder reads the journal entries of one segment.
type decoder struct {
	st   stream
	pos  uint64
	tags map[uint32]*coder
}

// entries calls back for each sample and gap of a record's payload. The bytes have passed their checksum, so an error
// means another program or version wrote them.
func (d *decoder) entries(b []byte, sample func(pos uint64, id uint32, x tag.Sample), gap func(Gap)) error {
	r := newReader(b)
	d.pos = r.Uvarint()
	for len(r.Left()) > 0 && r.Err() == nil {
		switch kind := r.Byte(); {
		case kind&entrySample != 0:
			id, x := d.sample(r, kind)
			if r.Err() == nil {
				sample(d.pos, id, x)
			}
		case kind == entryBatch:
			d.pos++
		case kind == entryGap:
			g := Gap{Scope: Scope{Area: r.Text(MaxName), Device: r.Text(MaxName), ScanClass: r.Text(MaxName)}, Reason: r.Text(MaxName)}
			g.From, g.To = r.Varint(), r.Varint()
			if r.Err() == nil {
				gap(g)
			}
		case kind == entryDefine:
			id := r.Uvarint32()
			*d.tag(id) = coder{scale: tag.Linear{RawLow: r.Float64(), RawHigh: r.Float64(), Low: r.Float64(), High: r.Float64()}}
		default:
			r.Fail(fmt.Sprintf("journal entry of kind %d", kind))
		}
	}
	return r.Err()
}

func (d *decoder) tag(id uint32) *coder {
	c := d.tags[id]
	if c == nil {
		c = &coder{}
		d.tags[id] = c
	}
	return c
}

func (d *decoder) sample(r *tag.Reader, flags byte) (uint32, tag.Sample) {
	if flags&nextTag != 0 {
		d.st.id++
	} else {
		d.st.id = r.Uvarint32()
	}
	if flags&sameTime == 0 {
		d.st.time += r.Varint()
	}
	c := d.tag(d.st.id)
	if flags&sameQuality == 0 {
		c.quality = tag.Quality(r.Uvarint32())
	}
	if flags&sameType == 0 {
		if c.typ = tag.Type(r.Byte()); c.typ != tag.TypeNone && !c.typ.Valid() {
			r.Fail("type of a sample")
		}
	}
	if flags&sameValue == 0 {
		c.readValue(r, flags)
	}
	x := tag.Sample{Time: d.st.time, Quality: c.quality}
	switch {
	case c.typ == tag.TypeString:
		x.Value = tag.String(c.text)
	case c.typ != tag.TypeNone:
		x.Value = tag.FromBits(c.typ, c.bits, "")
	}
	return d.st.id, x
}

func (c *coder) readValue(r *tag.Reader, flags byte) {
	switch {
	case c.typ == tag.TypeString:
		c.text = r.Text(tag.MaxText)
	case flags&rawValue != 0:
		c.raw += r.Varint()
		c.bits = block.Scaled(c.scale, c.typ, c.raw)
	case !c.typ.IsFloat():
		c.bits += uint64(r.Varint())
	default:
		head := r.Byte()
		trail, size := uint(head>>4), uint(head&15)
		if trail+size > 8 {
			r.Fail("bytes of a number")
			return
		}
		var d uint64
		for i, b := range r.Take(int(size)) {
			d |= uint64(b) << (8 * uint(i))
		}
		c.bits ^= d << (8 * trail)
	}
}
