package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

// imageSum is the size of the checksum in front, in bytes.
const imageSum = 4

// image keeps the state of an area's alarms over a restart of both nodes: what was acknowledged, shelved, latched or
// taken out of service. A standby restores the snapshot of the active instead.
type image struct {
	area *area
	path string
}

func newImage(a *area, dir string) *image {
	return &image{area: a, path: filepath.Join(dir, "alarms-"+a.name+".image")}
}

// load restores the stored image. A file that is torn costs the state of the alarms, not the start: it is kept beside.
func (i *image) load() {
	b, err := os.ReadFile(i.path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = i.restore(b)
	}
	if err != nil {
		i.area.log.Error("The stored state of the alarms cannot be used: every alarm starts as normal", "area", i.area.name, "file", i.path, "error", err)
		_ = os.Rename(i.path, i.path+".bad") // evidence; the start does not depend on it
	}
}

func (i *image) restore(b []byte) error {
	if len(b) < imageSum || binary.LittleEndian.Uint32(b) != crc32.ChecksumIEEE(b[imageSum:]) {
		return fmt.Errorf("wrong checksum over %d bytes", len(b))
	}
	i.area.mu.Lock()
	defer i.area.mu.Unlock()
	return i.area.engine.Restore(b[imageSum:])
}

// run stores the image after changes until ctx ends, and then once more.
func (i *image) run(ctx context.Context) error {
	stored := uint64(0)
	return keepStored(ctx, i.area.log, "alarms of "+i.area.name, func() error {
		i.area.mu.Lock()
		version := i.area.changed
		var b []byte
		if version != stored {
			b = i.area.engine.Snapshot()
		}
		i.area.mu.Unlock()
		if b == nil {
			return nil
		}
		if err := i.write(b); err != nil {
			return err
		}
		stored = version
		return nil
	})
}

// write stores the image with its checksum.
func (i *image) write(b []byte) error {
	if err := replaceFile(i.path, append(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)), b...), storedFileMode); err != nil {
		return fmt.Errorf("storing the alarms: %w", err)
	}
	return nil
}
