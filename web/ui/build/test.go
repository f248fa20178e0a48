package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/evanw/esbuild/pkg/api"
)

// runTests bundles test/*.test.ts for node into a temporary directory and hands them to node's own test runner.
func runTests(dir string) error {
	entries, err := filepath.Glob(filepath.Join(dir, "test", "*.test.ts"))
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		return errors.New("no tests found")
	}
	tmp, err := os.MkdirTemp("", "dashboard-test-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if _, err := compile(api.BuildOptions{
		EntryPoints: entries, Outdir: tmp, Write: true,
		Platform: api.PlatformNode, Format: api.FormatESModule, OutExtension: map[string]string{".js": ".mjs"},
		Sourcemap: api.SourceMapInline,
	}); err != nil {
		return err
	}
	built, err := filepath.Glob(filepath.Join(tmp, "*.test.mjs"))
	if err != nil {
		return err
	}
	if err := command(dir, "node", append([]string{"--test", "--enable-source-maps"}, built...)...); err != nil {
		return fmt.Errorf("unit tests: %w", err)
	}
	return nil
}
