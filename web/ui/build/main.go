// Command build makes the dashboard: it fetches the locked npm packages when they are missing, checks the types, bundles
// the sources with esbuild into web/ui/dist and reports what the page weighs. With -test it bundles and runs the unit
// tests of the client instead. npm only fetches; no package's script is ever run.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	dir := flag.String("dir", "web/ui", "directory of the dashboard")
	check := flag.Bool("check", true, "check the types before bundling")
	test := flag.Bool("test", false, "run the unit tests of the client instead of bundling")
	flag.Parse()
	if err := run(*dir, *check, *test); err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func run(dir string, check, test bool) error {
	if _, err := os.Stat(filepath.Join(dir, "package-lock.json")); err != nil {
		return fmt.Errorf("%s is not the dashboard's directory: %w", dir, err)
	}
	if err := fetch(dir); err != nil {
		return err
	}
	if test {
		return runTests(dir)
	}
	if check {
		if err := command(dir, "node", "node_modules/typescript/bin/tsc", "--noEmit"); err != nil {
			return fmt.Errorf("checking types: %w", err)
		}
	}
	return bundle(dir)
}

// fetch installs the locked packages unless what is installed is at least as new as the lock file.
func fetch(dir string) error {
	lock, err := os.Stat(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		return err
	}
	installed, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json"))
	if err == nil && !installed.ModTime().Before(lock.ModTime()) {
		return nil
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return fmt.Errorf("npm is needed to fetch the dashboard's packages: install Node.js 20 or later: %w", err)
	}
	if err := command(dir, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"); err != nil {
		return fmt.Errorf("fetching packages: %w", err)
	}
	return nil
}

func command(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
