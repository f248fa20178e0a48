package web

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"scada/acquisition/live"
)

// shareFrom is from how many values on a frame is worth sharing.
const shareFrom = 64

// shared is the newest frame of the whole plant, encoded once for all sockets that have read equally far: hundreds of screens cost
// little more than one, and wait with the same bytes when they read slowly. The lock is held while it is made: the sockets wake
// together, and one of them does the work.
type shared struct {
	mu       sync.Mutex
	revision int
	epoch    uint64
	kind     byte
	from, to uint64
	at       time.Time
	values   int
	encoded  []byte // never written to again: others may be sending it
}

func (h *shared) fits(s *subscription, v view) bool {
	return h.encoded != nil && h.revision == v.revision && h.epoch == v.epoch && h.kind == s.kind() && h.from == s.cursor && h.to == v.plant.Live.Seq()
}

// kind is that of the next frame of the subscription.
func (s *subscription) kind() byte {
	if s.snapshot {
		return kindSnapshot
	}
	return kindDelta
}

// sendShared sends the next frame of a subscription to the whole plant.
func (w *writer) sendShared(s *subscription, v view) (told, ok bool) {
	h := &w.h.shared
	h.mu.Lock()
	if h.fits(s, v) {
		s.cursor, s.snapshot, s.due = h.to, false, w.h.s.now().Add(s.period)
	} else {
		from := s.cursor
		changes := w.h.changes.Get().(*[]live.Change)
		f, told := w.collect(s, v, changes)
		if !told || f.more || f.text > 0 || len(f.changes) < shareFrom {
			h.mu.Unlock()
			return w.sendOwn(f, changes, told)
		}
		h.revision, h.epoch, h.kind, h.from, h.to, h.at, h.values = v.revision, f.epoch, f.kind, from, f.seq, f.at, len(f.changes)
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
	w.conn.SetWriteDeadline(w.h.s.now().Add(stuckTime))
	out, err := w.conn.NextWriter(websocket.BinaryMessage)
	if err == nil {
		_, err = out.Write(head[:])
	}
	if err == nil {
		_, err = out.Write(encoded[frameHeader:])
	}
	if err == nil {
		err = out.Close()
	}
	return w.written(len(encoded), err)
}
