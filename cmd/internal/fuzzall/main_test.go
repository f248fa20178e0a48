package main

import "testing"

// TestStoppedByClock: the clock of the fuzzing engine is no finding (golang/go#75804), a failing input is, whatever its error says.
func TestStoppedByClock(t *testing.T) {
	const clock = "fuzz: elapsed: 1s, execs: 63689 (61032/sec), new interesting: 0 (total: 24)\n--- FAIL: FuzzRead (1.05s)\n    context deadline exceeded\nFAIL\nexit status 1\n"
	const found = "--- FAIL: FuzzRead (0.05s)\n    --- FAIL: FuzzRead (0.00s)\n        x_test.go:9: context deadline exceeded\n    \n    Failing input written to testdata/fuzz/FuzzRead/58\nFAIL\n"
	const seed = "--- FAIL: FuzzRead (0.00s)\n    --- FAIL: FuzzRead/seed#0 (0.00s)\n        x_test.go:9: context deadline exceeded\nFAIL\n"
	const hung = "--- FAIL: FuzzRead (9.00s)\n    fuzzing process hung or terminated unexpectedly: exit status 2\n    Failing input written to testdata/fuzz/FuzzRead/58\nFAIL\n"
	for name, c := range map[string]struct {
		out  string
		want bool
	}{"clock": {clock, true}, "found": {found, false}, "seed": {seed, false}, "hung": {hung, false}, "build": {"FAIL\tscada/web [build failed]\n", false}} {
		if got := stoppedByClock([]byte(c.out)); got != c.want {
			t.Errorf("%s: stoppedByClock = %v, want %v", name, got, c.want)
		}
	}
}
