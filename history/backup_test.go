package history_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"scada/history"
)

// TestBackupIsTheArchive takes backups while samples come in, windows close and a day is sealed, and opens each.
func TestBackupIsTheArchive(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	defs, c, m := plant(16), newClock(), newReference()
	s := open(t, t.TempDir(), history.Options{Tags: defs, Now: c.now})
	ctx := context.Background()
	for round := range 3 {
		feed(&s, m, defs, r, c, 300, nil)
		if round == 1 {
			c.add(30 * time.Hour) // the day is over
		}
		want, err := s.Digest(ctx, nil, 0, 1<<62)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		var names []string
		err = s.Backup(ctx, func(name string, size int64, content io.WriterTo) error {
			names = append(names, name)
			path := filepath.Join(dir, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
				return err
			}
			f, err := os.Create(path)
			if err != nil {
				return err
			}
			defer f.Close()
			if n, err := content.WriteTo(f); err != nil || n != size {
				return fmt.Errorf("%s: %d of %d bytes: %w", name, n, size, err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(names, "meta.db") || names[len(names)-1] != "meta.db" {
			t.Fatalf("files %v: meta.db is to be the last", names)
		}
		back := open(t, dir, history.Options{Tags: defs, Now: c.now})
		if got, err := back.Digest(ctx, nil, 0, 1<<62); err != nil || got != want {
			t.Fatalf("round %d: %+v, want %+v, %v", round, got, want, err)
		}
		compare(t, back, m, defs, r, c)
		if damages, err := back.Verify(ctx, 0, 1<<62); err != nil || len(damages) > 0 {
			t.Fatalf("round %d: %v, %v", round, damages, err)
		}
	}
}
