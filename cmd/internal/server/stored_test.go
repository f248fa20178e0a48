package server

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestReadStored reads a file of just the size that is permitted, one of a byte more, and one that is not there.
func TestReadStored(t *testing.T) {
	const most = 1000
	path := filepath.Join(t.TempDir(), "state.json")
	if _, err := readStored(path, most); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	for _, size := range []int{0, most, most + 1} {
		want := bytes.Repeat([]byte("x"), size)
		if err := os.WriteFile(path, want, storedFileMode); err != nil {
			t.Fatal(err)
		}
		got, err := readStored(path, most)
		if size > most {
			if err == nil {
				t.Errorf("%d bytes were read, the limit is %d", len(got), most)
			}
			continue
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d of %d bytes: %v", len(got), size, err)
		}
	}
}
