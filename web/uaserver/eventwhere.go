package uaserver

import (
	"bytes"
	"cmp"
	"time"

	"github.com/gopcua/opcua/ua"
)

// tri is a truth value of a where clause: what compares with nothing is neither true nor false (OPC 10000-4, 7.7.3).
type tri int

const (
	unknown tri = iota
	no
	yes
)

func triOf(b bool) tri {
	if b {
		return yes
	}
	return no
}

func (t tri) variant() *ua.Variant {
	if t == unknown {
		return nil
	}
	return ua.MustVariant(t == yes)
}

func truth(v *ua.Variant) tri {
	if v == nil || v.Type() != ua.TypeIDBoolean || v.Has(ua.VariantArrayValues) {
		return unknown
	}
	return triOf(v.Bool())
}

// operate applies an operator to its values.
func operate(op ua.FilterOperator, v []*ua.Variant) tri {
	switch op {
	case ua.FilterOperatorIsNull:
		return triOf(v[0] == nil || v[0].Type() == ua.TypeIDNull)
	case ua.FilterOperatorNot:
		return [...]tri{unknown: unknown, no: yes, yes: no}[truth(v[0])]
	case ua.FilterOperatorAnd:
		return and(truth(v[0]), truth(v[1]))
	case ua.FilterOperatorOr:
		return or(truth(v[0]), truth(v[1]))
	case ua.FilterOperatorBetween:
		return and(operate(ua.FilterOperatorGreaterThanOrEqual, v[:2]), operate(ua.FilterOperatorLessThanOrEqual, []*ua.Variant{v[0], v[2]}))
	case ua.FilterOperatorInList:
		in := no
		for _, x := range v[1:] {
			in = or(in, operate(ua.FilterOperatorEquals, []*ua.Variant{v[0], x}))
		}
		return in
	}
	c, ok := compare(v[0], v[1])
	switch {
	case !ok:
		return unknown
	case op == ua.FilterOperatorEquals:
		return triOf(c == 0)
	case op == ua.FilterOperatorGreaterThan:
		return triOf(c > 0)
	case op == ua.FilterOperatorLessThan:
		return triOf(c < 0)
	case op == ua.FilterOperatorGreaterThanOrEqual:
		return triOf(c >= 0)
	}
	return triOf(c <= 0)
}

func and(a, b tri) tri {
	switch {
	case a == no || b == no:
		return no
	case a == unknown || b == unknown:
		return unknown
	}
	return yes
}

func or(a, b tri) tri {
	switch {
	case a == yes || b == yes:
		return yes
	case a == unknown || b == unknown:
		return unknown
	}
	return no
}

// compare orders two values of one kind: numbers, texts, times, byte strings, node ids.
func compare(a, b *ua.Variant) (int, bool) {
	if a == nil || b == nil || a.Has(ua.VariantArrayValues) || b.Has(ua.VariantArrayValues) {
		return 0, false
	}
	if x, ok := numberOf(a); ok {
		y, ok := numberOf(b)
		return cmp.Compare(x, y), ok
	}
	if x, ok := textOf(a); ok {
		y, ok := textOf(b)
		return cmp.Compare(x, y), ok
	}
	switch x := a.Value().(type) {
	case time.Time:
		y, ok := b.Value().(time.Time)
		return x.Compare(y), ok
	case []byte:
		y, ok := b.Value().([]byte)
		return bytes.Compare(x, y), ok
	}
	return 0, false
}

func numberOf(v *ua.Variant) (float64, bool) {
	switch x := v.Value().(type) {
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	case int8, int16, int32, int64:
		return float64(v.Int()), true
	case uint8, uint16, uint32, uint64:
		return float64(v.Uint()), true
	case float32, float64:
		return v.Float(), true
	case ua.StatusCode:
		return float64(x), true
	}
	return 0, false
}

func textOf(v *ua.Variant) (string, bool) {
	switch x := v.Value().(type) {
	case string:
		return x, true
	case *ua.LocalizedText:
		return x.Text, true
	case *ua.QualifiedName:
		return x.Name, true
	case *ua.NodeID:
		return "node " + x.String(), true
	}
	return "", false
}
