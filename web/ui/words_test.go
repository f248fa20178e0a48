package ui

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestEveryEventHasItsWords: what docs/failures.md lists as events of the journal, and the kinds the journal has, are in the table of
// sentences, or a page in Chinese would show the name a program gave them.
func TestEveryEventHasItsWords(t *testing.T) {
	table := text(t, "src/core/messages.ts")
	_, handbook, _ := strings.Cut(text(t, "../../docs/failures.md"), "## Events of the journal")
	var words []string
	for _, line := range strings.Split(handbook, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		events, states, _ := strings.Cut(cells[1], "state")
		for _, name := range quoted.FindAllStringSubmatch(events, -1) {
			if !strings.HasSuffix(name[1], "…") { // with a name in it
				words = append(words, "event."+name[1])
			}
		}
		for _, name := range quoted.FindAllStringSubmatch(states, -1) {
			words = append(words, "alarmState."+name[1])
		}
	}
	for _, kind := range regexp.MustCompile(`Class = "(\w+)"`).FindAllStringSubmatch(text(t, "../../history/journal/entry.go"), -1) {
		words = append(words, "kind."+kind[1])
	}
	if len(words) < 50 {
		t.Fatalf("only %d words were found: %v", len(words), words)
	}
	for _, w := range words {
		if !strings.Contains(table, `"`+w+`": {`) {
			t.Errorf("src/core/messages.ts has no words for %s", w)
		}
	}
}

var quoted = regexp.MustCompile("`([^`]+)`")

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
