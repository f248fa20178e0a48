package modbus

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"time"
)

// slave is a device for tests. Its registers tell where they are, so that a wrong or shifted value is seen.
type slave struct {
	t       *testing.T
	rtu     bool
	latency time.Duration

	mu       sync.Mutex
	n        int    // requests seen
	asked    []byte // the last of them
	conns    []*memConn
	dials    int
	refuse   error                         // dials fail
	black    bool                          // dials hang
	mute     bool                          // accepts, reads, never answers
	deaf     bool                          // accepts, does not read
	dead     map[byte]bool                 // units that do not answer
	holes    map[int]bool                  // registers that do not exist
	most     int                           // registers in a request
	override map[int]uint16                // registers written
	except   map[int]byte                  // exception to the n-th request
	bad      map[int]behaviour             // what happens instead of the n-th answer
	badReq   func(pdu []byte) bool         // if set, bad[-1] happens to the first request it matches
	writes   [][]byte                      // PDUs of writes, as executed
	lose     func(pdu []byte) bool         // requests that are executed and not answered
	content  func(unit byte, a int) uint16 // if set, of registers that were not written
	wrote    func(pdu []byte)              // if set, is told of writes in place of writes
	chance   func() behaviour              // if set, what happens to each answer, nil is nothing
	maxConns int
	idle     chan struct{}
	replies  sync.WaitGroup // on their way, and connections that are served
	line     chan func()    // what a device on a serial line does, one after the other
}

// work does what is on the line until stop.
func (s *slave) work(line chan func()) {
	defer close(s.idle)
	for f := range line {
		f()
	}
}

// behaviour sends something to a request; good is what should be sent.
type behaviour func(s *slave, c *memConn, good []byte)

func newSlave(t *testing.T) *slave {
	return &slave{t: t, latency: 5 * time.Millisecond, dead: map[byte]bool{}, holes: map[int]bool{}, override: map[int]uint16{}, except: map[int]byte{}, bad: map[int]behaviour{}}
}

// register is the content of a register unless it was written.
func register(unit byte, a int) uint16 { return uint16(a*7+3) ^ uint16(unit-1)<<12 }

func (s *slave) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	s.mu.Lock()
	s.dials++
	black, refuse := s.black, s.refuse
	s.mu.Unlock()
	if black {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if refuse != nil {
		return nil, refuse
	}
	a, b := memPipe()
	s.mu.Lock()
	open := 0
	for _, c := range s.conns {
		c.in.mu.Lock()
		if c.in.closed == nil {
			open++
		}
		c.in.mu.Unlock()
	}
	s.maxConns = max(s.maxConns, open+1)
	s.conns = append(s.conns, b)
	if s.rtu && s.line == nil {
		s.line, s.idle = make(chan func(), 10000), make(chan struct{})
		go s.work(s.line)
	}
	s.replies.Add(1) // held while it serves, so that none is added while stop waits for the last
	s.mu.Unlock()
	go s.serve(b)
	return a, nil
}

func (s *slave) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line != nil {
		for len(s.line) > 0 {
			<-s.line
		}
		close(s.line)
		s.line = nil
		s.mu.Unlock()
		<-s.idle
		s.mu.Lock()
	}
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.replies.Wait()
	s.mu.Lock()
}

func (s *slave) serve(c *memConn) {
	defer s.replies.Done()
	var b []byte
	buf := make([]byte, 512)
	for {
		s.mu.Lock()
		deaf := s.deaf
		s.mu.Unlock()
		if deaf {
			return
		}
		n, err := c.Read(buf)
		if err != nil {
			c.Close()
			return
		}
		b = append(b, buf[:n]...)
		for {
			used := s.requestLength(b)
			if used == 0 || len(b) < used {
				break
			}
			s.request(c, append([]byte(nil), b[:used]...))
			b = b[used:]
		}
	}
}

func (s *slave) requestLength(b []byte) int {
	if !s.rtu {
		if len(b) < 6 {
			return 0
		}
		return 6 + int(binary.BigEndian.Uint16(b[4:]))
	}
	if len(b) < 8 {
		return 0
	}
	switch b[1] {
	case 15, 16:
		return 9 + int(b[6])
	case 22:
		return 10
	case 23:
		if len(b) < 11 {
			return 0
		}
		return 13 + int(b[10])
	}
	return 8
}

// request executes a request and sends, after the latency, the answer or what the script says.
func (s *slave) request(c *memConn, adu []byte) {
	unit, pdu := byte(0), []byte(nil)
	if s.rtu {
		unit, pdu = adu[0], adu[1:len(adu)-2]
	} else {
		unit, pdu = adu[6], adu[7:]
	}
	s.mu.Lock()
	n := s.n
	s.n++
	s.asked = adu
	bad := s.bad[n]
	if s.badReq != nil && s.badReq(pdu) {
		bad, s.badReq = s.bad[-1], nil
	}
	if s.chance != nil {
		bad = s.chance()
	}
	code := s.except[n]
	quiet := s.mute || s.dead[unit]
	answer := s.execute(unit, pdu)
	if s.lose != nil && s.lose(pdu) {
		quiet = true
	}
	s.mu.Unlock()
	if quiet {
		return
	}
	if code != 0 {
		answer = []byte{pdu[0] | 0x80, code}
	}
	good := s.frame(adu, unit, answer)
	reply := func() {
		if bad != nil {
			bad(s, c, good)
			return
		}
		c.send(good)
	}
	if s.rtu {
		s.line <- func() { time.Sleep(s.latency); reply() }
		return
	}
	s.replies.Add(1)
	time.AfterFunc(s.latency, func() {
		defer s.replies.Done()
		reply()
	})
}

func (s *slave) frame(adu []byte, unit byte, pdu []byte) []byte {
	if s.rtu {
		return rtuFrame(append([]byte{unit}, pdu...))
	}
	out := append([]byte{adu[0], adu[1], 0, 0, 0, byte(1 + len(pdu)), unit}, pdu...)
	binary.BigEndian.PutUint16(out[4:], uint16(1+len(pdu)))
	return out
}

func rtuFrame(b []byte) []byte { return binary.LittleEndian.AppendUint16(b, crc(b)) }

func (s *slave) value(unit byte, a int) uint16 {
	if v, ok := s.override[a]; ok {
		return v
	}
	if s.content != nil {
		return s.content(unit, a)
	}
	return register(unit, a)
}

func (s *slave) execute(unit byte, pdu []byte) []byte {
	fc := pdu[0]
	if fc == fcEncapsulated {
		return []byte{fc | 0x80, exIllegalFunction}
	}
	a, q := int(binary.BigEndian.Uint16(pdu[1:])), int(binary.BigEndian.Uint16(pdu[3:]))
	except := func(code byte) []byte { return []byte{fc | 0x80, code} }
	n := q
	if fc == 5 || fc == 6 || fc == 22 {
		n = 1
	}
	for i := a; i < a+n; i++ {
		if s.holes[i] {
			return except(2)
		}
	}
	if s.most > 0 && n > s.most {
		return except(3)
	}
	switch fc {
	case 1, 2:
		out := make([]byte, 2+(q+7)/8)
		out[0], out[1] = fc, byte((q+7)/8)
		for i := range q {
			out[2+i/8] |= byte(s.value(unit, a+i)&1) << (i % 8)
		}
		return out
	case 3, 4:
		out := []byte{fc, byte(2 * q)}
		for i := range q {
			out = binary.BigEndian.AppendUint16(out, s.value(unit, a+i))
		}
		return out
	}
	if s.wrote != nil {
		s.wrote(pdu)
	} else {
		s.writes = append(s.writes, append([]byte(nil), pdu...))
	}
	switch fc {
	case 5:
		s.override[a] = uint16(q >> 15)
		return pdu
	case 6:
		s.override[a] = uint16(q)
		return pdu
	case 15:
		for i := range q {
			s.override[a+i] = uint16(pdu[6+i/8] >> (i % 8) & 1)
		}
		return pdu[:5]
	case 16:
		for i := range q {
			s.override[a+i] = binary.BigEndian.Uint16(pdu[6+2*i:])
		}
		return pdu[:5]
	case 22:
		and, or := uint16(q), binary.BigEndian.Uint16(pdu[5:])
		s.override[a] = s.value(unit, a)&and | or&^and
		return pdu
	case 23:
		wa, wq := int(binary.BigEndian.Uint16(pdu[5:])), int(binary.BigEndian.Uint16(pdu[7:]))
		for i := range wq {
			s.override[wa+i] = binary.BigEndian.Uint16(pdu[10+2*i:])
		}
		out := s.execute(unit, append([]byte{3}, pdu[1:5]...))
		out[0] = 23
		return out
	}
	return except(1)
}
