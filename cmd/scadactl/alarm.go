package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"scada/web/api"
)

func (a *app) alarmCommand() *cobra.Command {
	return group("alarm", "List and operate alarms", a.alarmList(), a.alarmKPI(), a.alarmPreview(), a.alarmNotifications(), a.alarmVerb(api.AlarmShelve, "Shelve alarms for a time"),
		a.alarmVerb(api.AlarmAck, "Acknowledge alarms"), a.alarmVerb(api.AlarmUnshelve, "End shelving"), a.alarmVerb(api.AlarmComment, "Add a comment"),
		a.alarmVerb(api.AlarmReset, "Reset latched alarms"), a.alarmVerb(api.AlarmOOS, "Take alarms out of service"), a.alarmVerb(api.AlarmRTS, "Return alarms to service"))
}

func (a *app) alarmList() *cobra.Command {
	var f api.AlarmFilter
	cmd := &cobra.Command{Use: "list", Short: "Alarms that are not normal", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			all := api.Alarms{Alarms: []api.Alarm{}}
			for {
				page, err := c.Alarms(ctx, f)
				if err != nil {
					return err
				}
				all.Alarms = append(all.Alarms, page.Alarms...)
				all.Total = page.Total
				if f.Cursor = page.Next; f.Cursor == "" {
					break
				}
			}
			t := table{value: all, header: []string{"id", "occurrence", "state", "level", "priority", "time", "value", "unit", "tag", "message", "comment"}}
			for _, m := range all.Alarms {
				t.add(m.ID, fmt.Sprint(m.Occurrence), m.State, m.Level, fmt.Sprint(m.Priority), when(m.Time), text(m.Value), m.Unit, m.Tag, m.Message, m.Comment)
			}
			return a.print(t)
		})}
	cmd.Flags().BoolVar(&f.All, "all", false, "also those in NORM")
	cmd.Flags().StringVar(&f.State, "state", "", "of one state, such as UNACK")
	cmd.Flags().StringVar(&f.Area, "area", "", "of one area")
	cmd.Flags().StringVar(&f.Tag, "tag", "", "of one tag")
	cmd.Flags().IntVar(&f.MaxPriority, "priority", 0, "of this priority and more urgent ones")
	return cmd
}

func (a *app) alarmVerb(command, short string) *cobra.Command {
	in := api.AlarmCommand{Command: command}
	var period time.Duration
	cmd := &cobra.Command{Use: command + " ID[@OCCURRENCE]…", Short: short, Args: cobra.MinimumNArgs(1)}
	cmd.Flags().StringVarP(&in.Comment, "comment", "m", "", "for the journal")
	if command == api.AlarmShelve {
		cmd.Flags().DurationVar(&period, "for", time.Hour, "how long")
		cmd.Flags().BoolVar(&in.OneShot, "one-shot", false, "until it has returned to normal")
	}
	cmd.RunE = a.ask(func(ctx context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
		if command == api.AlarmShelve && (!in.OneShot || cmd.Flags().Changed("for")) {
			in.ForS = int64(period / time.Second)
		}
		if command == api.AlarmComment && in.Comment == "" {
			return usage(`say it with --comment "TEXT"; what stands without is the id of an alarm`)
		}
		refs, err := alarmRefs(args)
		if err != nil {
			return err
		}
		in.Alarms = refs
		out, err := c.AlarmCommand(ctx, in)
		if err != nil {
			return err
		}
		return a.printAlarmResults(out)
	})
	return cmd
}

// alarmRefs reads ID@OCCURRENCE; without an occurrence it is the present one.
func alarmRefs(args []string) ([]api.AlarmRef, error) {
	var refs []api.AlarmRef
	for _, arg := range args {
		ref := api.AlarmRef{ID: arg}
		if i := strings.LastIndexByte(arg, '@'); i >= 0 {
			n, err := strconv.ParseUint(arg[i+1:], 10, 64)
			if err != nil {
				return nil, usage("%s: the occurrence after @ is no number", arg)
			}
			ref = api.AlarmRef{ID: arg[:i], Occurrence: n}
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

func (a *app) printAlarmResults(out api.AlarmResults) error {
	t := table{value: out, header: []string{"id", "result", "detail"}}
	refused := 0
	for _, r := range out.Results {
		t.add(r.ID, r.Result, r.Detail)
		if !r.Done() {
			refused++
		}
	}
	if err := a.print(t); err != nil {
		return err
	}
	if refused > 0 {
		return &exitError{exitRefused, fmt.Sprintf("%d of %d refused", refused, len(out.Results))}
	}
	return nil
}

func (a *app) alarmKPI() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{Use: "kpi", Short: "Alarm performance of an interval", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			begin, end, err := parseSpan(from, to)
			if err != nil {
				return err
			}
			k, err := c.KPI(ctx, begin, end)
			if err != nil {
				return err
			}
			return a.print(kpiTable(k))
		})}
	cmd.Flags().StringVar(&from, "from", "-8h", "start")
	cmd.Flags().StringVar(&to, "to", "now", "end")
	return cmd
}

func kpiTable(k api.KPI) table {
	t := table{value: k, header: []string{"measure", "value"}}
	number := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	t.add("from", when(&k.From))
	t.add("to", when(&k.To))
	t.add("alarms", fmt.Sprint(k.Alarms))
	t.add("per_10min_average", number(k.Per10MinAverage))
	t.add("per_10min_peak", fmt.Sprint(k.Per10MinPeak))
	t.add("floods", fmt.Sprint(k.FloodCount))
	t.add("flood_percent", number(k.FloodPercent))
	t.add("top_percent", number(k.TopPercent))
	t.add("unacknowledged", fmt.Sprint(k.Unacknowledged))
	t.add("ack_median_s", number(k.AckMedianS))
	t.add("ack_p95_s", number(k.AckP95S))
	for _, list := range []struct {
		name  string
		items []api.AlarmCount
	}{{"top", k.Top}, {"chattering", k.Chattering}, {"fleeting", k.Fleeting}, {"stale", k.Stale}} {
		for _, c := range list.items {
			t.add(list.name, fmt.Sprintf("%s %d", c.ID, c.Count))
		}
	}
	return t
}

func parseSpan(from, to string) (begin, end time.Time, err error) {
	now := time.Now()
	if begin, err = parseTime(from, now); err != nil {
		return begin, end, err
	}
	end, err = parseTime(to, now)
	return begin, end, err
}
