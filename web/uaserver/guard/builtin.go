package guard

import (
	"fmt"
	"reflect"

	"github.com/gopcua/opcua/ua"
)

// builtin gives the Go type behind each built-in type a Variant can hold, as the codec's table does.
func builtin(id ua.TypeID) (reflect.Type, bool) {
	switch id {
	case ua.TypeIDBoolean, ua.TypeIDSByte, ua.TypeIDByte:
		return reflect.TypeFor[byte](), true
	case ua.TypeIDInt16, ua.TypeIDUint16:
		return reflect.TypeFor[uint16](), true
	case ua.TypeIDInt32, ua.TypeIDUint32, ua.TypeIDFloat, ua.TypeIDStatusCode:
		return reflect.TypeFor[uint32](), true
	case ua.TypeIDInt64, ua.TypeIDUint64, ua.TypeIDDouble, ua.TypeIDDateTime:
		return reflect.TypeFor[uint64](), true
	case ua.TypeIDString, ua.TypeIDByteString, ua.TypeIDXMLElement:
		return reflect.TypeFor[string](), true
	case ua.TypeIDGUID:
		return reflect.TypeFor[*ua.GUID](), true
	case ua.TypeIDNodeID:
		return reflect.TypeFor[*ua.NodeID](), true
	case ua.TypeIDExpandedNodeID:
		return reflect.TypeFor[*ua.ExpandedNodeID](), true
	case ua.TypeIDQualifiedName:
		return reflect.TypeFor[*ua.QualifiedName](), true
	case ua.TypeIDLocalizedText:
		return reflect.TypeFor[*ua.LocalizedText](), true
	case ua.TypeIDExtensionObject:
		return reflect.TypeFor[*ua.ExtensionObject](), true
	case ua.TypeIDDataValue:
		return reflect.TypeFor[*ua.DataValue](), true
	case ua.TypeIDVariant:
		return reflect.TypeFor[*ua.Variant](), true
	case ua.TypeIDDiagnosticInfo:
		return reflect.TypeFor[*ua.DiagnosticInfo](), true
	}
	return nil, false
}

func (w *walker) variant() error {
	mask, err := w.byte()
	if err != nil {
		return err
	}
	id := ua.TypeID(mask & 0x3f)
	if id == ua.TypeIDNull {
		return nil
	}
	t, ok := builtin(id)
	if !ok {
		return fmt.Errorf("%w: a Variant of type %d", ErrMalformed, id)
	}
	if mask&ua.VariantArrayValues == 0 {
		return w.value(t)
	}
	n, err := w.length()
	for i := 0; i < n && err == nil; i++ {
		err = w.value(t)
	}
	if err != nil || mask&ua.VariantArrayDimensions == 0 {
		return err
	}
	return w.dimensions(n)
}

// dimensions walks the sizes of the dimensions of an array of n elements. The codec multiplies them in 32 bits; here
// the product is cut off as soon as it passes n.
func (w *walker) dimensions(n int) error {
	dims, err := w.length()
	if err != nil {
		return err
	}
	if dims > MaxDimensions {
		return fmt.Errorf("%w: %d dimensions, at most %d", ErrLimit, dims, MaxDimensions)
	}
	product := 1
	for range dims {
		size, err := w.int32()
		if err != nil {
			return err
		}
		if size < 1 || size > MaxElements {
			return fmt.Errorf("%w: a dimension of %d", ErrMalformed, size)
		}
		if product *= size; product > n {
			return fmt.Errorf("%w: dimensions for more than the %d elements", ErrMalformed, n)
		}
	}
	if dims > 0 && product != n {
		return fmt.Errorf("%w: dimensions for %d of %d elements", ErrMalformed, product, n)
	}
	return nil
}

// fields walks the fields a mask announces.
func (w *walker) fields(mask byte, fields ...field) error {
	for _, f := range fields {
		if mask&f.bit == 0 {
			continue
		}
		if err := f.walk(w); err != nil {
			return err
		}
	}
	return nil
}

type field struct {
	bit  byte
	walk func(*walker) error
}

func bytes(n int) func(*walker) error { return func(w *walker) error { return w.skip(n) } }

func (w *walker) dataValue() error {
	mask, err := w.byte()
	if err != nil {
		return err
	}
	return w.fields(mask,
		field{ua.DataValueValue, func(w *walker) error { return w.nested(w.variant) }},
		field{ua.DataValueStatusCode, bytes(4)},
		field{ua.DataValueSourceTimestamp, bytes(8)},
		field{ua.DataValueSourcePicoseconds, bytes(2)},
		field{ua.DataValueServerTimestamp, bytes(8)},
		field{ua.DataValueServerPicoseconds, bytes(2)})
}

func (w *walker) diagnosticInfo() error {
	mask, err := w.byte()
	if err != nil {
		return err
	}
	return w.fields(mask,
		field{ua.DiagnosticInfoSymbolicID, bytes(4)},
		field{ua.DiagnosticInfoNamespaceURI, bytes(4)},
		field{ua.DiagnosticInfoLocale, bytes(4)},
		field{ua.DiagnosticInfoLocalizedText, bytes(4)},
		field{ua.DiagnosticInfoAdditionalInfo, (*walker).text},
		field{ua.DiagnosticInfoInnerStatusCode, bytes(4)},
		field{ua.DiagnosticInfoInnerDiagnosticInfo, func(w *walker) error { return w.nested(w.diagnosticInfo) }})
}

func (w *walker) localizedText() error {
	mask, err := w.byte()
	if err != nil {
		return err
	}
	return w.fields(mask, field{ua.LocalizedTextLocale, (*walker).text}, field{ua.LocalizedTextText, (*walker).text})
}

// nodeID walks a node id and returns its first byte.
func (w *walker) nodeID() (byte, error) {
	mask, err := w.byte()
	if err != nil {
		return 0, err
	}
	switch ua.NodeIDType(mask & 0xf) {
	case ua.NodeIDTypeTwoByte:
		return mask, w.skip(1)
	case ua.NodeIDTypeFourByte:
		return mask, w.skip(3)
	case ua.NodeIDTypeNumeric:
		return mask, w.skip(6)
	case ua.NodeIDTypeGUID:
		return mask, w.skip(18)
	case ua.NodeIDTypeString, ua.NodeIDTypeByteString:
		if err := w.skip(2); err != nil {
			return mask, err
		}
		return mask, w.text()
	}
	return mask, fmt.Errorf("%w: a node id of kind %d", ErrMalformed, mask&0xf)
}

func (w *walker) expandedNodeID() error {
	mask, err := w.nodeID()
	if err != nil {
		return err
	}
	return w.fields(mask, field{0x80, (*walker).text}, field{0x40, bytes(4)})
}

// extensionObject walks the header of an ExtensionObject, and its body as the type the codec will make of it. A body
// of a type the codec does not know is only skipped, as the codec does.
func (w *walker) extensionObject() error {
	start := w.pos
	if err := w.expandedNodeID(); err != nil {
		return err
	}
	id := w.b[start:w.pos]
	mask, err := w.byte()
	if err != nil || mask == ua.ExtensionObjectEmpty {
		return err
	}
	n, err := w.int32()
	if err != nil || n == 0 || n == -1 {
		return err
	}
	if err := w.skip(n); err != nil {
		return err
	}
	if mask == ua.ExtensionObjectXML {
		return w.within(n, reflect.TypeFor[string]())
	}
	if t := registered(id); t != nil {
		return w.within(n, t)
	}
	return nil
}

// within walks a value of type t in the n bytes just skipped; bytes of the body after the value are allowed.
func (w *walker) within(n int, t reflect.Type) error {
	body := walker{b: w.b[w.pos-n : w.pos], depth: w.depth, values: w.values}
	err := body.value(t)
	w.values = body.values
	return err
}

// registered returns the type the codec decodes the body of an ExtensionObject with the given encoded id into, or nil.
// The registry cannot be asked, but the codec can: given an id and one zero byte it makes the value before it fails.
func registered(id []byte) reflect.Type {
	probe := append(append([]byte(nil), id...), ua.ExtensionObjectBinary, 1, 0, 0, 0, 0)
	var eo ua.ExtensionObject
	if _, err := eo.Decode(probe); eo.Value == nil || (err == nil && eo.TypeID == nil) {
		return nil
	}
	return reflect.TypeOf(eo.Value)
}
