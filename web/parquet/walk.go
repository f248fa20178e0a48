package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The metadata of a file is in Thrift's compact protocol, whose decoder allocates what lengths and sizes say before it has
// seen the bytes. So they are walked through first.

const (
	maxDepth    = 16      // structures in structures
	maxElements = 1 << 18 // of all lists of the metadata together
)

var errMetadata = errors.New("malformed metadata")

// The types of the compact protocol.
const (
	thriftTrue = 1 + iota
	thriftFalse
	thriftByte
	thriftI16
	thriftI32
	thriftI64
	thriftDouble
	thriftBinary
	thriftList
	thriftSet
	thriftMap
	thriftStruct
)

// walker passes over bytes that are wrong nowhere.
type walker struct {
	left     []byte
	elements int
}

// walk returns how many bytes the structure has that b begins with.
func walk(b []byte) (int, error) {
	w := walker{left: b}
	if err := w.structure(0); err != nil {
		return 0, err
	}
	return len(b) - len(w.left), nil
}

func (w *walker) take(n uint64) ([]byte, error) {
	if n > uint64(len(w.left)) {
		return nil, io.ErrUnexpectedEOF
	}
	b := w.left[:n]
	w.left = w.left[n:]
	return b, nil
}

func (w *walker) uvarint() (uint64, error) {
	v, n := binary.Uvarint(w.left)
	if n <= 0 {
		return 0, fmt.Errorf("%w: a number", errMetadata)
	}
	w.left = w.left[n:]
	return v, nil
}

func (w *walker) structure(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: more than %d structures in one another", errMetadata, maxDepth)
	}
	for {
		head, err := w.take(1)
		if err != nil || head[0] == 0 {
			return err
		}
		if head[0]>>4 == 0 { // the field's number follows
			if _, err := w.uvarint(); err != nil {
				return err
			}
		}
		if typ := head[0] & 15; typ != thriftTrue && typ != thriftFalse { // they are all there is of a boolean
			if err := w.value(typ, depth); err != nil {
				return err
			}
		}
	}
}

// value passes over a value; a boolean in a list has a byte.
func (w *walker) value(typ byte, depth int) error {
	var err error
	switch typ {
	case thriftTrue, thriftFalse, thriftByte:
		_, err = w.take(1)
	case thriftI16, thriftI32, thriftI64:
		_, err = w.uvarint()
	case thriftDouble:
		_, err = w.take(8)
	case thriftBinary:
		var n uint64
		if n, err = w.uvarint(); err == nil {
			_, err = w.take(n)
		}
	case thriftList, thriftSet:
		err = w.list(depth)
	case thriftStruct:
		err = w.structure(depth + 1)
	default: // there are no maps in a Parquet file
		err = fmt.Errorf("%w: a value of type %d", errMetadata, typ)
	}
	return err
}

func (w *walker) list(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: more than %d lists in one another", errMetadata, maxDepth)
	}
	head, err := w.take(1)
	if err != nil {
		return err
	}
	n := uint64(head[0] >> 4)
	if n == 15 {
		if n, err = w.uvarint(); err != nil {
			return err
		}
	}
	if n > uint64(maxElements-w.elements) {
		return fmt.Errorf("%w: more than %d elements", errMetadata, maxElements)
	}
	w.elements += int(n)
	for range n {
		if err := w.value(head[0]&15, depth+1); err != nil {
			return err
		}
	}
	return nil
}
