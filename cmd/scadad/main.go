// Scadad runs one node of a redundant pair of SCADA data servers.
package main

import (
	"os"
)

// version is set when the program is built.
var version = "development"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }
