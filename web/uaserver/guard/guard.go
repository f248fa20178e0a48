// Package guard looks over the bytes of a message before the codec decodes them, and refuses what the codec does not
// survive.
//
// The codec trusts what it reads: a 21-byte Variant whose dimensions multiply past 32 bits makes it loop for ever, a
// negative array length makes it panic, nesting has no limit, and a short message can ask for structures many times
// its size. The guard walks the same bytes along the same Go types without building anything, so a message it accepts
// is one the codec reads in time and memory proportional to its length.
package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/gopcua/opcua/ua"
)

const (
	// MaxDepth is how deep Variants, DiagnosticInfos and ExtensionObjects may lie in each other (OPC 10000-6, 5.1.5).
	MaxDepth = 100
	// MaxElements is the longest array in a message, in elements. It is the codec's own limit for a Variant.
	MaxElements = 65_535
	// MaxDimensions is the most dimensions an array may have.
	MaxDimensions = 8
	// MaxValues is the most structures, array elements and nested values in one message.
	MaxValues = 1_000_000
)

// ErrMalformed says that the bytes are not a message of the type.
var ErrMalformed = errors.New("malformed message")

// ErrLimit says that the bytes may be a message, but one beyond a limit of this package.
var ErrLimit = errors.New("message beyond the limits")

var (
	variantType         = reflect.TypeFor[ua.Variant]()
	dataValueType       = reflect.TypeFor[ua.DataValue]()
	diagnosticInfoType  = reflect.TypeFor[ua.DiagnosticInfo]()
	extensionObjectType = reflect.TypeFor[ua.ExtensionObject]()
	nodeIDType          = reflect.TypeFor[ua.NodeID]()
	expandedNodeIDType  = reflect.TypeFor[ua.ExpandedNodeID]()
	localizedTextType   = reflect.TypeFor[ua.LocalizedText]()
	guidType            = reflect.TypeFor[ua.GUID]()
	timeType            = reflect.TypeFor[time.Time]()
	decoderType         = reflect.TypeFor[ua.BinaryDecoder]()
)

// Check walks the encoding of a value of v's type at the front of b. It returns the number of bytes the value takes.
func Check(b []byte, v any) (int, error) {
	w := walker{b: b}
	if err := w.value(reflect.TypeOf(v)); err != nil {
		return w.pos, err
	}
	return w.pos, nil
}

// walker is the place reached in the bytes.
type walker struct {
	b      []byte
	pos    int
	depth  int
	values int
}

func (w *walker) skip(n int) error {
	if n < 0 || n > len(w.b)-w.pos {
		return fmt.Errorf("%w: %d bytes wanted at %d of %d", ErrMalformed, n, w.pos, len(w.b))
	}
	w.pos += n
	return nil
}

func (w *walker) byte() (byte, error) {
	if err := w.skip(1); err != nil {
		return 0, err
	}
	return w.b[w.pos-1], nil
}

func (w *walker) int32() (int, error) {
	if err := w.skip(4); err != nil {
		return 0, err
	}
	return int(int32(binary.LittleEndian.Uint32(w.b[w.pos-4:]))), nil
}

// text walks a length and as many bytes; -1 is null.
func (w *walker) text() error {
	n, err := w.int32()
	if err != nil || n == -1 {
		return err
	}
	return w.skip(n)
}

// length reads the length of an array whose elements take at least one byte each; null counts as 0.
func (w *walker) length() (int, error) {
	n, err := w.int32()
	switch {
	case err != nil:
		return 0, err
	case n == -1:
		return 0, nil
	case n < 0 || n > len(w.b)-w.pos:
		return 0, fmt.Errorf("%w: array of %d at %d of %d", ErrMalformed, n, w.pos, len(w.b))
	case n > MaxElements:
		return 0, fmt.Errorf("%w: array of %d elements, at most %d", ErrLimit, n, MaxElements)
	}
	return n, nil
}

func (w *walker) count() error {
	if w.values++; w.values > MaxValues {
		return fmt.Errorf("%w: more than %d values", ErrLimit, MaxValues)
	}
	return nil
}

// nested walks something that can contain itself.
func (w *walker) nested(walk func() error) error {
	if w.depth++; w.depth > MaxDepth {
		return fmt.Errorf("%w: nested deeper than %d", ErrLimit, MaxDepth)
	}
	defer func() { w.depth-- }()
	return walk()
}

// value walks one value of type t, in the order in which the codec looks at types.
func (w *walker) value(t reflect.Type) error {
	if err := w.count(); err != nil {
		return err
	}
	if t.Kind() == reflect.Pointer {
		if known, err := w.special(t.Elem()); known {
			return err
		}
		if t.Implements(decoderType) {
			return fmt.Errorf("%w: %s decodes itself in a way the guard does not know", ErrMalformed, t)
		}
		return w.value(t.Elem())
	}
	if t.ConvertibleTo(timeType) {
		return w.skip(8)
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Int8, reflect.Uint8:
		return w.skip(1)
	case reflect.Int16, reflect.Uint16:
		return w.skip(2)
	case reflect.Int32, reflect.Uint32, reflect.Float32:
		return w.skip(4)
	case reflect.Int64, reflect.Uint64, reflect.Float64:
		return w.skip(8)
	case reflect.String:
		return w.text()
	case reflect.Slice:
		return w.slice(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if err := w.value(t.Field(i).Type); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%w: the guard does not know %s", ErrMalformed, t)
}

func (w *walker) slice(elem reflect.Type) error {
	if elem.Kind() == reflect.Uint8 {
		return w.text()
	}
	n, err := w.length()
	for i := 0; i < n && err == nil; i++ {
		err = w.value(elem)
	}
	return err
}

// special walks the types that have a codec of their own.
func (w *walker) special(t reflect.Type) (bool, error) {
	switch t {
	case variantType:
		return true, w.nested(w.variant)
	case dataValueType:
		return true, w.nested(w.dataValue)
	case diagnosticInfoType:
		return true, w.nested(w.diagnosticInfo)
	case extensionObjectType:
		return true, w.nested(w.extensionObject)
	case nodeIDType:
		_, err := w.nodeID()
		return true, err
	case expandedNodeIDType:
		return true, w.expandedNodeID()
	case localizedTextType:
		return true, w.localizedText()
	case guidType:
		return true, w.skip(16)
	}
	return false, nil
}
