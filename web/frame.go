package web

import (
	"encoding/binary"
	"math"
	"time"

	"scada/acquisition/live"
	"scada/acquisition/tag"
)

// Kinds and flags of a data frame.
const (
	kindSnapshot = 1
	kindDelta    = 2
	flagMore     = 1

	frameHeader = 40 // bytes
	noAge       = math.MaxInt32
)

// frame is a data frame before it is encoded.
type frame struct {
	kind    byte
	more    bool
	sub     uint16
	seq     uint64
	epoch   uint64
	number  uint32
	at      time.Time
	changes []live.Change
	text    int // bytes of text in changes
}

// qualities are the ones with a byte of their own; others show as the bare good, uncertain or bad.
var qualities = [...]tag.Quality{
	tag.GoodLocalOverride,
	tag.UncertainInitialValue, tag.UncertainNoCommunicationLastUsable, tag.UncertainLastUsableValue,
	tag.UncertainSubstituteValue, tag.UncertainEngineeringUnitsExceeded,
	tag.BadCommunicationError, tag.BadNoCommunication, tag.BadWaitingForInitialData, tag.BadConfigurationError, tag.BadNotConnected,
	tag.BadDeviceFailure, tag.BadSensorFailure, tag.BadOutOfService, tag.BadNoData, tag.BadTypeMismatch, tag.BadOutOfRange,
}

func severity(q tag.Quality) byte { return byte(q>>30) << 6 }

// qualityByte is the severity in the top two bits and the number of the quality in the table, 0 for none.
func qualityByte(q tag.Quality) byte {
	if code := q.Code(); code != tag.Good {
		for i, known := range qualities {
			if known == code {
				return severity(q) | byte(i+1)
			}
		}
	}
	return severity(q)
}

// qualityTable names every byte qualityByte returns.
func qualityTable() map[byte]string {
	names := map[byte]string{0: "Good", 1 << 6: "Uncertain", 2 << 6: "Bad", 3 << 6: "Bad"}
	for _, q := range qualities {
		names[qualityByte(q)] = q.String()
	}
	return names
}

func pad8(n int) int { return (n + 7) &^ 7 }

// appendFrame encodes the frame column by column; PROTOCOL.md has the layout.
func appendFrame(b []byte, f frame) []byte {
	n := len(f.changes)
	ages := frameHeader + 8*n
	handles := pad8(ages + 4*n)
	quals := pad8(handles + 4*n)
	size := quals + n
	if cap(b) < size {
		b = make([]byte, size)
	}
	b = b[:size]
	clear(b[ages+4*n : handles]) // padding: the rest is overwritten
	clear(b[handles+4*n : quals])
	clear(b[:frameHeader])
	var flags byte
	if f.more {
		flags = flagMore
	}
	le := binary.LittleEndian
	b[0], b[1] = f.kind, flags
	le.PutUint16(b[2:], f.sub)
	le.PutUint32(b[4:], uint32(n))
	le.PutUint64(b[8:], f.seq)
	le.PutUint64(b[16:], uint64(f.at.UnixMicro()))
	le.PutUint64(b[24:], f.epoch)
	le.PutUint32(b[32:], f.number)
	now := f.at.UnixNano()
	values, ageColumn, handleColumn, qualColumn := b[frameHeader:ages], b[ages:handles], b[handles:quals], b[quals:]
	for i := range f.changes {
		c := &f.changes[i] // by reference: a change is 64 bytes, and there are millions a second
		le.PutUint64(values[8*i:], math.Float64bits(c.Value.Number()))
		le.PutUint32(ageColumn[4*i:], uint32(ageMs(&c.Sample, now)))
		le.PutUint32(handleColumn[4*i:], uint32(c.Tag))
		qualColumn[i] = qualityByte(c.Quality)
	}
	return b
}

// ageMs is how long before now the sample was true, saturated.
func ageMs(s *tag.Sample, now int64) int32 {
	if s.Value.IsNone() && s.Time == 0 {
		return noAge
	}
	return int32(max(min((now-s.Time)/1e6, noAge-1), math.MinInt32))
}

const exactInteger = 1 << 53 // the largest whole number up to which a float64 has all

// needsText reports whether the value does not go into a float64.
func needsText(v tag.Value) bool {
	switch v.Type() {
	case tag.TypeString:
		return true
	case tag.TypeInt64:
		return v.Int() > exactInteger || v.Int() < -exactInteger
	case tag.TypeUint64:
		return v.Bits() > exactInteger
	}
	return false
}

// texts are the handles and texts of the values that need one.
func (f frame) texts() [][2]any {
	var list [][2]any
	for _, c := range f.changes {
		if needsText(c.Value) {
			list = append(list, [2]any{c.Tag, c.Value.String()})
		}
	}
	return list
}

// rows are the values as JSON: handle, value, quality, time.
func (f frame) rows() [][4]any {
	rows := make([][4]any, 0, len(f.changes))
	for _, c := range f.changes {
		s := apiSample(c.Sample)
		rows = append(rows, [4]any{c.Tag, s.Value, s.Quality, s.Time})
	}
	return rows
}
