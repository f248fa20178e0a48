// Fuzzall runs every fuzz target of the module for a while, one after the other: go test -fuzz takes one at a time.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

func main() { os.Exit(run()) }

func run() int {
	each := flag.Duration("t", 20*time.Second, "time for each target")
	only := flag.String("only", "", "part of the package path or name of the targets to run")
	flag.Parse()
	targets, err := list()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fuzzall:", err)
		return 1
	}
	passed, failed := 0, 0
	for _, t := range targets {
		if !strings.Contains(t.pkg+"."+t.name, *only) {
			continue
		}
		began := time.Now()
		cmd := exec.Command("go", "test", "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", each.String(), "-fuzzminimizetime", minimize, "-parallel", "2", t.pkg)
		out, err := cmd.CombinedOutput()
		if err != nil && !stoppedByClock(out) {
			failed++
			fmt.Printf("FAIL  %s %s\n%s\n", t.pkg, t.name, out)
			continue
		}
		passed++
		fmt.Printf("ok    %s %s  %s\n", t.pkg, t.name, time.Since(began).Round(100*time.Millisecond))
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		return 1
	}
	return 0
}

// minimize bounds the tries to make an interesting input shorter: without a bound a target with a long seed does nothing else.
const minimize = "20x"

// stoppedByClock tells the end of the time from a finding. Go's fuzzing engine sometimes reports its own -fuzztime limit as a failure
// (golang/go#75804, in every 1.26 release): the bare error, and no failing input, which every failure of a target itself is written to.
func stoppedByClock(out []byte) bool {
	s := string(out)
	return strings.Contains(s, "\n    context deadline exceeded\nFAIL\n") && !strings.Contains(s, "Failing input written to") &&
		!strings.Contains(s, "panic:") && !strings.Contains(s, "hung or terminated")
}

type target struct{ pkg, name string }

// list asks the test binaries for their targets.
func list() ([]target, error) {
	out, err := exec.Command("go", "test", "-list", "^Fuzz", "./...").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("listing the targets: %w\n%s", err, out)
	}
	var targets []target
	var names []string
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 1 && strings.HasPrefix(fields[0], "Fuzz"):
			names = append(names, fields[0])
		case len(fields) >= 2 && fields[0] == "ok":
			for _, n := range names {
				targets = append(targets, target{fields[1], n})
			}
			names = nil
		case len(fields) >= 2:
			names = nil
		}
	}
	return targets, nil
}
