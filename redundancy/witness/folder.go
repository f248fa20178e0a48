package witness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"scada/redundancy/witness/lease"
)

// closeWait is how long a file system that hangs is waited for at the end: its calls cannot be interrupted.
const closeWait = time.Second

var (
	errHangs  = errors.New("the file system has not finished the request before")
	errNoPeer = errors.New("the other node has never been in this folder: is the share mounted on both?")
)

// folder is a lease in four small files of a shared folder, two of each node. The files are written in place: a name
// that changes its file is what network file systems cache longest, and a block half written is known by its checksum.
type folder struct {
	own, mark      string
	peer, peerMark string
	busy           chan struct{} // held while the file system is at work
}

func newFolder(dir, project, area, self, peer string) *folder {
	name := func(node, kind string) string {
		return filepath.Join(dir, project+"."+area+"."+node+"."+kind)
	}
	return &folder{
		own: name(self, "lease"), mark: name(self, "mark"), peer: name(peer, "lease"), peerMark: name(peer, "mark"),
		busy: make(chan struct{}, 1),
	}
}

// exchange does the work in a goroutine of its own, at most one at a time: a network file system that hangs must not
// hold up whoever asks.
func (f *folder) exchange(ctx context.Context, r lease.Request) (lease.Picture, error) {
	select {
	case f.busy <- struct{}{}:
	default:
		return lease.Picture{}, errHangs
	}
	type result struct {
		picture lease.Picture
		err     error
	}
	done := make(chan result, 1)
	go func() {
		p, err := f.work(r)
		<-f.busy
		done <- result{p, err}
	}()
	select {
	case res := <-done:
		return res.picture, res.err
	case <-ctx.Done():
		return lease.Picture{}, ctx.Err()
	}
}

func (f *folder) work(r lease.Request) (lease.Picture, error) {
	var err error
	switch r.Do {
	case lease.Mark:
		err = write(f.mark, lease.AppendNonce(nil, r.Nonce))
	case lease.Put:
		err = write(f.own, r.Block.Append(nil))
	case lease.Read:
	}
	if err != nil {
		return lease.Picture{}, err
	}
	return f.read()
}

func (f *folder) read() (lease.Picture, error) {
	mark, err := read(f.mark, lease.NonceSize)
	if err != nil {
		return lease.Picture{}, err
	}
	peerMark, err := read(f.peerMark, lease.NonceSize)
	switch {
	case err != nil:
		return lease.Picture{}, err
	case len(peerMark) == 0:
		// A share that is not mounted is an empty folder: in it each node would be alone, and so would hold.
		return lease.Picture{}, errNoPeer
	}
	own, err := read(f.own, lease.BlockSize)
	if err != nil {
		return lease.Picture{}, err
	}
	peer, err := read(f.peer, lease.BlockSize)
	if err != nil {
		return lease.Picture{}, err
	}
	var p lease.Picture
	p.Own, p.OwnTorn = parse(own)
	p.Peer, p.PeerTorn = parse(peer)
	p.Nonce = lease.ParseNonce(mark)
	return p, nil
}

// parse reads a file's block. No file is a block never written.
func parse(b []byte) (lease.Block, bool) {
	if len(b) == 0 {
		return lease.Block{}, false
	}
	block, err := lease.ParseBlock(b)
	return block, err != nil
}

// read returns a file's content, nothing if there is none, and at most one byte more than the size it should have.
func read(name string, size int) ([]byte, error) {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the lease: %w", err)
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, int64(size)+1))
	if err != nil {
		return nil, fmt.Errorf("reading the lease: %w", err)
	}
	return b, nil
}

// write replaces a file's content, and returns when it is on the server's disk. The folder must be there.
func write(name string, content []byte) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_SYNC, 0o640)
	if err != nil {
		return fmt.Errorf("writing the lease: %w", err)
	}
	_, err = file.WriteAt(content, 0)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing the lease: %w", err)
	}
	return nil
}

func (f *folder) close() {
	select {
	case f.busy <- struct{}{}:
		<-f.busy
	case <-time.After(closeWait):
	}
}
