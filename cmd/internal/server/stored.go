package server

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"
)

const (
	storeEvery     = time.Second // how long a change of a state may be missing on disk
	storedFileMode = 0o600
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
