package plc

import "encoding/binary"

// Quantities the protocol allows in one request.
const (
	maxReadBits       = 2000
	maxReadRegisters  = 125
	maxWriteBits      = 1968
	maxWriteRegisters = 123
	maxBothWrite      = 121 // registers written by function 23
	maxQueue          = 31  // registers of function 24
)

// The functions served.
const (
	fcReadCoils          = 1
	fcReadDiscreteInputs = 2
	fcReadHolding        = 3
	fcReadInput          = 4
	fcWriteCoil          = 5
	fcWriteRegister      = 6
	fcWriteCoils         = 15
	fcWriteRegisters     = 16
	fcMaskWrite          = 22
	fcReadWrite          = 23
	fcReadFIFO           = 24
	fcEncapsulated       = 43
	meiDeviceID          = 14
)

// Identity is what function 43/14 answers: vendor, product code and revision.
type Identity struct{ Vendor, Product, Revision string }

// call is one request as far as the journal is concerned.
type call struct {
	function  uint8
	area      Area
	addr      uint16
	quantity  uint16
	write     bool
	values    []uint16
	exception Exception
}

// answer executes a request PDU on a bank and returns the answer PDU and what was asked.
func answer(b Bank, id Identity, pdu []byte) ([]byte, call) {
	if len(pdu) == 0 {
		return nil, call{}
	}
	c := call{function: pdu[0]}
	if len(pdu) >= 5 {
		c.addr, c.quantity = binary.BigEndian.Uint16(pdu[1:]), binary.BigEndian.Uint16(pdu[3:])
	}
	var out []byte
	switch c.function {
	case fcReadCoils, fcReadDiscreteInputs, fcReadHolding, fcReadInput:
		out = c.read(b, pdu)
	case fcWriteCoil, fcWriteRegister:
		out = c.writeOne(b, pdu)
	case fcWriteCoils, fcWriteRegisters:
		out = c.writeMany(b, pdu)
	case fcMaskWrite:
		out = c.maskWrite(b, pdu)
	case fcReadWrite:
		out = c.readWrite(b, pdu)
	case fcReadFIFO:
		out = c.readFIFO(b, pdu)
	case fcEncapsulated:
		out = c.identify(id, pdu)
	default:
		c.exception = IllegalFunction
	}
	if c.exception != 0 {
		return []byte{c.function | 0x80, byte(c.exception)}, c
	}
	return out, c
}

func (c *call) fail(e Exception) []byte {
	c.exception = e
	return nil
}

func (c *call) read(b Bank, pdu []byte) []byte {
	c.area = map[uint8]Area{1: Coils, 2: DiscreteInputs, 3: HoldingRegisters, 4: InputRegisters}[c.function]
	limit := uint16(maxReadRegisters)
	if c.area.IsBits() {
		limit = maxReadBits
	}
	if len(pdu) != 5 || c.quantity == 0 || c.quantity > limit {
		return c.fail(IllegalValue)
	}
	return c.readInto(b, c.area, c.addr, c.quantity)
}

func (c *call) readInto(b Bank, area Area, addr, n uint16) []byte {
	if int(addr)+int(n) > 1<<16 {
		return c.fail(IllegalAddress)
	}
	values := make([]uint16, n)
	if e := b.Read(area, addr, values); e != 0 {
		return c.fail(e)
	}
	if !area.IsBits() {
		out := []byte{c.function, byte(2 * n)}
		for _, v := range values {
			out = binary.BigEndian.AppendUint16(out, v)
		}
		return out
	}
	out := make([]byte, 2+(n+7)/8)
	out[0], out[1] = c.function, byte((n+7)/8)
	for i, v := range values {
		if v != 0 {
			out[2+i/8] |= 1 << (i % 8)
		}
	}
	return out
}

func (c *call) writeOne(b Bank, pdu []byte) []byte {
	if len(pdu) != 5 {
		return c.fail(IllegalValue)
	}
	c.write, c.area, c.values = true, HoldingRegisters, []uint16{c.quantity}
	if c.function == fcWriteCoil {
		if c.quantity != 0 && c.quantity != 0xFF00 {
			return c.fail(IllegalValue)
		}
		c.area, c.values[0] = Coils, c.quantity>>15
	}
	c.quantity = 1
	if e := b.Write(c.area, c.addr, c.values); e != 0 {
		return c.fail(e)
	}
	return append([]byte(nil), pdu...)
}

func (c *call) writeMany(b Bank, pdu []byte) []byte {
	limit, size := uint16(maxWriteRegisters), 2*int(c.quantity)
	c.write, c.area = true, HoldingRegisters
	if c.function == fcWriteCoils {
		limit, size, c.area = maxWriteBits, (int(c.quantity)+7)/8, Coils
	}
	if len(pdu) != 6+size || c.quantity == 0 || c.quantity > limit || int(pdu[5]) != size {
		return c.fail(IllegalValue)
	}
	if int(c.addr)+int(c.quantity) > 1<<16 {
		return c.fail(IllegalAddress)
	}
	c.values = make([]uint16, c.quantity)
	for i := range c.values {
		if c.area == Coils {
			c.values[i] = uint16(pdu[6+i/8]>>(i%8)) & 1
		} else {
			c.values[i] = binary.BigEndian.Uint16(pdu[6+2*i:])
		}
	}
	if e := b.Write(c.area, c.addr, c.values); e != 0 {
		return c.fail(e)
	}
	return append([]byte(nil), pdu[:5]...)
}

func (c *call) maskWrite(b Bank, pdu []byte) []byte {
	if len(pdu) != 7 {
		return c.fail(IllegalValue)
	}
	c.write, c.area = true, HoldingRegisters
	and, or := c.quantity, binary.BigEndian.Uint16(pdu[5:])
	c.quantity = 1
	var now [1]uint16
	if e := b.Read(HoldingRegisters, c.addr, now[:]); e != 0 {
		return c.fail(e)
	}
	c.values = []uint16{now[0]&and | or&^and}
	if e := b.Write(HoldingRegisters, c.addr, c.values); e != 0 {
		return c.fail(e)
	}
	return append([]byte(nil), pdu...)
}

func (c *call) readWrite(b Bank, pdu []byte) []byte {
	c.write, c.area = true, HoldingRegisters
	if len(pdu) < 10 {
		return c.fail(IllegalValue)
	}
	addr, n := binary.BigEndian.Uint16(pdu[5:]), binary.BigEndian.Uint16(pdu[7:])
	if c.quantity == 0 || c.quantity > maxReadRegisters || n == 0 || n > maxBothWrite || int(pdu[9]) != 2*int(n) || len(pdu) != 10+2*int(n) {
		return c.fail(IllegalValue)
	}
	c.values = make([]uint16, n)
	for i := range c.values {
		c.values[i] = binary.BigEndian.Uint16(pdu[10+2*i:])
	}
	if int(addr)+int(n) > 1<<16 {
		return c.fail(IllegalAddress)
	}
	if e := b.Write(HoldingRegisters, addr, c.values); e != 0 {
		return c.fail(e)
	}
	return c.readInto(b, HoldingRegisters, c.addr, c.quantity)
}

// readFIFO answers with a queue: the register at the address says how many follow it.
func (c *call) readFIFO(b Bank, pdu []byte) []byte {
	c.area, c.quantity = HoldingRegisters, 0
	if len(pdu) != 3 {
		return c.fail(IllegalValue)
	}
	c.addr = binary.BigEndian.Uint16(pdu[1:])
	var n [1]uint16
	if e := b.Read(HoldingRegisters, c.addr, n[:]); e != 0 {
		return c.fail(e)
	}
	c.quantity = n[0] + 1
	if n[0] > maxQueue {
		return c.fail(IllegalValue)
	}
	body := c.readInto(b, HoldingRegisters, c.addr, c.quantity)
	if body == nil {
		return nil
	}
	return append([]byte{c.function, 0, body[1]}, body[2:]...)
}

// identify answers 43/14 for the basic category and for one object.
func (c *call) identify(id Identity, pdu []byte) []byte {
	c.addr, c.quantity = 0, 0
	if len(pdu) != 4 || pdu[1] != meiDeviceID {
		return c.fail(IllegalFunction)
	}
	objects := []string{id.Vendor, id.Product, id.Revision}
	first, last := int(pdu[3]), len(objects)-1
	switch {
	case pdu[2] == 4 && first > last:
		return c.fail(IllegalAddress)
	case pdu[2] == 4:
		last = first
	case pdu[2] < 1 || pdu[2] > 4:
		return c.fail(IllegalValue)
	case first > last:
		first = 0
	}
	out := []byte{fcEncapsulated, meiDeviceID, pdu[2], 0x81, 0, 0, byte(last - first + 1)}
	for i := first; i <= last; i++ {
		text := objects[i][:min(len(objects[i]), 60)]
		out = append(append(out, byte(i), byte(len(text))), text...)
	}
	return out
}
