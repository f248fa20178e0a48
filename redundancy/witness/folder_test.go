package witness_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"scada/redundancy/role"
	"scada/redundancy/witness"
)

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, witness.Config{Files: []witness.File{{Folder: dir}}})
		defer w.end()
		w.act("a", true)
		w.pass(3 * time.Second)
		w.want("a", role.PeerDead, true)
		w.want("b", role.PeerAlive, false)
		w.stop["a"]()
		w.pass(2 * time.Second)
		w.want("b", role.PeerDead, false)
		w.act("b", true)
		w.pass(500 * time.Millisecond)
		w.want("b", role.PeerDead, true)
		// The share is gone: nobody knows anything, and nobody holds.
		if err := os.Rename(dir, dir+".gone"); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		w.want("b", role.Unknown, false)
		// It is back.
		if err := os.Rename(dir+".gone", dir); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		w.want("b", role.PeerDead, true)
	})
}

// TestFolderNotMounted: without the share each node sees an empty folder of its own. It must not take that for being
// alone.
func TestFolderNotMounted(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, witness.Config{Files: []witness.File{{Folder: dir}}})
		defer w.end()
		w.act("a", true)
		w.stop["b"]()
		peer, err := filepath.Glob(filepath.Join(dir, "works.main.b.*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range peer {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(5 * time.Second)
		w.want("a", role.Unknown, false)
	})
}

func TestFolderWithGarbage(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, witness.Config{Files: []witness.File{{Folder: dir}}})
		defer w.end()
		w.act("b", true)
		w.pass(3 * time.Second)
		w.want("b", role.PeerDead, true)
		w.want("a", role.PeerAlive, false)
		w.stop["b"]()
		if err := os.WriteFile(filepath.Join(dir, "works.main.b.lease"), make([]byte, 1<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		w.pass(5 * time.Second)
		w.want("a", role.Unknown, false) // a block that is none says nothing
	})
}
