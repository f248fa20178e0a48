package web

import (
	"encoding/binary"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"scada/acquisition/live"
)

const (
	// shareFrom is from how many values on a frame is worth sharing.
	shareFrom = 64
	// shareFor is how long a frame is given out to others that have read as far as the first: where values change all the time, sockets
	// would never meet again otherwise. What changed meanwhile comes with their next frame.
	shareFor = 10 * time.Millisecond
)

// shared is the newest frame of a set of tags that several sockets show, encoded once for all that have read equally far: hundreds of
// screens cost little more than one, and wait with the same bytes when they read slowly. The lock is held while it is made: the
// sockets wake together, and one of them does the work.
type shared struct {
	mu       sync.Mutex
	epoch    uint64
	kind     byte
	from, to uint64
	at       time.Time
	values   int
	encoded  []byte // never written to again: others may be sending it
}

func (h *shared) fits(s *subscription, v *view, now time.Time) bool {
	return h.encoded != nil && h.epoch == v.epoch && h.kind == s.kind() && h.from == s.cursor && (h.to == v.plant.Live.Seq() || now.Sub(h.at) < shareFor)
}

// forget lets the frame go: nobody is left to share it with.
func (h *shared) forget() {
	h.mu.Lock()
	h.encoded = nil
	h.mu.Unlock()
}

// kind is that of the next frame of the subscription.
func (s *subscription) kind() byte {
	if s.snapshot {
		return kindSnapshot
	}
	return kindDelta
}

// sendShared sends the next frame of a subscription to tags that others show as well.
func (w *writer) sendShared(s *subscription, v *view) (told, ok bool) {
	h := &s.set.shared
	h.mu.Lock()
	now := w.h.s.now()
	if h.fits(s, v, now) {
		s.cursor, s.snapshot = h.to, false
		s.sent(now)
	} else {
		from := s.cursor
		changes := w.h.changes.Get().(*[]live.Change)
		f, told := w.collect(s, v, changes)
		if !told || f.more || f.text > 0 || len(f.changes) < shareFrom {
			h.mu.Unlock()
			return w.sendOwn(f, changes, told)
		}
		h.epoch, h.kind, h.from, h.to, h.at, h.values = f.epoch, f.kind, from, f.seq, f.at, len(f.changes)
		h.encoded = appendFrame(nil, f)
		w.h.changes.Put(changes)
	}
	encoded, values := h.encoded, h.values
	h.mu.Unlock()
	return true, w.sendEncoded(s.id, encoded, values)
}

// sendEncoded sends a shared frame under the subscription's id and the connection's own number.
func (w *writer) sendEncoded(id uint16, encoded []byte, values int) bool {
	var head [frameHeader]byte
	copy(head[:], encoded)
	binary.LittleEndian.PutUint16(head[2:], id)
	binary.LittleEndian.PutUint32(head[32:], w.nextNumber(values))
	return w.pieces(websocket.BinaryMessage, head[:], encoded[frameHeader:])
}

// pieces writes one message that lies in several pieces, the first of them short. None of the others is copied: what hundreds of sockets
// are sent alike is in memory once, and each costs one system call. The library would make two frames of it, and two calls.
func (w *writer) pieces(kind int, first []byte, others ...[]byte) bool {
	size := len(first)
	for _, p := range others {
		size += len(p)
	}
	head := append(appendMessageHead(make([]byte, 0, maxMessageHead+len(first)), kind, size), first...)
	buffers := append(net.Buffers{head}, others...)
	conn := w.conn.NetConn()
	err := conn.SetWriteDeadline(w.h.s.now().Add(stuckTime))
	if err == nil {
		_, err = buffers.WriteTo(conn)
	}
	w.torn = err != nil
	return w.written(size, err)
}

// maxMessageHead is the longest head of a message of a server in bytes.
const maxMessageHead = 10

// appendMessageHead appends what RFC 6455 puts before a message of a server that comes in one frame.
func appendMessageHead(b []byte, kind, size int) []byte {
	const final = 1 << 7
	b = append(b, final|byte(kind))
	switch {
	case size < 126:
		return append(b, byte(size))
	case size < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(b, 127), uint64(size))
}
