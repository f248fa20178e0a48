package main

import (
	"os"
	"os/exec"
	"testing"
)

// TestClient runs the unit tests of the dashboard's client, which are TypeScript, as a part of go test.
func TestClient(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		skipOrFail(t, "Node.js, which runs the tests, is not installed")
	}
	if _, err := os.Stat("../node_modules/lit"); err != nil {
		skipOrFail(t, "the packages are not fetched: go run ./web/ui/build")
	}
	if err := runTests(".."); err != nil {
		t.Fatal(err)
	}
}

// skipOrFail names what is missing on a developer's machine; in CI nothing may be missing.
func skipOrFail(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

func TestBuildRefusesAnotherDirectory(t *testing.T) {
	if err := run(t.TempDir(), true, false); err == nil {
		t.Error("no error for a directory without a lock file")
	}
}
