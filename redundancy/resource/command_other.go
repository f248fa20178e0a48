//go:build !unix

package resource

import "os/exec"

// ownGroup does nothing here: only the program itself is killed when its time is over.
func ownGroup(*exec.Cmd) {}
