package demo

import (
	"path/filepath"
	"regexp"
	"strings"
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

// TestTheDemoSpeaksChinese: every description and message of the plant is in the table of texts.
func TestTheDemoSpeaksChinese(t *testing.T) {
	dir := t.TempDir()
	if _, err := Write(dir, DefaultPorts()); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(filepath.Join(dir, "plant.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	place := regexp.MustCompile(`\\\{\w+\\\}`)
	var patterns []string
	for text := range c.Texts["zh"] {
		patterns = append(patterns, place.ReplaceAllString(regexp.QuoteMeta(text), `\S+`))
	}
	known := regexp.MustCompile("^(?:" + strings.Join(patterns, "|") + ")$")
	check := func(of, text string) {
		if text != "" && !known.MatchString(text) {
			t.Errorf("%s: %q has no Chinese text", of, text)
		}
	}
	for _, d := range c.Tags {
		check(d.Name, d.Description)
	}
	for _, a := range c.Alarms.Alarms {
		check(a.ID, a.Text)
		check(a.ID, a.Guidance)
	}
}
