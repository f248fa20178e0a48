package demo

import _ "embed"

//go:embed sim.yaml
var simulation []byte

// Simulation returns the embedded sim.yaml: the devices of the demo plant on their usual ports.
func Simulation() []byte { return simulation }
