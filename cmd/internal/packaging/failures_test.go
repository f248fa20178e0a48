package packaging

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sources says where the product makes what an operator reads, and how it looks there.
var sources = []struct {
	files, what string
	least       int // so many at least, so that a changed source does not silence the test
	pattern     string
}{
	{"cmd/internal/server/*.go", "health", 6, `\bfault\(\w+, "([^"]{4,})"`},
	{"cmd/internal/server/health.go", "health", 1, `Sprintf\("((?:area %s has|the node has)[^"]+)"`},
	{"cmd/internal/server/{health,pairview}.go", "not ready", 4, `append\([^"\n]*"([^"]{6,})"`},
	{"cmd/internal/server/{configurator,apps}.go", "not ready", 3, `Sprintf\("((?:revision %s of|both nodes|application %s of)[^"]*)"`},
	{"{web/keys,redundancy/pki/pki}.go", "health", 4, `"(the (?:web|link) certificate [^"]+)"`},
	{"cmd/internal/server/mirror.go", "not ready", 2, `Errorf\("((?:the )?snapshot of area[^"]+)"`},
	{"redundancy/{status,area}.go", "not ready", 5, `(?:append\([^"\n]*|\[\]string\{[^"\n]*)"([^"]{6,})"`},
	{"cmd/internal/server/*.go", "journal", 10, `newEntry\(journal\.Class\w+, "([^"]+)"`},
	{"cmd/internal/server/*.go", "journal", 3, `const event\w+ = "([^"]+)"`},
	{"redundancy/*.go", "journal", 3, `\bEvent\w+ += "([^"]+)"`},
	{"web/*.go", "journal", 5, `\bAudit[A-Z]\w* += "([^"]+)"`},
	{"cmd/internal/server/people.go", "journal", 6, `people\.[A-Z]\w+: "([^"]+)"`},
	{"alarms/names.go", "alarm", 12, `"([A-Z_]{2,})"`},
	{"cmd/internal/doctor/*.go", "check", 8, `(?:result\(|name = )"([a-z_]+ ?)"`},
	{"docs/monitoring/alerts.yml", "alert", 10, `alert: (\w+)`},
}

// named are the texts that are names and stand as such in the handbook.
var named = map[string]bool{"journal": true, "alarm": true, "check": true, "alert": true}

// TestEveryFailureHasAnEntry: what the product says to an operator, the handbook explains. A text is looked for up to its
// first placeholder.
func TestEveryFailureHasAnEntry(t *testing.T) {
	book := strings.Join(strings.Fields(file(t, "../../../docs/failures.md")), " ")
	for _, s := range sources {
		var texts []string
		for _, name := range expand(t, s.files) {
			for _, m := range regexp.MustCompile(s.pattern).FindAllStringSubmatch(file(t, name), -1) {
				text, _, _ := strings.Cut(m[1], "%")
				if text = strings.TrimSpace(strings.Trim(text, " (:")); len(text) > 2 {
					texts = append(texts, text)
				}
			}
		}
		slices.Sort(texts)
		texts = slices.Compact(texts)
		if len(texts) < s.least {
			t.Errorf("%s: only %q found in %s: has the source changed?", s.what, texts, s.files)
		}
		for _, text := range texts {
			if named[s.what] {
				text = "`" + text // a name, not a sentence
			}
			if !strings.Contains(book, text) {
				t.Errorf("docs/failures.md does not say what to do about %q (%s)", text, s.what)
			}
		}
	}
}

// expand returns the files of a pattern, with {a,b} as alternatives, without tests.
func expand(t *testing.T, pattern string) []string {
	t.Helper()
	patterns := []string{pattern}
	if head, rest, ok := strings.Cut(pattern, "{"); ok {
		list, tail, _ := strings.Cut(rest, "}")
		patterns = nil
		for _, p := range strings.Split(list, ",") {
			patterns = append(patterns, head+p+tail)
		}
	}
	var files []string
	for _, p := range patterns {
		found, err := filepath.Glob(filepath.Join("../../..", p))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, slices.DeleteFunc(found, func(f string) bool { return strings.HasSuffix(f, "_test.go") })...)
	}
	return files
}
