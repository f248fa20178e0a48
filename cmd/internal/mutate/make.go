package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// make makes the fault and returns who noticed it, or "".
func (l list) make(m mutation) (string, error) {
	dir, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	overlay, err := l.overlay(m, dir)
	if err != nil {
		return "", err
	}
	for _, n := range l.noticers {
		if m.by != "" && m.by != n.name {
			continue
		}
		if by, err := l.ask(n, overlay); err != nil || by != "" {
			return by, err
		}
	}
	return "", nil
}

// overlay writes the faulty copy and what tells the compiler to use it.
func (l list) overlay(m mutation, dir string) (string, error) {
	file, text, err := l.faulty(m)
	if err != nil {
		return "", err
	}
	source, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	fault, overlay := filepath.Join(dir, filepath.Base(file)), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {source: fault}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(fault, []byte(text), 0o600); err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, replace, 0o600)
}

// ask runs a noticer's tests over the fault and returns what failed first, or "".
func (l list) ask(n noticer, overlay string) (string, error) {
	cmd := exec.Command("go", append([]string{"test", "-count=1", "-timeout=180s", "-vet=off", "-overlay", overlay}, n.args...)...)
	cmd.Dir, cmd.Env = l.root, append(os.Environ(), l.env...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return "", nil
	}
	if s := string(out); strings.Contains(s, "[build failed]") || strings.Contains(s, "[setup failed]") {
		return "", fmt.Errorf("the fault does not compile: %s", s)
	}
	return failure(string(out)), nil
}

var (
	failedSeed = regexp.MustCompile(`(?m)^\s*\S+ (seed \d+: [^\n]*)`)
	failedTest = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
)

// failure names what failed first in the output of go test, as closely as it says.
func failure(out string) string {
	if seed := failedSeed.FindStringSubmatch(out); seed != nil {
		return seed[1]
	}
	tests := failedTest.FindAllStringSubmatch(out, -1)
	if len(tests) == 0 {
		return "a panic or the time limit"
	}
	name := tests[0][1]
	for _, t := range tests[1:] {
		if strings.HasPrefix(t[1], name+"/") {
			name = t[1]
		}
	}
	return name
}
