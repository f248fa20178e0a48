// Mutate makes deliberate faults in the sources and says which test notices each: a proof that cannot fail proves
// nothing. The faults of a room are listed in its mutations.txt; the sources themselves are never touched, the
// faulty copy is put in place by the compiler's overlay.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() { os.Exit(run()) }

func run() int {
	only := flag.String("only", "", "part of the room or of the text of the faults to make")
	flag.Parse()
	lists, err := load(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		return 1
	}
	made, missed, began := 0, 0, time.Now()
	for _, l := range lists {
		for _, m := range l.mutations {
			if !strings.Contains(l.room+": "+m.what, *only) {
				continue
			}
			made++
			by, err := l.make(m)
			switch {
			case err != nil:
				missed++
				by = "ERROR: " + err.Error()
			case by == "":
				missed++
				by = "NOBODY"
			}
			fmt.Printf("| %s | %s | %s |\n", l.room, m.what, by)
		}
	}
	fmt.Printf("\n%d faults made, %d not noticed, in %v\n", made, missed, time.Since(began).Round(time.Second))
	if missed > 0 || made == 0 {
		return 1
	}
	return 0
}
