package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

const (
	storeEvery     = time.Second // how long a change of a state may be missing on disk
	storedFileMode = 0o600
	smallFile      = 1 << 20 // bytes a file may have that holds a few names and numbers
)

// keepStored calls save once a second until ctx ends, and then once more. A failure is told once, until it is over.
func keepStored(ctx context.Context, log *slog.Logger, what string, save func() error) error {
	tick := time.NewTicker(storeEvery)
	defer tick.Stop()
	failing := false
	for ending := false; ; {
		err := save()
		if (err != nil) != failing {
			failing = err != nil
			log.Warn("Storing a state that has changed", "state", what, "failing", failing, "error", err)
		}
		if ending {
			return nil
		}
		select {
		case <-ctx.Done():
			ending = true
		case <-tick.C:
		}
	}
}

// readStored reads a file whole that has no more than so many bytes. What is larger was not written by a node.
func readStored(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes", path, most)
	}
	return b, err
}

// replaceFile writes a file whole: the old one is there until the new one is on disk.
func replaceFile(path string, b []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	return err
}
