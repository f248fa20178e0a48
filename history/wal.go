package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// walFile is what the journal needs of a file.
type walFile interface {
	Write(b []byte) (int, error)
	Truncate(size int64) error
	Seek(offset int64, whence int) (int64, error)
	Sync() error
	Close() error
}

func openWalFile(path string) (walFile, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o640)
}

const (
	walMagic      = "SCJ1"
	walHeader     = 4 + 8 + 4 // magic, number of the segment, crc32c of both
	recordHeader  = 4 + 4     // length and crc32c of the payload
	maxRecord     = 64 << 20  // bytes; a record is closed when it passes recordSize, so this is far above
	recordSize    = 256 << 10
	maxSegment    = 64 << 20 // bytes after which a new segment begins even within a window
	walSuffix     = ".log"
	walNameDigits = 9
)

// chunk is one record of the journal being filled or waiting to be written.
type chunk struct {
	segment uint64
	buf     []byte // recordHeader bytes, then the payload
	empty   int    // length of buf without entries
	last    uint64 // position of the last batch that ends in it
}

func newChunk(segment, pos uint64) *chunk {
	c := &chunk{segment: segment, last: pos, buf: make([]byte, recordHeader, 4096)}
	c.buf = binary.AppendUvarint(c.buf, pos+1)
	c.empty = len(c.buf)
	return c
}

// seal fills in the record's header.
func (c *chunk) seal() []byte {
	p := c.buf[recordHeader:]
	binary.LittleEndian.PutUint32(c.buf, uint32(len(p)))
	binary.LittleEndian.PutUint32(c.buf[4:], crc32.Checksum(p, castagnoli))
	return c.buf
}

// wal is the file end of the journal. Only the committing goroutine uses it.
type wal struct {
	dir  string
	open func(path string) (walFile, error)

	file    walFile
	segment uint64
	good    int64 // bytes of file known to be on disk
	dirty   bool  // a write or sync failed: bytes after good may be anything
}

// write appends chunks, in order, and returns when they are on disk. After an error it can be repeated with the same
// chunks: whatever arrived of them is cut off first. (After a failed sync the system may have dropped the pages, so
// they have to be written again.)
func (w *wal) write(chunks []*chunk) error {
	for len(chunks) > 0 {
		n := 1
		for n < len(chunks) && chunks[n].segment == chunks[0].segment {
			n++
		}
		if err := w.writeSegment(chunks[:n]); err != nil {
			w.dirty = true
			return err
		}
		chunks = chunks[n:]
	}
	return nil
}

func (w *wal) writeSegment(chunks []*chunk) error {
	if err := w.use(chunks[0]); err != nil {
		return err
	}
	size := w.good
	for _, c := range chunks {
		b := c.seal()
		if _, err := w.file.Write(b); err != nil {
			return fmt.Errorf("writing the journal: %w", err)
		}
		size += int64(len(b))
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("syncing the journal: %w", err)
	}
	w.good = size
	return nil
}

// use makes the chunk's segment the open file, positioned behind its good bytes.
func (w *wal) use(c *chunk) error {
	if w.file != nil && w.segment == c.segment {
		return w.repair()
	}
	if w.file != nil {
		w.file.Close() // everything in it is synced
		w.file = nil
	}
	path := filepath.Join(w.dir, walName(c.segment))
	f, err := w.open(path)
	if err != nil {
		return fmt.Errorf("creating a journal segment: %w", err)
	}
	w.file, w.segment, w.good, w.dirty = f, c.segment, 0, true
	if err := w.repair(); err != nil {
		return err
	}
	return syncDir(w.dir)
}

// repair cuts what a failed write left and writes the header if it is not there yet.
func (w *wal) repair() error {
	if !w.dirty {
		return nil
	}
	if err := w.file.Truncate(w.good); err != nil {
		return fmt.Errorf("repairing the journal: %w", err)
	}
	if _, err := w.file.Seek(w.good, 0); err != nil {
		return fmt.Errorf("repairing the journal: %w", err)
	}
	w.dirty = false
	if w.good > 0 {
		return nil
	}
	if _, err := w.file.Write(segmentHead(w.segment)); err != nil {
		return fmt.Errorf("writing the header of a journal segment: %w", err)
	}
	w.good = walHeader
	return nil
}

func (w *wal) close() {
	if w.file != nil {
		w.file.Close()
	}
}

func walName(segment uint64) string {
	return fmt.Sprintf("%0*d%s", walNameDigits, segment, walSuffix)
}

// segments lists the journal's segments, oldest first.
func segments(dir string) ([]uint64, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("listing the journal: %w", err)
	}
	var out []uint64
	for _, e := range list {
		if n, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), walSuffix), 10, 63); err == nil && e.Name() == walName(n) {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out, nil
}

// readSegment calls back for every whole record of a segment and returns the size of the part that is whole. Records
// with a flipped bit are put right and counted.
func readSegment(path string, segment uint64, record func(payload []byte) error) (good, size int64, mended int, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("reading the journal: %w", err)
	}
	size = int64(len(b))
	if !soundHead(b, segment) {
		return 0, size, 0, nil
	}
	rest := b[walHeader:]
	for len(rest) > 0 {
		p, next, ok := wholeRecord(rest)
		if !ok && mendRecord(rest) {
			mended++
			p, next, ok = wholeRecord(rest)
		}
		if !ok {
			break
		}
		if err := record(p); err != nil {
			return size - int64(len(rest)), size, mended, err
		}
		rest = next
	}
	return size - int64(len(rest)), size, mended, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing a folder: %w", err)
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}
