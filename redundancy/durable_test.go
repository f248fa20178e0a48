package redundancy

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestStoreSyncs: a crash at any moment leaves the old file or the new one. The new one is whole and on the disk before it
// takes the old one's place, and its name is on the disk before the epoch is used.
func TestStoreSyncs(t *testing.T) {
	s, err := openStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var synced []string
	s.sync = func(f *os.File) error {
		synced = append(synced, filepath.Base(f.Name()))
		whole, _ := os.ReadFile(s.file + ".new")
		inPlace, _ := os.ReadFile(s.file)
		if want := []byte(`"main":7`); len(synced) == 1 && (!bytes.Contains(whole, want) || bytes.Contains(inPlace, want)) {
			t.Errorf("when the new file is synced it holds %q and the old one %q", whole, inPlace)
		} else if len(synced) == 2 && !bytes.Contains(inPlace, want) {
			t.Errorf("when the directory is synced the file holds %q", inPlace)
		}
		return f.Sync()
	}
	if err := s.setEpoch("main", 7); err != nil {
		t.Fatal(err)
	}
	if want := []string{storeFile + ".new", filepath.Base(filepath.Dir(s.file))}; !slices.Equal(synced, want) {
		t.Errorf("synced %v, want %v", synced, want)
	}
}
