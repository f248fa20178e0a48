package pki

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// refresh reads the files that have changed. A file that cannot be read leaves what was read before in force and is
// told by Problems; a file that is gone leaves no pins or no renewal. The caller holds l.mu, as for everything in lower
// case that says nothing else.
func (l *Link) refresh() {
	for file, read := range map[string]func([]byte) error{nodeFile: l.readNode, nextFile: l.readNext, peerFile: l.readPeer} {
		info, err := os.Stat(l.path(file))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			delete(l.seen, file)
			delete(l.broken, file)
			l.gone(file)
			continue
		case err == nil && same(l.seen[file], info):
			continue
		}
		var b []byte
		if err == nil {
			b, err = readPrivate(l.path(file))
		}
		if err == nil {
			err = read(b)
		}
		l.seen[file] = info
		if err == nil {
			delete(l.broken, file)
			continue
		}
		l.broken[file] = err.Error()
		l.log.Error("A file of link certificates cannot be used", "file", l.path(file), "error", err)
	}
}

func same(a, b fs.FileInfo) bool {
	return a != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() && a.Mode() == b.Mode()
}

func (l *Link) gone(file string) {
	switch file {
	case nodeFile:
		l.broken[file] = "the file is gone; the certificate in memory serves until the node stops"
	case nextFile:
		l.next = nil
	case peerFile:
		l.pins, l.retired = nil, nil
	}
}

func (l *Link) readNode(b []byte) error {
	id, err := parseIdentity(b, l.opts.Node)
	if err == nil {
		l.own = id
	}
	return err
}

func (l *Link) readNext(b []byte) error {
	id, err := parseIdentity(b, l.opts.Node)
	if err == nil {
		l.next = id
	}
	return err
}

func (l *Link) readPeer(b []byte) error {
	pins, err := parsePins(b)
	if err == nil {
		l.pins, l.retired = pins, nil
	}
	return err
}

// readPrivate reads a file that nobody else may read.
func readPrivate(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("mode %v: it must be a file for its owner alone (chmod 600)", info.Mode())
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxFile {
		return nil, fmt.Errorf("it has more than %d bytes", MaxFile)
	}
	return b, nil
}

// store writes a file so that after a loss of power either the old or the new content is there, and what it returned
// for is there.
func (l *Link) store(file string, content []byte) error {
	f, err := os.CreateTemp(l.opts.Dir, "."+file+"-*") // mode 0600
	if err != nil {
		return fmt.Errorf("storing %s: %w", file, err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), l.path(file))
	}
	if err == nil {
		err = syncDir(l.opts.Dir)
	}
	if err != nil {
		return fmt.Errorf("storing %s: %w", file, err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// remove deletes a file; one that is not there is fine.
func (l *Link) remove(file string) error {
	err := os.Remove(l.path(file))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = syncDir(l.opts.Dir)
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", file, err)
	}
	return nil
}
