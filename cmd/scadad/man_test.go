package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/cobra/doc"
)

var manDir = flag.String("man", "", "write the manual pages into this folder")

// TestManualPages makes the manual pages of every command; make dist keeps them.
func TestManualPages(t *testing.T) {
	dir := *manDir
	if dir == "" {
		dir = t.TempDir()
	}
	at := time.Unix(0, 0).UTC()
	root := rootCommand(io.Discard, io.Discard)
	root.DisableAutoGenTag = true
	if err := doc.GenManTree(root, &doc.GenManHeader{Title: "SCADAD", Section: "1", Source: "scada", Date: &at}, dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"scadad.1", "scadad-check.1", "scadad-link-pair.1", "scadad-cleanup.1"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Contains(b, []byte(".SH SYNOPSIS")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
