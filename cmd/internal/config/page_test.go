package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEverySettingIsOnThePage holds docs/plant-file.md against the fields the configuration is decoded into, and loads its example.
func TestEverySettingIsOnThePage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/plant-file.md")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, word := range regexp.MustCompile(`[a-z_]+`).FindAllString(string(page), -1) {
		words[word] = true
	}
	key, found := regexp.MustCompile("yaml:\"([a-z_]+)\""), 0
	for _, name := range sources {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range key.FindAllStringSubmatch(string(source), -1) {
			if found++; !words[m[1]] {
				t.Errorf("%s: the setting %s is not on the page", name, m[1])
			}
		}
	}
	if found < 150 {
		t.Errorf("found only %d settings in the sources", found)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml plant.yaml\n")
	example, _, _ := strings.Cut(rest, "```")
	c, err := load(t, example, map[string]string{"pair.key": strings.Repeat("k", 32)})
	if err != nil || c.Project != "brewery" || len(c.Tags) != 3 || len(c.Alarms.Alarms) != 2 {
		t.Errorf("the example is not what it should be: %v", err)
	}
}
