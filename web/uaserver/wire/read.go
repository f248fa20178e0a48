package wire

import (
	"encoding/binary"
	"math"

	"github.com/gopcua/opcua/ua"
)

// Reader takes fields from the front of a message. After the first field that is not there, Err is set and all fields
// are zero.
type Reader struct {
	B   []byte
	Err error
}

func (r *Reader) take(n int) []byte {
	if r.Err != nil || n < 0 || n > len(r.B) {
		r.Err = ErrShort
		return nil
	}
	b := r.B[:n]
	r.B = r.B[n:]
	return b
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// Uint16 reads a number.
func (r *Reader) Uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

// Uint32 reads a number.
func (r *Reader) Uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// Uint64 reads a number.
func (r *Reader) Uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// Float64 reads a number.
func (r *Reader) Float64() float64 { return math.Float64frombits(r.Uint64()) }

// Text reads a string or byte string; the bytes are those of the message.
func (r *Reader) Text() []byte {
	n := r.Uint32()
	if n == null || n == 0 {
		return nil
	}
	if n > math.MaxInt32 {
		r.Err = ErrShort
		return nil
	}
	return r.take(int(n))
}

// Count reads the length of an array whose elements take at least size bytes each.
func (r *Reader) Count(size int) int {
	n := r.Uint32()
	if n == null {
		return 0
	}
	if r.Err != nil || int(n) > len(r.B)/size {
		r.Err = ErrShort
		return 0
	}
	return int(n)
}

// NodeID is a node id as it stands in a message.
type NodeID struct {
	Namespace uint16
	Kind      ua.NodeIDType // Numeric for all three numeric forms
	Number    uint32
	Text      []byte // of String, ByteString and GUID; the bytes are those of the message
}

// NodeID reads a node id.
func (r *Reader) NodeID() NodeID { n, _ := r.nodeID(); return n }

func (r *Reader) nodeID() (NodeID, byte) {
	mask := r.Byte()
	switch kind := ua.NodeIDType(mask & 0xf); kind {
	case ua.NodeIDTypeTwoByte:
		return NodeID{Kind: ua.NodeIDTypeNumeric, Number: uint32(r.Byte())}, mask
	case ua.NodeIDTypeFourByte:
		ns := r.Byte()
		return NodeID{Kind: ua.NodeIDTypeNumeric, Namespace: uint16(ns), Number: uint32(r.Uint16())}, mask
	case ua.NodeIDTypeNumeric:
		ns := r.Uint16()
		return NodeID{Kind: kind, Namespace: ns, Number: r.Uint32()}, mask
	case ua.NodeIDTypeString, ua.NodeIDTypeByteString:
		ns := r.Uint16()
		return NodeID{Kind: kind, Namespace: ns, Text: r.Text()}, mask
	case ua.NodeIDTypeGUID:
		ns := r.Uint16()
		return NodeID{Kind: kind, Namespace: ns, Text: r.take(16)}, mask
	}
	r.Err = ErrShort
	return NodeID{}, mask
}

// ExpandedNodeID reads a node id and passes over its namespace URI and server index.
func (r *Reader) ExpandedNodeID() NodeID {
	n, mask := r.nodeID()
	if mask&0x80 != 0 {
		r.Text()
	}
	if mask&0x40 != 0 {
		r.Uint32()
	}
	return n
}

// RequestHeader is what the server uses of the header of a request.
type RequestHeader struct {
	Type    uint32 // id of the request's encoding
	Token   NodeID // authentication token
	Handle  uint32
	Timeout uint32 // ms, 0 is none
}

// RequestHeader reads the type id and header of a request.
func (r *Reader) RequestHeader() RequestHeader {
	typ := r.ExpandedNodeID()
	h := RequestHeader{Token: r.NodeID()}
	if typ.Kind == ua.NodeIDTypeNumeric && typ.Namespace == 0 {
		h.Type = typ.Number
	}
	r.Uint64() // timestamp
	h.Handle = r.Uint32()
	r.Uint32() // diagnostics wanted
	r.Text()   // audit id
	h.Timeout = r.Uint32()
	r.ExpandedNodeID()
	if r.Byte() != ua.ExtensionObjectEmpty {
		r.Text()
	}
	return h
}

// ReadItem is one value a Read asks for.
type ReadItem struct {
	Node       NodeID
	Attribute  ua.AttributeID
	IndexRange []byte
	Encoding   []byte // name of the data encoding
}

// readItemBytes is the least a ReadItem takes.
const readItemBytes = 2 + 4 + 4 + 2 + 4

// ReadItems reads the length of the list of values to read.
func (r *Reader) ReadItems() int { return r.Count(readItemBytes) }

// ReadItem reads one of them.
func (r *Reader) ReadItem() ReadItem {
	it := ReadItem{Node: r.NodeID()}
	it.Attribute = ua.AttributeID(r.Uint32())
	it.IndexRange = r.Text()
	r.Uint16()
	it.Encoding = r.Text()
	return it
}
