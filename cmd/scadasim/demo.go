package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"scada/cmd/scadasim/demo"
)

// demoReady bounds how long a part of the demo may take until it serves.
const demoReady = 30 * time.Second

func demoCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "demo", Short: "Run the demo: the simulated waterworks and the pair of servers that watches it", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDemo(c.Context(), dir, c.OutOrStdout()) },
	}
	c.Flags().StringVar(&dir, "dir", "run", "folder for the files of the demo; removed at the end")
	return c
}

func runDemo(ctx context.Context, dir string, out io.Writer) (err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("finding the folder of the demo: %w", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("%s exists already: another demo runs, or was killed; end it and remove the folder", dir)
		}
		return fmt.Errorf("making the folder of the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ports := demo.DefaultPorts()
	if err := portsFree(ports); err != nil {
		return err
	}
	who, err := demo.Write(dir, ports)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the programs: %w", err)
	}
	scadad := filepath.Join(filepath.Dir(self), "scadad")
	plant := filepath.Join(dir, "plant.yaml")
	node := func(name string, port int, shown func()) demo.Process {
		return demo.Process{
			Name: name, Program: scadad, Args: []string{"--config", plant, "--node", name}, Restart: true,
			Ready: func(ctx context.Context) error {
				err := answers(ctx, fmt.Sprintf("http://127.0.0.1:%d/health/live", port))
				if err == nil {
					shown()
				}
				return err
			},
		}
	}
	return demo.Supervise(ctx, dir, []demo.Process{
		{
			Name: "plant", Program: self, Args: []string{"plant", "--config", filepath.Join(dir, "sim.yaml")}, Restart: true,
			Ready: func(ctx context.Context) error {
				return answers(ctx, fmt.Sprintf("http://127.0.0.1:%d/devices", ports.Control))
			},
		},
		node("a", ports.HTTPA, func() {}),
		node("b", ports.HTTPB, func() { table(out, dir, ports, who) }),
	}, out)
}

// portsFree says which port of the demo is taken, before anything is started.
func portsFree(p demo.Ports) error {
	for _, port := range []int{p.HTTPA, p.HTTPB, p.UAA, p.UAB, p.LanA, p.LanB, p.PLC1, p.PLC2, p.PLC3, p.Mixer, p.Control} {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return fmt.Errorf("the demo needs port %d of this machine: %w", port, err)
		}
		l.Close()
	}
	return nil
}

func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, demoReady)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no answer from %s within %s", url, demoReady)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func table(out io.Writer, dir string, p demo.Ports, c demo.Credentials) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(out, "\nThe waterworks runs, watched by a redundant pair.")
	fmt.Fprintf(w, "\tnode a (primary)\tnode b (standby)\n")
	fmt.Fprintf(w, "dashboard\thttp://127.0.0.1:%d\thttp://127.0.0.1:%d\n", p.HTTPA, p.HTTPB)
	fmt.Fprintf(w, "OPC UA\topc.tcp://127.0.0.1:%d\topc.tcp://127.0.0.1:%d\n", p.UAA, p.UAB)
	fmt.Fprintf(w, "devices\tModbus TCP 127.0.0.1:%d %d %d\tOPC UA 127.0.0.1:%d\n", p.PLC1, p.PLC2, p.PLC3, p.Mixer)
	fmt.Fprintf(w, "log in as\toperator / %s\tadmin / %s\tviewer / %s\n", c.Operator, c.Admin, c.Viewer)
	w.Flush()
	fmt.Fprintf(out, `
To try, in another terminal:
  set -a; . %[1]s/scadactl.env; set +a
  bin/scadactl role                     who does what
  bin/scadactl alarm list
  kill -9 $(cat %[1]s/a.pid)             the other node carries on; the dead one comes back after 15 s and takes over again
  kill -STOP $(cat %[1]s/a.pid)          a frozen node is a dead node; kill -CONT wakes it
  bin/scadactl role switch              move the plant to the other node on purpose
  curl -H 'Content-Type: application/json' -d '{"device":"plc1","kind":"silent"}' http://127.0.0.1:%[2]d/fault
Logs are in %[1]s. Ctrl-C ends everything and leaves nothing behind.

`, relative(dir), p.Control)
}

// relative shortens a path for people.
func relative(dir string) string {
	wd, err := os.Getwd()
	if err != nil {
		return dir
	}
	if r, err := filepath.Rel(wd, dir); err == nil && len(r) < len(dir) {
		return r
	}
	return dir
}
