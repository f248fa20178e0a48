package modbus

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	goburrow "github.com/goburrow/modbus"
)

// The bounds of functions 24 and 43/14.
const (
	meiIdentity       = 14
	identityBasic     = 1  // vendor, product code, revision, streamed
	maxFIFO           = 31 // registers in a queue
	maxIdentityParts  = 8  // answers one identity may be spread over
	maxIdentityObject = 6  // the last object that has a name
)

// Identity is what a device says of itself (function 43/14). Devices need not know the function; most texts are short.
type Identity struct {
	Vendor, Product, Revision string // the basic ones
	URL, Name, Model, App     string // the regular ones, often empty
}

func (i *Identity) set(object byte, text string) {
	if object <= maxIdentityObject {
		*[...]*string{&i.Vendor, &i.Product, &i.Revision, &i.URL, &i.Name, &i.Model, &i.App}[object] = text
	}
}

// Identity asks a device who it is. It works while Run runs.
func (c *Channel) Identity(ctx context.Context, device string) (Identity, error) {
	d := c.byName[device]
	if d == nil {
		return Identity{}, fmt.Errorf("no device %q on this channel", device)
	}
	var id Identity
	next := byte(0)
	for range maxIdentityParts {
		pdu := goburrow.ProtocolDataUnit{FunctionCode: fcEncapsulated, Data: []byte{meiIdentity, identityBasic, next}}
		answer, err := c.answerTo(ctx, d, pdu)
		if err != nil {
			return Identity{}, fmt.Errorf("asking %s who it is: %w", device, err)
		}
		more, err := id.read(answer, &next)
		if err != nil || !more {
			return id, err
		}
	}
	return id, fmt.Errorf("%w: an identity in more than %d parts", ErrMalformed, maxIdentityParts)
}

// FIFO reads a queue of registers (function 24).
func (c *Channel) FIFO(ctx context.Context, device string, address uint16) ([]uint16, error) {
	d := c.byName[device]
	if d == nil {
		return nil, fmt.Errorf("no device %q on this channel", device)
	}
	b, err := c.answerTo(ctx, d, request(fcReadFIFO, address))
	if err != nil {
		return nil, fmt.Errorf("reading the queue at %d of %s: %w", address, device, err)
	}
	return readFIFO(b)
}

// answerTo is ask with exceptions as errors; it returns what follows the function code.
func (c *Channel) answerTo(ctx context.Context, d *device, pdu goburrow.ProtocolDataUnit) ([]byte, error) {
	answer, err := c.ask(ctx, d, pdu)
	if err != nil {
		return nil, err
	}
	return answer.Data, checkShape(pdu.FunctionCode, pdu.Data, answer.FunctionCode, answer.Data)
}

func readFIFO(b []byte) ([]uint16, error) {
	if len(b) < 4 || int(binary.BigEndian.Uint16(b)) != len(b)-2 {
		return nil, fmt.Errorf("%w: a queue of %d bytes", ErrMalformed, len(b))
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n > maxFIFO || len(b) != 4+2*n {
		return nil, fmt.Errorf("%w: a queue of %d registers in %d bytes", ErrMalformed, n, len(b))
	}
	queue := make([]uint16, n)
	for i := range queue {
		queue[i] = binary.BigEndian.Uint16(b[4+2*i:])
	}
	return queue, nil
}

// read adds one answer; more says that the rest begins at object next.
func (i *Identity) read(b []byte, next *byte) (more bool, err error) {
	const head = 6 // MEI, code, conformity, more follows, next object, number of objects
	if len(b) < head || b[0] != meiIdentity {
		return false, fmt.Errorf("%w: an identity of %d bytes", ErrMalformed, len(b))
	}
	rest := b[head:]
	for range b[5] {
		if len(rest) < 2 || len(rest) < 2+int(rest[1]) {
			return false, fmt.Errorf("%w: an identity cut short", ErrMalformed)
		}
		i.set(rest[0], strings.ToValidUTF8(string(rest[2:2+int(rest[1])]), "\uFFFD"))
		rest = rest[2+int(rest[1]):]
	}
	if len(rest) > 0 {
		return false, fmt.Errorf("%w: %d bytes behind an identity", ErrMalformed, len(rest))
	}
	if b[3] == 0 {
		return false, nil
	}
	if b[4] <= *next {
		return false, fmt.Errorf("%w: an identity that goes back from object %d to %d", ErrMalformed, *next, b[4])
	}
	*next = b[4]
	return true, nil
}

// fifoLength returns how long the RTU frame of an answer to function 24 is; while that is not known, a byte more than
// there is.
func fifoLength(b []byte) int {
	if len(b) < 4 {
		return len(b) + 1
	}
	return min(4+int(binary.BigEndian.Uint16(b[2:]))+2, maxRTU)
}

// identityLength is the same for function 43/14.
func identityLength(b []byte) int {
	const head = 8 // with unit and function
	if len(b) < head {
		return len(b) + 1
	}
	if b[2] != meiIdentity {
		return 0
	}
	at := head
	for range b[head-1] {
		if len(b) < at+2 {
			return min(max(len(b), at)+2, maxRTU)
		}
		at += 2 + int(b[at+1])
	}
	return min(at+2, maxRTU)
}
