package redundancy

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

// FuzzStore reads the file of the epochs: it is refused, or numbers go on above it.
func FuzzStore(f *testing.F) {
	f.Add([]byte(`{"incarnation":3,"epochs":{"main":7}}`))
	f.Add([]byte(`{"incarnation":18446744073709551615,"epochs":null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, storeFile), text, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openStore(dir)
		if err != nil {
			return
		}
		s.sync = func(*os.File) error { return nil }
		epoch := s.epoch("main")
		if epoch == math.MaxUint64 {
			return
		}
		if err := s.setEpoch("main", epoch+1); err != nil {
			t.Fatal(err)
		}
		if again, err := openStore(dir); err != nil || again.epoch("main") != epoch+1 {
			t.Fatalf("read again: %v", err)
		}
	})
}
