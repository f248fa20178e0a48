package modbus

import (
	"encoding/binary"
	"time"
)

// patch sends the good answer with one byte changed.
func patch(at int, v byte) behaviour {
	return func(_ *slave, c *memConn, good []byte) {
		good[at] = v
		c.send(good)
	}
}

// length sends the good answer with another length in its header.
func length(f func(int) int) behaviour {
	return func(_ *slave, c *memConn, good []byte) {
		binary.BigEndian.PutUint16(good[4:], uint16(f(int(binary.BigEndian.Uint16(good[4:])))))
		c.send(good)
	}
}

// reshaped sends a well-framed answer with other content.
func reshaped(f func(pdu []byte) []byte) behaviour {
	return func(s *slave, c *memConn, good []byte) {
		c.send(s.frame(good, good[6], f(append([]byte(nil), good[7:]...))))
	}
}

// resized makes an answer one register (of bits: one byte) longer or shorter; a byte count agrees with what follows.
func resized(longer bool) behaviour {
	return reshaped(func(pdu []byte) []byte {
		n := 2
		if pdu[0] <= fcReadDiscrete {
			n = 1
		}
		if longer {
			pdu = append(pdu, []byte{0, 24}[:n]...)
		} else {
			pdu, n = pdu[:len(pdu)-n], -n
		}
		if isRead(pdu[0]) {
			pdu[1] = byte(int(pdu[1]) + n)
		}
		return pdu
	})
}

// drip sends the bytes one by one.
func drip(pause time.Duration, from int) behaviour {
	return func(_ *slave, c *memConn, good []byte) {
		c.turn <- struct{}{}
		defer func() { <-c.turn }()
		c.Write(good[:from])
		for i := from; i < len(good); i++ {
			time.Sleep(pause)
			if _, err := c.Write(good[i : i+1]); err != nil {
				return
			}
		}
	}
}

func delayed(d time.Duration) behaviour {
	return func(_ *slave, c *memConn, good []byte) {
		time.Sleep(d)
		c.send(good)
	}
}
