package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"scada/cmd/scadasim/demo"
	"scada/cmd/scadasim/plant"
)

const plantHelp = `Run the simulated devices of a plant until SIGTERM or Ctrl-C.

The control port (127.0.0.1:9500 in the demo) takes and answers JSON:
  POST   /fault   {"device": "plc1", "kind": "silent"}    kinds and their fields: see GET /fault with a wrong one
  GET    /fault   DELETE /fault?device=plc1               what is injected; end it (without device: all of it)
  GET    /polls                                           who polled what when, by remote address, with overlaps
  GET    /journal?after_request=0&after_change=0&limit=   every request and every change of a point alarms depend on
  GET    /points?prefix=intake/                           what the devices show
  POST   /points  {"name": "intake/flooded", "value": 1}  force what a point shows; with "set": true write it
  DELETE /points?name=intake/flooded                      release it (without name: all)
  GET    /devices                                         addresses and open connections

A controller with listen: "pty:line1" is on a serial line: the path line1, beside sim.yaml, is made and printed, and is
what a device takes as rtu:///path/to/line1?baud=19200. Faults of lines: bad-crc, wrong-unit, garbage-first (noise),
echo, split-exception, late, drip, silent, refuse (unplugged).

As many controllers as a large plant has, many1 to many1000 on ports that follow each other, with registers that prove
themselves (what they hold follows from device, address and time: plc.ProofValue):
  many: {listen: "127.0.0.1:20000", count: 1000, registers: 1000, tick: 1s, latency: 5ms}

sim.yaml may have a scenario, which happens by itself, again and again with repeat:
  scenario:
    repeat: 10m
    steps:
      - {at: 10s, fault: {device: plc1, kind: silent}}              also delay, code, after, count as above
      - {at: 40s, clear: plc1}
      - {at: 1m, point: intake/flooded, value: 1}
      - {at: 2m, release: intake/flooded}
      - {at: 3m, points: well1/, value: "true", within: 100ms}      an avalanche: every point that begins so
      - {at: 4m, playback: day.csv}                                 lines at,point,value; an empty value releases`

func plantCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "plant", Short: "Run the simulated devices of a plant", Long: plantHelp, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runPlant(c, file) },
	}
	c.Flags().StringVar(&file, "config", "", "sim.yaml; without it the demo waterworks runs")
	return c
}

func runPlant(c *cobra.Command, file string) error {
	name, src := "sim.yaml", demo.Simulation()
	if file != "" {
		var err error
		if src, err = os.ReadFile(file); err != nil {
			return fmt.Errorf("reading the simulation: %w", err)
		}
		name = file
	}
	config, err := plant.Parse(name, src)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
	p, err := plant.New(config, plant.Options{Log: log})
	if err != nil {
		return err
	}
	if err := p.Listen(); err != nil {
		return err
	}
	announce(c.OutOrStdout(), p, config)
	return p.Run(c.Context())
}

// announce says where everything is, once it is there.
func announce(w io.Writer, p *plant.Plant, c *plant.Config) {
	for _, m := range c.Modbus {
		fmt.Fprintf(w, "modbus  %s  %s\n", p.Addr(m.Name), m.Name)
	}
	for _, u := range c.OPCUA {
		fmt.Fprintf(w, "opcua   %s  %s\n", p.Addr(u.Device), u.Device)
	}
	if n := c.Many.Count; n > 0 {
		fmt.Fprintf(w, "modbus  %s  many1 … many%d, on this port and those that follow\n", p.Addr("many1"), n)
	}
	if a := p.ControlAddr(); a != nil {
		fmt.Fprintf(w, "control %s\n", a)
	}
}
