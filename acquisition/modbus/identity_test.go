package modbus

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"scada/simulators/plc"
)

func TestIdentityAndQueue(t *testing.T) {
	for _, framing := range []plc.Framing{plc.TCP, plc.RTU} {
		t.Run(framing.String(), func(t *testing.T) {
			simulated(t, 1, framing, func(r *rig, server *plc.Server) {
				id, err := r.c.Identity(r.t.Context(), "plc")
				if want := (Identity{Vendor: "Maker", Product: "Model 7", Revision: "1.2"}); err != nil || id != want {
					t.Errorf("identity %+v, %v", id, err)
				}
				c, err := r.c.Client(r.t.Context(), "plc")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.WriteMultipleRegisters(7000, 3, []byte{0, 2, 1, 2, 3, 4}); err != nil {
					t.Fatal(err)
				}
				if q, err := r.c.FIFO(r.t.Context(), "plc", 7000); err != nil || !slices.Equal(q, []uint16{0x0102, 0x0304}) {
					t.Errorf("queue %x, %v", q, err)
				}
				if _, err := c.WriteSingleRegister(7000, maxFIFO+1); err != nil {
					t.Fatal(err)
				}
				var exception *Exception
				if q, err := r.c.FIFO(r.t.Context(), "plc", 7000); !errors.As(err, &exception) || exception.Code != exIllegalValue {
					t.Errorf("a queue too long: %x, %v", q, err)
				}
				if err := server.Inject(plc.Fault{Kind: plc.ExceptionAnswer, Function: fcEncapsulated, Code: plc.IllegalFunction, Count: 1}); err != nil {
					t.Fatal(err)
				}
				if _, err := r.c.Identity(r.t.Context(), "plc"); !errors.As(err, &exception) || exception.Code != exIllegalFunction {
					t.Errorf("a device that does not know the function: %v", err)
				}
				if n := r.status(0).Counters; n.Writes != 2 || n.Timeouts+n.Malformed > 0 {
					t.Errorf("%+v", n)
				}
				time.Sleep(time.Second)
				r.allGood(2 * testPeriod)
			})
		})
	}
}

func TestIdentityInParts(t *testing.T) {
	var id Identity
	next := byte(0)
	more, err := id.read([]byte{14, 1, 1, 0xFF, 2, 2, 0, 1, 'a', 1, 0}, &next)
	if err != nil || !more || next != 2 {
		t.Fatalf("first part: more %v at %d, %v", more, next, err)
	}
	if more, err = id.read([]byte{14, 1, 1, 0, 0, 1, 2, 2, 'v', '1'}, &next); err != nil || more || id.Vendor != "a" || id.Revision != "v1" {
		t.Errorf("%+v, more %v, %v", id, more, err)
	}
	for _, bad := range [][]byte{nil, {14, 1, 1, 0, 0}, {13, 1, 1, 0, 0, 0}, {14, 1, 1, 0, 0, 1}, {14, 1, 1, 0, 0, 1, 0, 9, 'x'}, {14, 1, 1, 0, 0, 0, 7}, {14, 1, 1, 0xFF, 2, 0}} {
		if _, err := id.read(bad, &next); !errors.Is(err, ErrMalformed) {
			t.Errorf("% x: %v", bad, err)
		}
	}
	for _, bad := range [][]byte{nil, {0, 2, 0}, {0, 4, 0, 2, 1, 1}, {0, 2, 0, 1}, append([]byte{0, 66, 0, 32}, strings.Repeat("x", 64)...)} {
		if q, err := readFIFO(bad); !errors.Is(err, ErrMalformed) {
			t.Errorf("% x: %v, %v", bad, q, err)
		}
	}
}

// FuzzIdentity: whatever a device says of itself is read without panic, and is the same found by its length on a line.
func FuzzIdentity(f *testing.F) {
	f.Add([]byte{14, 1, 1, 0, 0, 1, 0, 1, 'a'})
	f.Add([]byte{14, 1, 1, 0xFF, 2, 2, 0, 1, 'a', 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var id Identity
		next := byte(0)
		if _, err := id.read(b, &next); err != nil || len(b)+4 > maxRTU {
			return
		}
		frame := rtuFrame(append([]byte{1, fcEncapsulated}, b...))
		if n := identityLength(frame); n != len(frame) {
			t.Fatalf("% x has %d bytes, its length is found to be %d", frame, len(frame), n)
		}
		for cut := range frame {
			if n := identityLength(frame[:cut]); n <= cut {
				t.Fatalf("after %d of %d bytes the length is found to be %d", cut, len(frame), n)
			}
		}
	})
}
