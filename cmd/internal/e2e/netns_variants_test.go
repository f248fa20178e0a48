//go:build e2e && linux

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// variants are faults of a plant that is set up in another way.
func variants() []fault {
	secured, folder := labOptions{secured: true}, labOptions{folder: true}
	safety, virtual := labOptions{replace: []string{"policy: availability", "policy: safety"}}, labOptions{virtualIP: true}
	return []fault{
		{name: "TLS, kill -9", switches: always, apply: killed, lab: secured},
		{name: "TLS, power off", switches: always, apply: powerOff, lab: secured},
		{name: "TLS, both paths cut", switches: always, lasts: time.Second, bothAct: true, apply: bothCut, lab: secured},
		{name: "witness, power off", switches: always, apply: powerOff, lab: folder},
		{name: "witness, both paths cut", switches: never, lasts: 2 * time.Second, apply: bothCut, lab: folder},
		{name: "policy safety, both paths cut", switches: never, lasts: 2 * time.Second, apply: bothCut, lab: safety},
		{name: "virtual address, kill -9", switches: always, apply: killedAndCleaned, lab: virtual},
		{name: "virtual address, power off", switches: always, apply: powerOff, lab: virtual},
		clockFault("clock of the active +1 h", time.Hour),
		clockFault("clock of the active -1 h", -time.Hour),
	}
}

// killedAndCleaned is what the service manager does after a crash: ExecStopPost removes the addresses.
func killedAndCleaned(r *labRig, active string) (func() error, error) {
	heal, err := killed(r, active)
	if err != nil {
		return nil, err
	}
	return heal, r.lab.spaces[active].run(nil, filepath.Join(r.bin, "scadad"), "cleanup", "--config", filepath.Join(r.dir, "plant.yaml"), "--node", active)
}

func clockFault(name string, step time.Duration) fault {
	return fault{
		name: name, switches: never, lasts: 2 * time.Second, askew: true, lab: labOptions{clocks: true},
		apply: func(r *labRig, active string) (func() error, error) {
			return func() error { return r.setClock(active, 0) }, r.setClock(active, step)
		},
	}
}

// pairNodes has both nodes get to know each other's certificate, as their operators would.
func (r *labRig) pairNodes() error {
	command := func(node string, more ...string) *exec.Cmd {
		return exec.Command(filepath.Join(r.bin, "scadad"), append([]string{"link", "pair", "--config", filepath.Join(r.dir, "plant.yaml"), "--node", node}, more...)...)
	}
	address := prefixes[lan] + "1:7499"
	listener := command("a", "--listen", address)
	out, err := listener.StdoutPipe()
	if err != nil {
		return err
	}
	if err := r.lab.spaces["a"].start(listener); err != nil {
		return err
	}
	code, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("no code: %w", err)
	}
	code = strings.TrimSpace(strings.TrimPrefix(code, "code: "))
	joiner := command("b", "--connect", address, "--code", code)
	var said bytes.Buffer
	joiner.Stdout, joiner.Stderr = &said, &said
	err = r.lab.spaces["b"].start(joiner)
	if err == nil {
		err = errors.Join(joiner.Wait(), listener.Wait())
	}
	if err != nil {
		return fmt.Errorf("pairing: %w: %s", err, said.String())
	}
	return nil
}

// clockVariable names the file with the offset of a node's wall clock, in seconds.
const clockVariable = "E2E_CLOCK"

func (r *labRig) clockFile(node string) string { return filepath.Join(r.dir, node+".clock") }

// setClock steps the wall clock of a node and gives it the time to notice.
func (r *labRig) setClock(node string, offset time.Duration) error {
	file := r.clockFile(node)
	err := os.WriteFile(file+".new", []byte(strconv.Itoa(int(offset.Seconds()))), 0o600)
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	return err
}

// buildWithClock builds the node with a wall clock that a file steps. The clock of a machine belongs to all its programs
// and a Go program asks no library for it, so the one place where the standard library reads it is replaced: everything
// else is the program as it is, and its monotonic clock goes on as it does when a machine's clock is set.
func (r *labRig) buildWithClock() error {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("asking for the standard library: %w", err)
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src/time/time.go")
	original, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	const read = "	sec, nsec, mono := runtimeNow()\n	if mono == 0 {"
	if !bytes.Contains(original, []byte(read)) {
		return fmt.Errorf("%s does not read the clock as expected", source)
	}
	stepped := strings.Replace(string(original), read, strings.Replace(read, "\n", "\n	sec += Offset.Load()\n", 1), 1)
	stepped = strings.Replace(stepped, "import (", "import (\n	\"sync/atomic\"", 1) + "\n// Offset is added to the wall clock.\nvar Offset atomic.Int64\n"
	main, err := filepath.Abs("../../scadad")
	if err != nil {
		return err
	}
	files := map[string]string{source: stepped, filepath.Join(main, "clock_e2e.go"): followFile}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	dir := r.t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.Base(name))
		overlay.Replace[name] = path
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	b, err := json.Marshal(overlay)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), b, 0o600)
	}
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", filepath.Join(r.bin, "scadad"), main)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building a node with a clock to set: %w: %s", err, out)
	}
	return nil
}

// followFile is the part of the program that steps the clock.
const followFile = `package main

import (
	"os"
	"strconv"
	"time"
)

func init() {
	go func() {
		for ; ; time.Sleep(5 * time.Millisecond) {
			if b, err := os.ReadFile(os.Getenv("` + clockVariable + `")); err == nil {
				if n, err := strconv.ParseInt(string(b), 10, 64); err == nil {
					time.Offset.Store(n)
				}
			}
		}
	}()
}
`
