package server

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// TestTamperedJournal: the other node's anchors tell of a journal whose end was cut off while its node was stopped.
func TestTamperedJournal(t *testing.T) {
	bubble(t, func(w *world) {
		w.ready()
		time.Sleep(3 * headsEvery)
		for _, name := range []string{"a", "b"} {
			p, err := w.node[name].proofs.verify(w.t.Context())
			if err != nil || !p.Intact || p.Compared == 0 || p.Entries == 0 || p.Covered != p.Entries {
				t.Errorf("%s: %+v %v", name, p, err)
			}
		}
		if err := w.stop["b"](); err != nil {
			t.Fatal(err)
		}
		w.cutChain(filepath.Join(w.cfg.Nodes["b"].Data, "journal.db"))
		w.start("b")
		w.within(time.Minute, "b has heard what a has seen", func() error {
			p, err := w.node["b"].proofs.verify(w.t.Context())
			if err != nil {
				return err
			}
			for _, f := range p.Findings {
				if strings.Contains(f.Detail, "the other node saw") {
					return nil
				}
			}
			return fmt.Errorf("%+v", p)
		})
		w.within(time.Minute, "the health of b tells", func() error {
			if why := strings.Join(w.node["b"].assess().Reasons, "; "); !strings.Contains(why, "journal of node b") {
				return fmt.Errorf("%q", why)
			}
			return nil
		})
	})
}

// cutChain takes the last records of a closed journal's chain away and sets its head back: alone the file looks whole.
func (w *world) cutChain(path string) {
	w.t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		chain := tx.Bucket([]byte("chain"))
		for {
			k, _ := chain.Cursor().Last()
			if binary.BigEndian.Uint64(k) <= 4 {
				break
			}
			if err := chain.Delete(bytes.Clone(k)); err != nil {
				return err
			}
		}
		k, v := chain.Cursor().Last()
		return tx.Bucket([]byte("meta")).Put([]byte("chain head"), append(bytes.Clone(k), v[len(v)-32:]...))
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		w.t.Fatal(err)
	}
}
