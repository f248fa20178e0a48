package server

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"scada/history"
	"scada/history/journal"
	"scada/web/api"
)

// TestBackupOfARunningNode takes a backup while the plant runs and opens what is in it.
func TestBackupOfARunningNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorldOf(t, bubblePlant, nil)
		defer w.end()
		w.ready()
		time.Sleep(20 * time.Second)
		var out bytes.Buffer
		if err := w.node["a"].backup(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		dir, m := untar(t, &out)
		if m.Format != api.BackupFormat || m.Project != "bubble" || m.Node != "a" || len(m.Files) < 3 {
			t.Fatalf("manifest %+v", m)
		}
		h, err := history.Open(filepath.Join(dir, "history"), history.Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if d, err := h.Digest(t.Context(), []string{"counter"}, 0, time.Now().UnixNano()); err != nil || d.Samples < 200 {
			t.Errorf("%d samples of the counter, %v", d.Samples, err)
		}
		j, err := journal.Open(filepath.Join(dir, "journal.db"), journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		if page, err := j.Query(journal.Query{Limit: 10}); err != nil || len(page.Entries) == 0 {
			t.Errorf("%d entries of the journal, %v", len(page.Entries), err)
		}
		if left, _ := filepath.Glob(filepath.Join(w.cfg.Nodes["a"].Data, "*", "backup-*")); len(left) > 0 {
			t.Errorf("it leaves %v", left)
		}
	})
}

// untar puts the files of a backup into a folder and holds them against its manifest.
func untar(t *testing.T, r io.Reader) (dir string, m api.Manifest) {
	t.Helper()
	dir = t.TempDir()
	sums := map[string]string{}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == api.BackupManifest {
			if err := json.Unmarshal(b, &m); err != nil {
				t.Fatal(err)
			}
			continue
		}
		sum := sha256.Sum256(b)
		sums[h.Name] = hex.EncodeToString(sum[:])
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o750), os.WriteFile(path, b, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range m.Files {
		if sums[f.Name] != f.SHA256 {
			t.Errorf("%s: checksum %s, the manifest says %s", f.Name, sums[f.Name], f.SHA256)
		}
	}
	if len(sums) != len(m.Files) {
		t.Errorf("%d files, the manifest has %d", len(sums), len(m.Files))
	}
	return dir, m
}
