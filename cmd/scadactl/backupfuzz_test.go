package main

import (
	"archive/tar"
	"bytes"
	"io"
	"path/filepath"
	"testing"

	"scada/web/api"
)

// FuzzBackup reads archives from anywhere: nothing is handed out under a name that leaves the folder, or twice.
func FuzzBackup(f *testing.F) {
	for _, name := range []string{"journal.db", "../evil", "/etc/passwd", "a/../../b", "history/2026-01-01.db", api.BackupManifest} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		text := []byte(`{"format":"` + api.BackupFormat + `","files":[]}`)
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}); err != nil {
			f.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			f.Fatal(err)
		}
		_ = w.Close()
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		seen := map[string]bool{}
		_, _ = readBackup(bytes.NewReader(b), func(name string, content io.Reader) error {
			if !filepath.IsLocal(name) || seen[name] {
				t.Fatalf("handed out: %q", name)
			}
			seen[name] = true
			_, err := io.Copy(io.Discard, content)
			return err
		})
	})
}
