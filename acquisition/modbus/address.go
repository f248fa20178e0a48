package modbus

import (
	"fmt"
	"strconv"
	"strings"

	"scada/acquisition/plan"
)

// Address is where a value lives in a device.
type Address struct {
	Area   plan.Area
	Number uint16 // from 0
	Bit    int8   // bit of the register, 0 is the least significant; -1 means the whole value
	Length uint16 // registers of a text, two characters each; 0 means the type's own size
}

// The limits of the parts of an address.
const (
	maxAddressText = 32  // characters
	maxText        = 123 // registers of a text: what one write can carry
	addressSpace   = 1 << 16
	registerBits   = 16
)

// String returns the address in the notation ParseAddress reads, 0-based.
func (a Address) String() string {
	s := a.Area.String() + ":" + strconv.Itoa(int(a.Number))
	if a.Bit >= 0 {
		s += "." + strconv.Itoa(int(a.Bit))
	}
	if a.Length > 0 {
		s += "[" + strconv.Itoa(int(a.Length)) + "]"
	}
	return s
}

// ParseAddress reads `hr:100`, `hr:100.3` (a bit), `hr:100[8]` (a text of 8 registers), with co, di, ir, hr and
// 0-based numbers, or the 1-based notation of 5 or 6 digits whose first digit names the area: 40101 and 400101 are
// hr:100.
func ParseAddress(s string) (Address, error) {
	a, err := parseAddress(s)
	if err != nil {
		shown := s
		if len(shown) > maxAddressText {
			shown = shown[:maxAddressText] + "…"
		}
		return Address{}, fmt.Errorf("modbus address %q: %w", shown, err)
	}
	return a, nil
}

// parseSpan reads a stretch of an area: hr:500-519, or one register, hr:500.
func parseSpan(s string) (plan.Span, error) {
	first, last, several := strings.Cut(s, "-")
	a, err := ParseAddress(first)
	if err != nil {
		return plan.Span{}, err
	}
	if a.Bit >= 0 || a.Length > 0 || !strings.Contains(first, ":") {
		return plan.Span{}, fmt.Errorf("%s is no register or bit of an area: want hr:500-519", first)
	}
	span := plan.Span{Area: a.Area, First: a.Number, Last: a.Number}
	if !several {
		return span, nil
	}
	n, err := digits(last)
	if err != nil || n >= addressSpace || n < int(a.Number) {
		return plan.Span{}, fmt.Errorf("%s-%.*s does not end at a number from %d to %d", a, maxAddressText, last, a.Number, addressSpace-1)
	}
	span.Last = uint16(n)
	return span, nil
}

func parseAddress(s string) (Address, error) {
	a := Address{Bit: -1}
	if len(s) > maxAddressText {
		return a, fmt.Errorf("longer than %d characters", maxAddressText)
	}
	if s == "" {
		return a, fmt.Errorf("empty; want co:, di:, ir: or hr: and a number, as hr:100")
	}
	number, length, err := cutLength(s)
	if err != nil {
		return a, err
	}
	a.Length = length
	number, bit, hasBit := strings.Cut(number, ".")
	if hasBit {
		n, err := digits(bit)
		if err != nil || n >= registerBits {
			return a, fmt.Errorf("bit %q is not a number from 0 to 15", bit)
		}
		a.Bit = int8(n)
	}
	prefix, rest, hasPrefix := strings.Cut(number, ":")
	if hasPrefix {
		err = a.zeroBased(prefix, rest)
	} else {
		err = a.oneBased(number)
	}
	if err != nil {
		return a, err
	}
	return a, a.check()
}

// cutLength takes `[n]` off the end.
func cutLength(s string) (rest string, length uint16, err error) {
	open := strings.IndexByte(s, '[')
	if open < 0 {
		return s, 0, nil
	}
	inner, closed := strings.CutSuffix(s[open+1:], "]")
	if !closed {
		return s, 0, fmt.Errorf("the length %q does not end with ]", s[open:])
	}
	n, err := digits(inner)
	if err != nil || n < 1 || n > maxText {
		return s, 0, fmt.Errorf("length %q is not a number of registers from 1 to %d", inner, maxText)
	}
	return s[:open], uint16(n), nil
}

func (a *Address) zeroBased(prefix, number string) error {
	switch prefix {
	case "co":
		a.Area = plan.Coil
	case "di":
		a.Area = plan.Discrete
	case "ir":
		a.Area = plan.Input
	case "hr":
		a.Area = plan.Holding
	default:
		return fmt.Errorf("area %q is not one of co, di, ir, hr", prefix)
	}
	n, err := digits(number)
	if err != nil || n >= addressSpace {
		return fmt.Errorf("%q is not a number from 0 to %d", number, addressSpace-1)
	}
	a.Number = uint16(n)
	return nil
}

// oneBased reads the traditional notation: the first digit is the area, the others count from 1.
func (a *Address) oneBased(s string) error {
	if _, err := digits(s); err != nil || (len(s) != 5 && len(s) != 6) {
		return fmt.Errorf("%q is neither co:, di:, ir: or hr: with a number nor 5 or 6 digits, as 40101 or 400101", s)
	}
	switch s[0] {
	case '0':
		a.Area = plan.Coil
	case '1':
		a.Area = plan.Discrete
	case '3':
		a.Area = plan.Input
	case '4':
		a.Area = plan.Holding
	default:
		return fmt.Errorf("first digit %c is not an area: 0 coils, 1 discrete inputs, 3 input registers, 4 holding registers", s[0])
	}
	n, _ := digits(s[1:])
	if n < 1 || n > addressSpace {
		return fmt.Errorf("%s counts from 1: the digits after the first must be 1 to %d", s, addressSpace)
	}
	a.Number = uint16(n - 1)
	return nil
}

func (a Address) check() error {
	switch {
	case a.Area.IsBits() && a.Bit >= 0:
		return fmt.Errorf("%s holds bits already, it has no .%d", a.Area, a.Bit)
	case a.Area.IsBits() && a.Length > 0:
		return fmt.Errorf("%s holds bits, a length is for text in registers", a.Area)
	case a.Bit >= 0 && a.Length > 0:
		return fmt.Errorf("a bit has no length")
	case int(a.Number)+int(a.Length) > addressSpace:
		return fmt.Errorf("%d registers from %d end after %d", a.Length, a.Number, addressSpace-1)
	}
	return nil
}

// digits reads a decimal number without sign, at most six digits.
func digits(s string) (int, error) {
	if s == "" || len(s) > 6 {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%q is not a number", s)
		}
		n = n*10 + int(c-'0')
	}
	return n, nil
}
