package tag

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Type is the data type of a tag's value as configured (`type: float32`).
type Type uint8

// The types a tag can have. The numbers are part of the link and file formats: append only.
const (
	TypeNone Type = iota
	TypeBool
	TypeInt8
	TypeUint8
	TypeInt16
	TypeUint16
	TypeInt32
	TypeUint32
	TypeInt64
	TypeUint64
	TypeFloat32
	TypeFloat64
	TypeString
	typeEnd
)

var typeNames = [typeEnd]string{
	"none", "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string",
}

// String returns the configuration name of the type.
func (t Type) String() string {
	if t < typeEnd {
		return typeNames[t]
	}
	return "type(" + strconv.Itoa(int(t)) + ")"
}

// Valid reports whether t is a type a tag can be configured with.
func (t Type) Valid() bool { return t > TypeNone && t < typeEnd }

// ParseType returns the type with the given configuration name.
func ParseType(s string) (Type, error) {
	for t := TypeBool; t < typeEnd; t++ {
		if typeNames[t] == s {
			return t, nil
		}
	}
	return TypeNone, fmt.Errorf("unknown type %q (one of %s)", s, strings.Join(typeNames[1:], ", "))
}

// IsInteger reports whether values of the type are whole numbers.
func (t Type) IsInteger() bool { return t >= TypeInt8 && t <= TypeUint64 }

// IsSigned reports whether the type is a signed integer.
func (t Type) IsSigned() bool {
	return t == TypeInt8 || t == TypeInt16 || t == TypeInt32 || t == TypeInt64
}

// IsFloat reports whether the type is a floating point number.
func (t Type) IsFloat() bool { return t == TypeFloat32 || t == TypeFloat64 }

// IsNumeric reports whether values of the type have a magnitude: integers, floats and booleans (0 and 1).
func (t Type) IsNumeric() bool { return t >= TypeBool && t <= TypeFloat64 }

// Bounds returns the smallest and largest value of an integer type as floats; for other types it returns infinities.
func (t Type) Bounds() (lo, hi float64) {
	switch t {
	case TypeBool:
		return 0, 1
	case TypeInt8:
		return math.MinInt8, math.MaxInt8
	case TypeUint8:
		return 0, math.MaxUint8
	case TypeInt16:
		return math.MinInt16, math.MaxInt16
	case TypeUint16:
		return 0, math.MaxUint16
	case TypeInt32:
		return math.MinInt32, math.MaxInt32
	case TypeUint32:
		return 0, math.MaxUint32
	case TypeInt64:
		return math.MinInt64, math.MaxInt64
	case TypeUint64:
		return 0, math.MaxUint64
	}
	return math.Inf(-1), math.Inf(1)
}

// Value is one typed value. It holds no interface, so a table of a million values is one allocation and comparing two
// values is comparing two structs. The zero Value has TypeNone and means "no value yet".
type Value struct {
	bits uint64
	text string
	typ  Type
}

// Bool returns a boolean value.
func Bool(v bool) Value {
	if v {
		return Value{bits: 1, typ: TypeBool}
	}
	return Value{typ: TypeBool}
}

// Int returns a signed integer value of type t; v must fit t.
func Int(t Type, v int64) Value { return Value{bits: uint64(v), typ: t} }

// Uint returns an unsigned integer value of type t; v must fit t.
func Uint(t Type, v uint64) Value { return Value{bits: v, typ: t} }

// Float32 returns a single precision value.
func Float32(v float32) Value { return Value{bits: math.Float64bits(float64(v)), typ: TypeFloat32} }

// Float64 returns a double precision value.
func Float64(v float64) Value { return Value{bits: math.Float64bits(v), typ: TypeFloat64} }

// String returns a text value.
func String(v string) Value { return Value{text: v, typ: TypeString} }

// FromBits rebuilds a value from [Value.Type], [Value.Bits] and [Value.Text]; it is for codecs.
func FromBits(t Type, bits uint64, text string) Value { return Value{bits: bits, text: text, typ: t} }

// SetNumber is v = FromBits(t, bits, ""), and quick for many values: where there is no text, nothing is written that the
// garbage collector watches.
func (v *Value) SetNumber(t Type, bits uint64) {
	v.bits, v.typ = bits, t
	if v.text != "" {
		v.text = ""
	}
}

// Type returns the type of the value.
func (v Value) Type() Type { return v.typ }

// Bits returns the number behind the value: the integer in two's complement, or the bits of the float64.
func (v Value) Bits() uint64 { return v.bits }

// Text returns the text of a string value, and "" for any other.
func (v Value) Text() string { return v.text }

// IsNone reports whether there is no value.
func (v Value) IsNone() bool { return v.typ == TypeNone }

// Truth reports whether a boolean is true or a number is not zero.
func (v Value) Truth() bool {
	if v.typ.IsFloat() {
		return v.Number() != 0
	}
	return v.bits != 0
}

// Int returns the value as a signed integer; floats are truncated.
func (v Value) Int() int64 {
	if v.typ.IsFloat() {
		return int64(math.Float64frombits(v.bits))
	}
	return int64(v.bits)
}

// Number returns the value as a float64; text and no value give NaN. Integers beyond 2^53 lose their last digits.
func (v Value) Number() float64 {
	switch {
	case v.typ.IsFloat():
		return math.Float64frombits(v.bits)
	case v.typ.IsSigned():
		return float64(int64(v.bits))
	case v.typ == TypeString, v.typ == TypeNone:
		return math.NaN()
	}
	return float64(v.bits)
}

// String formats the value for people: shortest form that reads back the same.
func (v Value) String() string {
	switch {
	case v.typ == TypeNone:
		return ""
	case v.typ == TypeString:
		return v.text
	case v.typ == TypeBool:
		return strconv.FormatBool(v.bits != 0)
	case v.typ == TypeFloat32:
		return strconv.FormatFloat(v.Number(), 'g', -1, 32)
	case v.typ == TypeFloat64:
		return strconv.FormatFloat(v.Number(), 'g', -1, 64)
	case v.typ.IsSigned():
		return strconv.FormatInt(int64(v.bits), 10)
	}
	return strconv.FormatUint(v.bits, 10)
}

// FromNumber converts a number to type t. It refuses what t cannot hold: NaN and infinities for every type, fractions
// and overflow for integers, anything but 0 and 1 for booleans.
func FromNumber(t Type, f float64) (Value, error) {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return Value{}, fmt.Errorf("%v is not a number a %s can hold", f, t)
	case t == TypeFloat64:
		return Float64(f), nil
	case t == TypeFloat32:
		if math.IsInf(float64(float32(f)), 0) { // the shortest digits of the largest float32 are a little more than it
			return Value{}, fmt.Errorf("%g is outside the range of float32", f)
		}
		return Float32(float32(f)), nil
	case t == TypeBool:
		if f != 0 && f != 1 {
			return Value{}, fmt.Errorf("%g is not a bool (true, false, 0 or 1)", f)
		}
		return Bool(f == 1), nil
	case t.IsInteger():
		return integer(t, f)
	}
	return Value{}, fmt.Errorf("a number cannot become a %s", t)
}

func integer(t Type, f float64) (Value, error) {
	if f != math.Trunc(f) {
		return Value{}, fmt.Errorf("%g is not a whole number, the tag is %s", f, t)
	}
	lo, hi := t.Bounds()
	// 2^63 and 2^64 are exact as floats while MaxInt64 and MaxUint64 are not: compare from outside.
	if f < lo || f > hi || (t == TypeInt64 && f >= 1<<63) || (t == TypeUint64 && f >= 1<<64) {
		return Value{}, fmt.Errorf("%g is outside the range of %s", f, t)
	}
	if t.IsSigned() {
		return Int(t, int64(f)), nil
	}
	return Uint(t, uint64(f)), nil
}

// Parse converts text, as typed by an operator or found in a file, to type t.
func Parse(t Type, s string) (Value, error) {
	switch {
	case t == TypeString:
		return String(s), nil
	case t == TypeBool:
		b, err := strconv.ParseBool(strings.TrimSpace(s))
		if err != nil {
			return Value{}, fmt.Errorf("%q is not a bool (true, false, 0 or 1)", s)
		}
		return Bool(b), nil
	case t.IsInteger():
		return parseInteger(t, strings.TrimSpace(s))
	case t.IsFloat():
		f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil {
			return Value{}, fmt.Errorf("%q is not a number", s)
		}
		return FromNumber(t, f)
	}
	return Value{}, fmt.Errorf("cannot parse a %s", t)
}

func parseInteger(t Type, s string) (Value, error) {
	if t.IsSigned() {
		if i, err := strconv.ParseInt(s, 0, 64); err == nil {
			lo, hi := t.Bounds()
			if t != TypeInt64 && (float64(i) < lo || float64(i) > hi) {
				return Value{}, fmt.Errorf("%s is outside the range of %s", s, t)
			}
			return Int(t, i), nil
		}
	} else if u, err := strconv.ParseUint(s, 0, 64); err == nil {
		if _, hi := t.Bounds(); t != TypeUint64 && float64(u) > hi {
			return Value{}, fmt.Errorf("%s is outside the range of %s", s, t)
		}
		return Uint(t, u), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return Value{}, fmt.Errorf("%q is not a number", s)
	}
	return FromNumber(t, f)
}
