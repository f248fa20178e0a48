// Package wire is a codec for the messages that carry thousands of values: Read, Publish and the headers of all
// services. It writes into, and reads from, one slice of bytes without reflection or per-field allocations; all other
// messages use the library's codec behind package guard.
package wire

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/gopcua/opcua/ua"

	"scada/acquisition/tag"
)

// unixEpoch is 1970 in the time of OPC UA, 100 ns ticks since 1601.
const unixEpoch = 116444736000000000

// null is the length of a null string or array.
const null = 0xFFFFFFFF

// Uint32 appends a number.
func Uint32(dst []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(dst, v) }

// Uint16 appends a number.
func Uint16(dst []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(dst, v) }

// Uint64 appends a number.
func Uint64(dst []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(dst, v) }

// Text appends a string; the empty string is written as null.
func Text(dst []byte, s string) []byte {
	if s == "" {
		return Uint32(dst, null)
	}
	return append(Uint32(dst, uint32(len(s))), s...)
}

// Null appends a null array or string.
func Null(dst []byte) []byte { return Uint32(dst, null) }

// Time appends a time given in UTC nanoseconds since 1970; 0 is written as no time.
func Time(dst []byte, ns int64) []byte {
	if ns == 0 {
		return Uint64(dst, 0)
	}
	ticks := ns / 100
	if ns%100 < 0 {
		ticks-- // towards the past for times before 1970, as for those after
	}
	return Uint64(dst, uint64(ticks+unixEpoch))
}

// TypeID appends the id of a message's encoding.
func TypeID(dst []byte, id uint16) []byte { return Uint16(append(dst, 1, 0), id) }

// ResponseHeader appends the type id and header of a response.
func ResponseHeader(dst []byte, typ uint16, handle uint32, status ua.StatusCode, now int64) []byte {
	dst = Uint32(Uint32(Time(TypeID(dst, typ), now), handle), uint32(status))
	dst = append(dst, 0)        // no diagnostics
	dst = Null(dst)             // string table
	return append(dst, 0, 0, 0) // no additional header
}

// variantTypes gives the built-in type of each tag type.
var variantTypes = [...]byte{
	tag.TypeNone: 0, tag.TypeBool: 1, tag.TypeInt8: 2, tag.TypeUint8: 3, tag.TypeInt16: 4, tag.TypeUint16: 5, tag.TypeInt32: 6,
	tag.TypeUint32: 7, tag.TypeInt64: 8, tag.TypeUint64: 9, tag.TypeFloat32: 10, tag.TypeFloat64: 11, tag.TypeString: 12,
}

// Variant appends a tag's value.
func Variant(dst []byte, v tag.Value) []byte {
	dst = append(dst, variantTypes[v.Type()])
	switch v.Type() {
	case tag.TypeNone:
		return dst
	case tag.TypeBool, tag.TypeInt8, tag.TypeUint8:
		return append(dst, byte(v.Bits()))
	case tag.TypeInt16, tag.TypeUint16:
		return Uint16(dst, uint16(v.Bits()))
	case tag.TypeInt32, tag.TypeUint32:
		return Uint32(dst, uint32(v.Bits()))
	case tag.TypeFloat32:
		return Uint32(dst, math.Float32bits(float32(v.Number())))
	case tag.TypeString:
		return Text(dst, v.Text())
	}
	return Uint64(dst, v.Bits())
}

// Value is a value with its status and times, as a DataValue carries them.
type Value struct {
	tag.Sample
	// Raw is an encoded Variant that is sent instead of Sample.Value, for values that are not a tag's.
	Raw []byte
}

// DataValue appends a value with the timestamps asked for; server is the server's time.
func DataValue(dst []byte, v Value, stamps ua.TimestampsToReturn, server int64) []byte {
	var mask byte
	if v.Raw != nil || !v.Sample.Value.IsNone() {
		mask |= ua.DataValueValue
	}
	if v.Quality != tag.Good {
		mask |= ua.DataValueStatusCode
	}
	if v.Time != 0 && (stamps == ua.TimestampsToReturnSource || stamps == ua.TimestampsToReturnBoth) {
		mask |= ua.DataValueSourceTimestamp
	}
	if stamps == ua.TimestampsToReturnServer || stamps == ua.TimestampsToReturnBoth {
		mask |= ua.DataValueServerTimestamp
	}
	dst = append(dst, mask)
	if v.Raw != nil {
		dst = append(dst, v.Raw...)
	} else if mask&ua.DataValueValue != 0 {
		dst = Variant(dst, v.Sample.Value)
	}
	if mask&ua.DataValueStatusCode != 0 {
		dst = Uint32(dst, uint32(v.Quality))
	}
	if mask&ua.DataValueSourceTimestamp != 0 {
		dst = Time(dst, v.Time)
	}
	if mask&ua.DataValueServerTimestamp != 0 {
		dst = Time(dst, server)
	}
	return dst
}

// ErrShort says that a message ended before its fields did.
var ErrShort = errors.New("message cut short or malformed")
