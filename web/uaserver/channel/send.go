package channel

import (
	"fmt"
	"time"

	"github.com/gopcua/opcua/uacp"
	"github.com/gopcua/opcua/uasc"
)

// answer is a message waiting to be written.
type answer struct {
	id   uint32
	body []byte
	seal *asymmetric // not nil: the answer to OpenSecureChannel
}

// Send queues an answer and returns at once; body belongs to the connection from then on. If the client has not taken
// the answers before it, the connection is closed.
func (c *Conn) Send(requestID uint32, body []byte) error {
	return c.enqueue(answer{id: requestID, body: body})
}

func (c *Conn) enqueue(a answer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing != nil {
		return c.closing
	}
	if c.queued+len(a.body) > maxQueuedBytes || len(c.queue) >= maxQueuedAnswers {
		c.stop(fmt.Errorf("the client leaves %d answers unread", len(c.queue)))
		return c.closing
	}
	c.queue = append(c.queue, a)
	c.queued += len(a.body)
	c.wake.Broadcast()
	return nil
}

// drain waits until the client has taken most of what it asked for: one that only sends is not listened to.
func (c *Conn) drain() {
	c.mu.Lock()
	for c.queued > stallBytes && c.closing == nil {
		c.wake.Wait()
	}
	c.mu.Unlock()
}

// stop ends the connection. c.mu is held.
func (c *Conn) stop(err error) {
	if c.closing == nil {
		c.closing = err
		_ = c.nc.Close() // wakes reader and writer; there is nobody to tell of an error
	}
	c.wake.Broadcast()
}

// Close ends the connection after what is queued was written, at the latest after the time a write may take, and
// waits for the goroutine that writes.
func (c *Conn) Close() {
	late := time.AfterFunc(writeTime, c.Kill)
	c.mu.Lock()
	for c.queued > 0 && c.closing == nil {
		c.wake.Wait()
	}
	c.stop(ErrClosed)
	c.mu.Unlock()
	late.Stop()
	<-c.done
}

// Kill ends the connection at once.
func (c *Conn) Kill() {
	c.mu.Lock()
	c.stop(ErrClosed)
	c.mu.Unlock()
}

// write sends what is queued until the connection is stopped.
func (c *Conn) write() {
	defer close(c.done)
	var w writer
	for {
		c.mu.Lock()
		for len(c.queue) == 0 && c.closing == nil {
			c.wake.Wait()
		}
		batch := c.queue
		c.queue = nil
		stopped := c.closing != nil
		c.mu.Unlock()
		if stopped {
			return
		}
		size, err := w.all(c, batch)
		c.mu.Lock()
		if err != nil {
			c.stop(fmt.Errorf("write: %w", err))
		}
		c.queued -= size
		c.wake.Broadcast()
		c.mu.Unlock()
	}
}

// writer turns answers into chunks. It belongs to the writing goroutine.
type writer struct {
	buf []byte
	seq uint32
}

// all writes the answers, several small ones with one call, and returns the size of their bodies.
func (w *writer) all(c *Conn, batch []answer) (int, error) {
	size := 0
	for _, a := range batch {
		size += len(a.body)
		if err := w.one(c, a); err != nil {
			return size, err
		}
	}
	return size, w.flush(c)
}

// one cuts an answer into chunks.
func (w *writer) one(c *Conn, a answer) error {
	if a.seal != nil {
		var err error
		w.buf, err = a.seal.seal(w.buf, c.id, w.next(), a.id, a.body)
		return err
	}
	t := c.sending.Load()
	room := t.room(c.peerChunk)
	for rest := a.body; ; {
		part, kind := rest, byte(uacp.ChunkTypeFinal)
		if len(rest) > room {
			part, kind = rest[:room], uacp.ChunkTypeIntermediate
		}
		rest = rest[len(part):]
		var err error
		if w.buf, err = t.seal(w.buf, uasc.MessageTypeMessage, kind, c.id, w.next(), a.id, part); err != nil {
			return err
		}
		if len(w.buf) >= chunkBytes {
			if err := w.flush(c); err != nil {
				return err
			}
		}
		if kind == uacp.ChunkTypeFinal {
			return nil
		}
	}
}

func (w *writer) flush(c *Conn) error {
	if len(w.buf) == 0 {
		return nil
	}
	if err := c.nc.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := c.nc.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// next advances the sequence number.
func (w *writer) next() uint32 {
	if w.seq++; w.seq > lastSequence {
		w.seq = 1
	}
	return w.seq
}

// Room is the longest body the client takes.
func (c *Conn) Room() int {
	room := maxQueuedBytes / 2
	if c.peerMessage > 0 {
		room = min(room, c.peerMessage)
	}
	if c.peerChunks > 0 {
		room = min(room, c.peerChunks*(c.peerChunk-maxChunkOverhead))
	}
	return room
}
