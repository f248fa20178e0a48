package server

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"scada/web/api"
)

// backup writes a copy of what this node has recorded: history and journal. The configuration is a file of its own and not
// in it, nor are keys.
func (s *Server) backup(ctx context.Context, w io.Writer) error {
	b := &backupWriter{tar: tar.NewWriter(w), manifest: api.Manifest{
		Format: api.BackupFormat, Project: s.cfg.Project, Node: s.nodeName, Version: s.version, ConfigDigest: s.now().cfg.Digest, Created: time.Now().UTC(),
	}}
	err := s.store.Backup(ctx, func(name string, size int64, content io.WriterTo) error {
		return b.add("history/"+name, size, content)
	})
	if err == nil {
		err = b.addJournal(s)
	}
	if err == nil {
		err = b.end()
	}
	if err != nil {
		return fmt.Errorf("backup of node %s: %w", s.nodeName, err)
	}
	s.log.Info("A backup was taken", "files", len(b.manifest.Files))
	return nil
}

// backupWriter writes the archive and notes what is in it.
type backupWriter struct {
	tar      *tar.Writer
	manifest api.Manifest
}

func (b *backupWriter) add(name string, size int64, content io.WriterTo) error {
	if err := b.tar.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o640, ModTime: b.manifest.Created, Typeflag: tar.TypeReg}); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	sum := sha256.New()
	if _, err := content.WriteTo(io.MultiWriter(b.tar, sum)); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b.manifest.Files = append(b.manifest.Files, api.BackupFile{Name: name, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil))})
	return nil
}

// addJournal copies the journal to a file first: the one who takes the backup may be slow.
func (b *backupWriter) addJournal(s *Server) (err error) {
	f, err := os.CreateTemp(s.cfg.Nodes[s.nodeName].Data, "backup-*.new")
	if err != nil {
		return fmt.Errorf("copying the journal: %w", err)
	}
	_ = os.Remove(f.Name()) // it lives while it is open; where that is not allowed, until the end
	defer func() {
		err = errors.Join(err, f.Close())
		_ = os.Remove(f.Name())
	}()
	size, err := s.journal.Backup(f)
	if err != nil {
		return err
	}
	return b.add("journal.db", size, f)
}

func (b *backupWriter) end() error {
	text, err := json.MarshalIndent(b.manifest, "", "  ")
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	if err := b.tar.WriteHeader(&tar.Header{Name: api.BackupManifest, Size: int64(len(text)), Mode: 0o640, ModTime: b.manifest.Created, Typeflag: tar.TypeReg}); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	if _, err := b.tar.Write(text); err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	return b.tar.Close()
}
