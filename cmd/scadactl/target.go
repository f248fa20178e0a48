package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"scada/web/api"
)

// historyTarget are the commands about the engines the history is sent to.
func (a *app) historyTarget() *cobra.Command {
	return group("target", "Engines the history is sent to", a.targetList(), a.targetShow())
}

func (a *app) targetList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "The engines the history is sent to, as a node knows them", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			out, err := c.HistoryTargets(ctx)
			if err != nil {
				return err
			}
			t := table{value: out, header: []string{"target", "address", "sending", "sent_to", "counts_to", "waiting", "sent", "refused", "parked", "missed", "failed", "error"}}
			for _, x := range out.Targets {
				t.add(x.Name, x.Address, fmt.Sprint(x.Sending), when(x.SentTo), when(x.CountsTo), fmt.Sprint(x.WaitingSamples), fmt.Sprint(x.SentSamples), fmt.Sprint(x.RefusedSamples),
					fmt.Sprint(x.ParkedSamples), fmt.Sprint(x.MissedSamples), fmt.Sprint(x.Failed), x.Error)
			}
			return a.print(t)
		})}
}

func (a *app) targetShow() *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "The samples an engine called wrong, with its reasons", Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			out, err := c.HistoryTargets(ctx)
			if err != nil {
				return err
			}
			for _, x := range out.Targets {
				if x.Name != args[0] {
					continue
				}
				t := table{value: x, header: []string{"at", "tag", "tags", "from", "to", "samples", "status", "reason"}}
				for _, p := range x.Parked {
					t.add(when(&p.At), p.Tag, fmt.Sprint(p.Tags), when(&p.From), when(&p.To), fmt.Sprint(p.Samples), fmt.Sprint(p.Status), p.Reason)
				}
				return a.print(t)
			}
			return api.NewProblem(api.CodeNotFound, "no target is named %q", args[0])
		})}
}
