package demo

import (
	"path/filepath"
	"testing"

	"scada/cmd/internal/config"
)

// TestTheDemoIsRight: what is embedded loads, and its applications compile.
func TestTheDemoIsRight(t *testing.T) {
	dir := t.TempDir()
	if _, err := Write(dir, DefaultPorts()); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(filepath.Join(dir, "plant.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckSources(); err != nil {
		t.Error(err)
	}
}
