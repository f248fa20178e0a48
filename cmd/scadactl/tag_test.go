package main

import (
	"strings"
	"testing"
)

// TestNegativeValue: a negative value is no flag, and flags are where they were.
func TestNegativeValue(t *testing.T) {
	for given, want := range map[string]string{
		"tag write pump/speed -5":                       "tag write pump/speed -- -5",
		"-o json tag write pump/speed -1.5e3 --epoch 3": "-o json tag write pump/speed --epoch 3 -- -1.5e3",
		"tag write pump/speed -- -5":                    "tag write pump/speed -- -5",
		"tag write pump/speed 5":                        "tag write pump/speed 5",
		"tag write pump/speed -x":                       "tag write pump/speed -x",
		"history show write -5":                         "history show write -5",
		"write":                                         "write",
	} {
		if got := strings.Join(negativeLast(strings.Fields(given)), " "); got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
}
