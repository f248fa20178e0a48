package modbus

import (
	"bytes"
	"testing"
)

// FuzzMBAP: whatever arrives, in whatever pieces, frames are found without panic, within bounds, and the same way.
func FuzzMBAP(f *testing.F) {
	good := []byte{0, 1, 0, 0, 0, 9, 1, 3, 6, 0, 3, 0, 10, 0, 17}
	f.Add(good, 3)
	f.Add(append(append([]byte{}, good...), good...), 15)
	f.Add([]byte{0, 1, 0, 0, 0, 2, 1, 0x83}, 1)
	f.Add([]byte{0, 1, 0, 0, 0xFF, 0xFF}, 5)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		whole, wholeErr := frames(b)
		if cut < 0 || cut > len(b) {
			return
		}
		var pieces [][]byte
		var buf []byte
		var err error
		for _, part := range [][]byte{b[:cut], b[cut:]} {
			buf = append(buf, part...)
			for err == nil {
				var n int
				if n, err = splitTCP(buf); n == 0 {
					break
				}
				pieces = append(pieces, append([]byte(nil), buf[:n]...))
				buf = buf[n:]
			}
		}
		if len(pieces) != len(whole) || (err == nil) != (wholeErr == nil) {
			t.Fatalf("cut at %d: %d frames (%v), in one piece %d (%v)", cut, len(pieces), err, len(whole), wholeErr)
		}
		for i, adu := range whole {
			if !bytes.Equal(adu, pieces[i]) || len(adu) > maxADU || len(adu) < mbapHeader+2 {
				t.Fatalf("frame %d: % x, in pieces % x", i, adu, pieces[i])
			}
			tx := &tx{dev: fuzzDevice("tcp://x:1"), pdu: readRequest(3, 0, 3)}
			tx.adu = tx.dev.encode(tx.pdu)
			if pdu, err := decodeAnswer(tx, adu); err == nil && len(pdu.Data) != 7 {
				t.Fatalf("an answer of %d bytes was accepted for 3 registers", len(pdu.Data))
			}
		}
	})
}

func frames(b []byte) (all [][]byte, err error) {
	for {
		n, err := splitTCP(b)
		if n == 0 {
			return all, err
		}
		all = append(all, b[:n])
		b = b[n:]
	}
}

func fuzzDevice(endpoint string) *device {
	sources, err := New([]Device{{Name: "x", Endpoints: []string{endpoint}, Unit: 1}}, Options{})
	if err != nil {
		panic(err)
	}
	return sources[0].(*Channel).devices[0]
}

// FuzzRTU: noise never panics, never passes for an answer without the right checksum, and never hides the answer
// behind it.
func FuzzRTU(f *testing.F) {
	f.Add([]byte{}, byte(1), byte(3), uint16(3))
	f.Add([]byte{1, 3, 6, 0, 3}, byte(1), byte(3), uint16(3))
	f.Add([]byte{1, 0x83, 2}, byte(1), byte(3), uint16(1))
	f.Add([]byte{1, 16, 0, 1, 0, 2}, byte(1), byte(16), uint16(2))
	f.Fuzz(func(t *testing.T, noise []byte, unit, fc byte, n uint16) {
		request := []byte{0, 0, byte(n >> 8), byte(n)}
		if fc >= exceptionBit || fc == 0 || len(noise) > 64 || n == 0 || n > 125 {
			return
		}
		size := answerSize(fc, append(request, 0, 0))
		frame, used := findRTU(noise, unit, fc, size)
		if used > len(noise) || frame != nil && (frame[0] != unit || frame[1]&^exceptionBit != fc || crc(frame) != 0) {
			t.Fatalf("% x found in % x, used %d", frame, noise, used)
		}
		if frame != nil || size < 0 {
			return
		}
		body := make([]byte, 2+size)
		body[0], body[1] = unit, fc
		if isRead(fc) {
			body[2] = byte(size - 1)
		}
		good := rtuFrame(body)
		found, _ := findRTU(append(append([]byte(nil), noise[used:]...), good...), unit, fc, size)
		if found == nil {
			t.Fatalf("the answer % x is not found behind % x (kept % x)", good, noise, noise[used:])
		}
	})
}
