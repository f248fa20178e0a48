package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"scada/web/api"
)

func (a *app) deviceCommand() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "All devices", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			d, err := c.Devices(ctx)
			if err != nil {
				return err
			}
			t := table{value: d, header: []string{"name", "area", "driver", "endpoint", "node", "state", "tags", "latency_ms", "requests", "errors", "timeouts", "overruns", "last_error"}}
			for _, v := range d.Devices {
				t.add(v.Name, v.Area, v.Driver, v.Endpoint, v.Node, v.State, fmt.Sprint(v.Tags), fmt.Sprintf("%.1f", v.LatencyMs),
					fmt.Sprint(v.Requests), fmt.Sprint(v.Errors), fmt.Sprint(v.Timeouts), fmt.Sprint(v.Overruns), v.LastError)
			}
			return a.print(t)
		})}
	show := &cobra.Command{Use: "show NAME", Short: "One device", Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			v, err := c.Device(ctx, args[0])
			if err != nil {
				return err
			}
			return a.print(deviceTable(v))
		})}
	return group("device", "The devices: state, test, what they have", list, show, a.deviceTest(), a.deviceBrowse())
}

func deviceTable(v api.Device) table {
	t := table{value: v, header: []string{"field", "value"}}
	t.add("name", v.Name)
	t.add("area", v.Area)
	t.add("driver", v.Driver)
	t.add("endpoint", v.Endpoint)
	t.add("node", v.Node)
	t.add("state", v.State)
	t.add("since", when(v.Since))
	t.add("tags", fmt.Sprint(v.Tags))
	t.add("blocks", fmt.Sprint(v.Blocks))
	if v.Window > 0 {
		t.add("window", fmt.Sprint(v.Window))
	}
	t.add("latency_ms", fmt.Sprintf("%.1f, at most %.1f", v.LatencyMs, v.LatencyMax))
	t.add("start_late_ms", fmt.Sprintf("%.1f", v.StartLateMs))
	t.add("requests", fmt.Sprint(v.Requests))
	t.add("writes", fmt.Sprint(v.Writes))
	t.add("errors", fmt.Sprint(v.Errors))
	t.add("timeouts", fmt.Sprint(v.Timeouts))
	t.add("overruns", fmt.Sprint(v.Overruns))
	t.add("reconnects", fmt.Sprint(v.Reconnects))
	t.add("late", fmt.Sprint(v.Late))
	t.add("malformed", fmt.Sprint(v.Malformed))
	t.add("demotions", fmt.Sprint(v.Demotions))
	for code, n := range v.Exceptions {
		if n > 0 {
			t.add(fmt.Sprintf("exception_%d", code), fmt.Sprint(n))
		}
	}
	t.add("last_error", v.LastError)
	t.add("last_error_at", when(v.LastErrorAt))
	t.add("detail", v.Detail)
	return t
}

// deviceTimeout is longer than the usual one: a device is asked for seconds.
const deviceTimeout = 40 * time.Second

// unhurried makes a command wait for a device.
func (a *app) unhurried(do func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if !a.timeoutSet {
			a.timeout = deviceTimeout
		}
		return do(cmd, args)
	}
}

func (a *app) deviceTest() *cobra.Command {
	var test api.DeviceTestCommand
	cmd := &cobra.Command{Use: "test NAME", Short: "Examine a device beside its polling", Args: cobra.ExactArgs(1),
		Long: "Examine a device beside its polling: who it is, how many requests a second it answers with 1, 2, 4 … 16 in flight, how quickly, what\n" +
			"goes wrong, and how much it gives at once. The active node asks; polls and writes go first. Registers behind those of the tags are\n" +
			"read too, to find the longest read.",
		RunE: a.unhurried(a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			v, err := c.TestDevice(ctx, args[0], test)
			if err != nil {
				return err
			}
			if err := a.print(testTable(v)); err != nil {
				return err
			}
			if v.Reached != nil && !*v.Reached {
				return &exitError{exitFailed, "the device was not reached"}
			}
			return nil
		}))}
	cmd.Flags().BoolVar(&test.Here, "here", false, "from the node asked, which as a standby does no more than the device's probe setting permits")
	return cmd
}

// testTable has a row for each window; what is said once stands below.
func testTable(v api.DeviceTest) table {
	t := table{value: v, header: []string{"window", "per_s", "answers", "p50_ms", "p99_ms", "max_ms", "timeouts", "malformed", "exceptions", "lost"}}
	for _, x := range v.Trials {
		t.add(fmt.Sprint(x.Window), fmt.Sprintf("%.0f", x.PerSecond), fmt.Sprint(x.Answers), fmt.Sprintf("%.2f", x.P50Ms), fmt.Sprintf("%.2f", x.P99Ms),
			fmt.Sprintf("%.2f", x.MaxMs), fmt.Sprint(x.Timeouts), fmt.Sprint(x.Malformed), fmt.Sprint(x.Exceptions), yes(x.Lost))
	}
	say := func(format string, args ...any) { t.foot = append(t.foot, fmt.Sprintf(format, args...)) }
	say("asked by node %s (%s)", v.Node, v.Role)
	if v.Reached != nil {
		say("reached: %s, after %.1f ms", yes(*v.Reached), v.ReachedMs)
	}
	for _, f := range v.Identity {
		say("%s: %s", f.Name, f.Text)
	}
	if v.BestWindow > 0 {
		say("best window: %d", v.BestWindow)
	}
	if v.LargestRead > 0 {
		say("longest read: %d", v.LargestRead)
	}
	t.foot = append(t.foot, v.Notes...)
	return t
}

func (a *app) deviceBrowse() *cobra.Command {
	var q api.DeviceBrowse
	cmd := &cobra.Command{Use: "browse NAME", Short: "What an OPC UA device has, as a list of tags", Args: cobra.ExactArgs(1),
		Long: "What an OPC UA device has, as a list of tags. With -o csv the answer is a file for tag_files; take out what is not wanted. Variables no tag\n" +
			"can hold, as arrays, are left out of it. Tags are read-only until somebody makes them writable.",
		Example: "  scadactl device browse mixer -o csv > tags/mixer.csv",
		RunE: a.unhurried(a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			all := api.DeviceNodes{Nodes: []api.DeviceNode{}}
			for {
				page, err := c.DeviceNodes(ctx, args[0], q)
				if err != nil {
					return err
				}
				all.Nodes = append(all.Nodes, page.Nodes...)
				all.Total = page.Total
				if q.Cursor = page.Next; q.Cursor == "" {
					break
				}
			}
			t, left := tagRows(args[0], all)
			if left > 0 {
				fmt.Fprintf(a.err, "%d variables are left out: no tag can hold them\n", left)
			}
			return a.print(t)
		}))}
	cmd.Flags().StringVar(&q.Node, "node", "", "begin at this node, as ns=2;s=Line1")
	return cmd
}

// tagRows makes rows of a tag file; left counts what has no type.
func tagRows(device string, found api.DeviceNodes) (t table, left int) {
	t = table{value: found, header: []string{"name", "device", "address", "type"}}
	names := map[string]int{}
	for _, n := range found.Nodes {
		if n.Type == "" {
			left++
			continue
		}
		name := tagName(device + "/" + n.Path)
		if names[name]++; names[name] > 1 {
			name = fmt.Sprintf("%s_%d", name, names[name])
		}
		t.add(name, device, n.Address, n.Type)
	}
	return t, left
}

// tagName makes the name of a tag of a path: what may not stand in one becomes an underscore.
func tagName(path string) string {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	for i, p := range parts {
		parts[i] = cmp.Or(strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || strings.ContainsRune("_-.", r) {
				return r
			}
			return '_'
		}, p), "_")
	}
	return strings.Join(parts, "/")
}
