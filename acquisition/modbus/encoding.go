package modbus

import (
	"errors"
	"fmt"
	"math"
)

// fromBCD reads four decimal digits a register. A digit above nine means that what is there is no number.
func fromBCD(bits uint64) (n uint64, ok bool) {
	for shift := 60; shift >= 0; shift -= 4 {
		digit := bits >> shift & 0xF
		if digit > 9 {
			return 0, false
		}
		n = n*10 + digit
	}
	return n, true
}

// toBCD is the inverse of fromBCD, for so many registers.
func toBCD(n uint64, registers int) (bits uint64, err error) {
	rest := n
	for digit := range 4 * registers {
		bits |= rest % 10 << (4 * digit)
		rest /= 10
	}
	if rest > 0 {
		return 0, fmt.Errorf("%d has more than %d digits", n, 4*registers)
	}
	return bits, nil
}

// The parts of a half precision number: a sign, five bits of exponent, ten of fraction.
const (
	halfBias     = 15
	halfFraction = 10
	halfTop      = 0x1F // exponent of infinity and of what is not a number
)

// fromHalf reads a half precision number. Every one of them is a float32.
func fromHalf(h uint16) float32 {
	sign := 1.0
	if h>>15 == 1 {
		sign = -1
	}
	exponent, fraction := int(h>>halfFraction&halfTop), float64(h&(1<<halfFraction-1))
	switch {
	case exponent == halfTop && fraction == 0:
		return float32(math.Inf(int(sign)))
	case exponent == halfTop:
		return float32(math.NaN())
	case exponent == 0:
		return float32(sign * math.Ldexp(fraction, 1-halfBias-halfFraction))
	}
	return float32(sign * math.Ldexp(1<<halfFraction+fraction, exponent-halfBias-halfFraction))
}

var errHalf = errors.New("beyond what half precision holds: 65504")

// toHalf returns the nearest half precision number, of two equally near ones the even one.
func toHalf(f float32) (uint16, error) {
	sign := uint16(math.Float32bits(f) >> 31 << 15)
	v := math.Abs(float64(f))
	_, exponent := math.Frexp(v) // v is at least 2^(exponent-1)
	exponent = max(exponent-1, 1-halfBias)
	units := math.RoundToEven(math.Ldexp(v, halfFraction-exponent)) // a number below 2^11
	if units == 1<<(halfFraction+1) {
		units, exponent = units/2, exponent+1
	}
	if math.IsNaN(v) || math.IsInf(v, 0) || exponent > halfTop-1-halfBias {
		return 0, errHalf
	}
	if units < 1<<halfFraction { // too small for an exponent of its own
		return sign | uint16(units), nil
	}
	return sign | uint16(exponent+halfBias)<<halfFraction | uint16(units)&(1<<halfFraction-1), nil
}
