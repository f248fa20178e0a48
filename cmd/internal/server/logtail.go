package server

import (
	"bytes"
	"sync"
)

// logTailSize is how much of the log a node remembers for a support bundle, in bytes.
const logTailSize = 512 << 10

// LogTail is a writer that remembers the end of what was written.
type LogTail struct {
	mu  sync.Mutex
	buf []byte
}

// Write implements [io.Writer]; it never fails.
func (l *LogTail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, b...)
	if len(l.buf) > 2*logTailSize {
		l.buf = append(l.buf[:0], l.buf[len(l.buf)-logTailSize:]...)
	}
	return len(b), nil
}

// Bytes returns the last whole lines.
func (l *LogTail) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buf
	if len(b) > logTailSize {
		b = b[len(b)-logTailSize:]
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			b = b[i+1:]
		}
	}
	return bytes.Clone(b)
}
