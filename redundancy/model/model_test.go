//go:build model

// Package model searches two small models of the pair for a state in which two nodes may write: link.pml, the lease of the
// link, and blocks.pml, that of a witness. The search is complete within the bounds given, and every rule is removed once to
// see that the model would tell. It needs spin and a C compiler: make model.
package model

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// depth is how far the search may go; what is beyond would be cut off, and counts as a failure.
const depth = 5_000_000

// runs are the models with what is defined for each, and whether two may write then.
var runs = []struct {
	model, defines string
	two            bool
}{
	{"link", "-DLIVES=2", false},
	{"link", "-DNO_LEASE", true},
	{"link", "-DLEASE=3", true},
	{"link", "-DTAKE=3 -DLEASE=2 -DFROM_RECEIPT", true},
	{"link", "-DACTING_ECHO", true},
	{"link", "-DKEEP_SOLO", true},
	{"link", "-DANY_HEIR", true},
	{"link", "-DTWO_HEIRS", true},
	{"link", "-DFORMER -DLIVES=2", true},

	{"blocks", "-DWRITES=3", false},
	{"blocks", "-DWRITES=2 -DOTHER=2", false},
	{"blocks", "-DWRITES=1 -DOTHER=1 -DWIPES=1 -DMARKS=2 -DSLOTS=1", false},
	{"blocks", "-DTAKE=1 -DHOLD=2", true},
	{"blocks", "-DFROM_RECEIPT", true},
	{"blocks", "-DREVIVE -DWRITES=3 -DOTHER=3", true},
	{"blocks", "-DSAME_WRITE -DWRITES=3", true},
	{"blocks", "-DNO_MARK -DWRITES=1 -DWIPES=1 -DMARKS=2", true},
}

func TestModels(t *testing.T) {
	for _, r := range runs {
		t.Run(strings.ReplaceAll(r.model+r.defines, " ", ""), func(t *testing.T) {
			out := search(t, r.model, r.defines)
			two := strings.Contains(out, "assertion violated")
			complete := !strings.Contains(out, "error: max search depth too small") && !strings.Contains(out, "Search not completed")
			if two != r.two || !two && !complete {
				t.Errorf("two may write: %v, want %v; complete: %v\n%s", two, r.two, complete, out)
			}
			t.Logf("%s %s: two may write: %v, %s", r.model, r.defines, two, figures(out))
		})
	}
}

// search compiles and runs the verifier of a model and returns what it says.
func search(t *testing.T, model, defines string) string {
	t.Helper()
	file, err := filepath.Abs(model + ".pml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, command := range []string{
		"spin " + defines + " -a " + file,
		"cc -O2 -DSAFETY -DCOLLAPSE -DNOREDUCE -DVECTORSZ=2048 -w -o pan pan.c",
	} {
		words := strings.Fields(command)
		cmd := exec.Command(words[0], words[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	cmd := exec.Command(filepath.Join(dir, "pan"), "-E", fmt.Sprintf("-m%d", depth), "-w24")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

var figure = regexp.MustCompile(`\d+ states, stored|elapsed time \S+ seconds`)

func figures(out string) string { return strings.Join(figure.FindAllString(out, -1), ", ") }
