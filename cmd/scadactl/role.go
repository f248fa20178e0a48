package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"scada/web/api"
)

func (a *app) roleCommand() *cobra.Command {
	show := &cobra.Command{Use: "role", Short: "Show the roles of both nodes, or change them", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			p, err := c.Role(ctx)
			if err != nil {
				return err
			}
			return a.print(roleTable(p))
		})}
	for _, v := range []struct{ verb, short string }{
		{api.VerbSwitch, "Planned switch to the other node, or to the one of --to"},
		{api.VerbTake, "Make the node asked active; name it with --server"},
		{api.VerbRelease, "Give the choice of the active node back to the automatic, after a switch or a take"},
		{api.VerbDrill, "Switch there and back and show the record"},
	} {
		show.AddCommand(a.roleVerb(v.verb, v.short))
	}
	show.AddCommand(a.roleHistory())
	m := a.roleVerb(api.VerbMaintenance, "Take the node asked out of the pair, or back in; name it with --server")
	m.Use, m.Args, m.ValidArgs = "maintenance on|off", cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs), []string{"on", "off"}
	show.AddCommand(m)
	return show
}

// roleHistory lists the records of the switches and of the merges after both nodes were active.
func (a *app) roleHistory() *cobra.Command {
	q := api.JournalQuery{Kind: "role"}
	var from, to string
	cmd := &cobra.Command{Use: "history", Short: "Records of switch-overs, and reports of what was merged after both nodes were active; newest first", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			var err error
			if q.From, q.To, err = parseSpan(from, to); err != nil {
				return err
			}
			out := api.Journal{Entries: []api.JournalEntry{}}
			t := table{header: []string{"time", "event", "area", "from", "to", "kind", "epoch", "record"}}
			for more := true; more; more = q.Cursor != "" {
				page, err := c.Journal(ctx, q)
				if err != nil {
					return err
				}
				for _, e := range page.Entries {
					if e.Event != "switch-over" && e.Event != "merge" {
						continue
					}
					out.Entries = append(out.Entries, e)
					t.add(when(&e.Time), e.Event, e.Area, e.Old, e.New, e.Result, fmt.Sprint(e.Epoch), e.Message)
				}
				q.Cursor = page.Next
			}
			t.value = out
			return a.print(t)
		})}
	cmd.Flags().StringVar(&from, "from", "-24h", "start")
	cmd.Flags().StringVar(&to, "to", "", "end")
	cmd.Flags().StringVar(&q.Area, "area", "", "of one area")
	return cmd
}

func (a *app) roleVerb(verb, short string) *cobra.Command {
	in := api.RoleCommand{Verb: verb}
	cmd := &cobra.Command{Use: verb, Short: short, Args: cobra.NoArgs}
	cmd.Flags().StringVar(&in.Area, "area", "", "one area instead of all")
	cmd.Flags().StringVar(&in.Reason, "reason", "", "for the journal")
	switch verb {
	case api.VerbSwitch:
		cmd.Flags().StringVar(&in.To, "to", "", "the node that shall be active; areas it has already stay")
	case api.VerbTake:
		cmd.Flags().BoolVar(&in.Force, "force", false, "although the other node may be active")
	}
	do := a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
		in.On = len(args) == 1 && args[0] == "on"
		result, err := c.RoleCommand(ctx, in)
		if err != nil {
			return err
		}
		return a.print(roleResultTable(result))
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !a.timeoutSet {
			a.timeout = roleTimeout
		}
		return do(cmd, args)
	}
	return cmd
}

func roleTable(p api.Pair) table {
	t := table{value: p, header: []string{"node", "designation", "reachable", "area", "role", "epoch", "confirmed", "since", "paths", "lag_ms", "backfill", "score", "version", "reason"}}
	for _, n := range p.Nodes {
		var paths []string
		for _, path := range n.Paths {
			state := "down"
			if path.Up {
				state = fmt.Sprintf("%.1fms", path.RTTms)
			}
			paths = append(paths, path.Name+" "+state)
		}
		areas := n.Areas
		if len(areas) == 0 {
			areas = []api.Area{{}}
		}
		for _, ar := range areas {
			duty, confirmed := ar.Role, yes(ar.Confirmed)
			if duty == api.RoleUnknown {
				duty, confirmed = "unknown, was "+ar.Was, "?"
			}
			designation := n.Designation
			if ar.Designation != "" {
				designation = ar.Designation
			}
			t.add(n.Node, designation, yes(n.Reachable), ar.Area, duty, fmt.Sprint(ar.Epoch), confirmed, when(&ar.Since), strings.Join(paths, ", "),
				fmt.Sprint(n.Mirror.LagMs), fmt.Sprint(n.Backfill.Remaining), fmt.Sprint(n.Score), n.Version, ar.Reason)
		}
	}
	t.foot = append(t.foot, "")
	t.foot = append(t.foot, readiness(p)...)
	records := p.Switches
	if len(records) == 0 && p.LastSwitch != nil { // a server that tells only the newest
		records = []api.Switch{*p.LastSwitch}
	}
	for _, s := range records {
		t.foot = append(t.foot, switchLine(s))
	}
	return t
}

// readiness is the line that counts, with what is in the way and what is wrong.
func readiness(p api.Pair) []string {
	ready := len(p.Nodes) > 0
	var why []string
	for _, n := range p.Nodes {
		ready = ready && n.Ready
		for _, reason := range n.NotReady {
			why = append(why, fmt.Sprintf("  %s: %s", n.Node, strings.TrimPrefix(reason, n.Node+": ")))
		}
		if len(n.Faults) > 0 {
			why = append(why, fmt.Sprintf("  %s: score %d: %s", n.Node, n.Score, strings.Join(n.Faults, "; ")))
		}
	}
	return append([]string{"FAILOVER READY: " + yes(ready)}, why...)
}

func switchLine(s api.Switch) string {
	from := ""
	if s.From != "" {
		from = " from " + s.From
	}
	line := fmt.Sprintf("last switch: %s%s to %s at %s (%s: %s), detected in %d ms, active in %d ms, first value in %d ms, %d slots missed, %d duplicates",
		s.Area, from, s.To, s.At.UTC().Format(time.RFC3339), s.Kind, s.Reason, s.DetectMs, s.ActivateMs, s.FirstValueMs, s.MissedSlots, s.Duplicates)
	for _, d := range s.Devices {
		if d.Error != "" {
			line += fmt.Sprintf(", no value of %s", d.Device)
		}
	}
	return line
}

func roleResultTable(r api.RoleResult) table {
	t := table{value: r, header: []string{"result", "detail", "from", "to", "kind", "detect_ms", "activate_ms", "first_value_ms", "missed_slots", "duplicates"}}
	s := r.Switch
	if s == nil {
		t.header = t.header[:2]
		t.add(r.Result, r.Detail)
		return t
	}
	t.add(r.Result, r.Detail, s.From, s.To, s.Kind, fmt.Sprint(s.DetectMs), fmt.Sprint(s.ActivateMs), fmt.Sprint(s.FirstValueMs), fmt.Sprint(s.MissedSlots), fmt.Sprint(s.Duplicates))
	return t
}
