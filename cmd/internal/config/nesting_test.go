package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"scada/cmd/internal/config"
)

// TestNestingIsBounded: what is nested without end is refused where it gets too deep, before anything takes memory for it.
func TestNestingIsBounded(t *testing.T) {
	const many = 20_000
	var indented strings.Builder
	for i := range 500 {
		fmt.Fprintf(&indented, "%sa:\n", strings.Repeat(" ", i))
	}
	for name, c := range map[string]struct{ text, want string }{
		"brackets":         {"a: " + strings.Repeat("[", many), "plant.yaml:1:103: nested deeper than 100 levels"},
		"closed brackets":  {"a: " + strings.Repeat("[", many) + strings.Repeat("]", many), "plant.yaml:1:103: nested deeper than 100 levels"},
		"braces":           {strings.Repeat("{a: ", many), "plant.yaml:1:401: nested deeper than 100 levels"},
		"crossed brackets": {"a: " + strings.Repeat("[}", many), "plant.yaml:1:202: nested deeper than 100 levels"},
		"dashes":           {strings.Repeat("- ", many), "plant.yaml:1:201: nested deeper than 100 levels"},
		"question marks":   {strings.Repeat("? ", many), "plant.yaml:1:201: nested deeper than 100 levels"},
		"indentation":      {indented.String(), "plant.yaml:101:102: nested deeper than 100 levels"},
		"below the limit":  {"a: " + strings.Repeat("[", 99), "plant.yaml:1:"},
		"just over it":     {"a: " + strings.Repeat("[", 100) + strings.Repeat("]", 100), "plant.yaml:1:103: nested deeper"},
	} {
		_, err := config.Bundle{{Name: "plant.yaml", Data: []byte(c.text)}}.Load("plant.yaml")
		var errs config.Errors
		if !errors.As(err, &errs) || !strings.HasPrefix(errs[0].Error(), c.want) || name == "below the limit" && strings.Contains(err.Error(), "nested") {
			t.Errorf("%s: %.200v, want %s", name, err, c.want)
		}
	}
	var siblings strings.Builder // are no nesting
	for i := range 1_000 {
		fmt.Fprintf(&siblings, "k%d:\n  - {a: [1, 2], b: {c: 3}}\n  - - 1\n    - d: e\n", i)
	}
	if _, err := load(t, siblings.String(), nil); err == nil || strings.Contains(err.Error(), "nested") {
		t.Errorf("%.200v", err)
	}
}

// TestMarksAreBounded: 16 MiB of commas took more than 6 GB, and their file fits into a deployment of some KiB.
func TestMarksAreBounded(t *testing.T) {
	const many = 500_000
	for name, c := range map[string]struct{ text, want string }{
		"commas":          {"a:\n [" + strings.Repeat(",", many), "plant.yaml:2:1: more than 500000 commas"},
		"lines":           {strings.Repeat("\n", many), "plant.yaml:500001:1: more than 500000 commas"},
		"colons":          {strings.Repeat(":", many), "plant.yaml:1:1: more than 500000 commas"},
		"just within":     {strings.Repeat("\n", many-1), "plant.yaml:1:1: the file is empty"},
		"a long text":     {"project: " + strings.Repeat("x", many+1), "plant.yaml:1:"},
		"carriage return": {strings.Repeat("\r\n", many), "plant.yaml:500001:1: more than 500000 commas"},
	} {
		_, err := config.Bundle{{Name: "plant.yaml", Data: []byte(c.text)}}.Load("plant.yaml")
		var errs config.Errors
		if !errors.As(err, &errs) || !strings.HasPrefix(errs[0].Error(), c.want) || name == "a long text" && strings.Contains(err.Error(), "more than") {
			t.Errorf("%s: %.200v, want %s", name, err, c.want)
		}
	}
}

// TestMessagesCanBePrinted: a file cannot speak to the terminal it is shown on.
func TestMessagesCanBePrinted(t *testing.T) {
	_, err := load(t, base(t)+"\"\x1b]0;owned\x07\": 1\n", nil)
	if err == nil || strings.ContainsAny(err.Error(), "\x1b\x07") || !strings.Contains(err.Error(), "owned") {
		t.Errorf("%q", err)
	}
}
