// Command scadactl operates a pair from the command line: roles, tags, alarms, journal, history, devices.
//
// The answer goes to standard output, everything else to standard error. It exits with 0 when done, 1 when failed, 2 on wrong
// usage, 3 when the server refused, 4 when no server was reached.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// version is set when the program is built.
var version = "development"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], world{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv})
	stop()
	os.Exit(code)
}

// world is what the program sees of its surroundings.
type world struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
}
