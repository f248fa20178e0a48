package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"scada/web/api"
)

const (
	verifySettled = 10 * time.Minute // so long a window must be over to be the same on both nodes
	verifyWindow  = 10 * time.Minute
	repairRounds  = 30 // verifications after a repair
	repairPause   = 2 * time.Second
)

// verified is what one node holds, as it was read from its disk.
type verified struct {
	Server  string            `json:"server"`
	Days    int               `json:"days"`
	Samples uint64            `json:"samples"`
	Windows int               `json:"windows"`
	Wrong   int               `json:"wrong"`
	Damaged []string          `json:"damaged"`
	digests map[string]string // by window
}

// verification is the answer of history verify.
type verification struct {
	Equal   bool       `json:"equal"`
	Nodes   []verified `json:"nodes"`
	Differ  []string   `json:"differ"` // windows that differ
	trouble []error
}

func (a *app) historyVerify() *cobra.Command {
	var from, to string
	var repair bool
	cmd := &cobra.Command{Use: "verify", Short: "Read everything both nodes hold of an interval, and prove it equal", Args: cobra.NoArgs,
		Long: "Read everything both nodes hold of an interval, and prove it equal.\n\nEvery block is read from disk on every server of --server; the digests of the ten-minute windows are computed from the samples\n" +
			"themselves and compared. The last ten minutes are left out: they may be on their way. With --repair each node sets aside what it cannot read,\n" +
			"and they exchange what differs; nothing is ever removed. Exit code 1 when something is damaged or differs at the end.",
	}
	cmd.Flags().StringVar(&from, "from", "-24h", "start")
	cmd.Flags().StringVar(&to, "to", "now", "end")
	cmd.Flags().BoolVar(&repair, "repair", false, "set aside what cannot be read and exchange what differs")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		a.patient()
		return a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			begin, end, err := parseSpan(from, to)
			if err != nil {
				return err
			}
			begin, end = begin.Truncate(verifyWindow), end.Truncate(verifyWindow)
			if latest := time.Now().Add(-verifySettled).Truncate(verifyWindow); end.After(latest) {
				end = latest
			}
			if !begin.Before(end) {
				return usage("nothing between --from and --to has been over for %s", verifySettled)
			}
			return a.verify(ctx, c, begin, end, repair)
		})(cmd, args)
	}
	return cmd
}

func (a *app) verify(ctx context.Context, c *api.Client, from, to time.Time, repair bool) error {
	servers := slices.Clone(c.Servers())
	slices.Sort(servers)
	if len(servers) < 2 {
		return usage("--server names one node: want both, to compare them")
	}
	v := a.verifyAll(ctx, c, servers, from, to)
	if repair && !v.sound() {
		for _, server := range servers {
			res, err := c.Only(server).Repair(ctx, api.RepairRequest{From: from, To: to})
			if err != nil {
				return fmt.Errorf("repair of %s: %w", server, err)
			}
			fmt.Fprintf(a.err, "%s: %d blocks set aside, %d digests counted anew\n", server, res.Blocks, res.Digests)
		}
		for round := 0; round < repairRounds && !v.sound() && ctx.Err() == nil; round++ {
			select {
			case <-ctx.Done():
			case <-time.After(repairPause):
			}
			v = a.verifyAll(ctx, c, servers, from, to)
		}
	}
	if err := a.print(v.table()); err != nil {
		return err
	}
	switch {
	case len(v.trouble) > 0:
		return errors.Join(v.trouble...)
	case !v.sound():
		return &exitError{exitFailed, "the archives are not sound, or not equal"}
	}
	return nil
}

func (v *verification) sound() bool {
	if !v.Equal || len(v.trouble) > 0 {
		return false
	}
	for _, n := range v.Nodes {
		if n.Wrong > 0 || len(n.Damaged) > 0 {
			return false
		}
	}
	return true
}

// verifyAll reads one node after the other and compares them.
func (a *app) verifyAll(ctx context.Context, c *api.Client, servers []string, from, to time.Time) *verification {
	v := &verification{Differ: []string{}}
	for _, server := range servers {
		n := verified{Server: server, Damaged: []string{}, digests: map[string]string{}}
		err := c.Only(server).Verify(ctx, from, to, func(d api.VerifiedDay) error {
			n.Days++
			n.Samples += d.Samples
			n.Windows += len(d.Windows)
			n.Wrong += len(d.Wrong)
			n.Damaged = append(n.Damaged, d.Damaged...)
			for _, w := range d.Windows {
				n.digests[w.Window.UTC().Format(time.RFC3339)] = fmt.Sprintf("%d %s", w.Samples, w.Digest)
			}
			a.progress("%s: %d days, %d samples", server, n.Days, n.Samples)
			return nil
		})
		if err != nil {
			v.trouble = append(v.trouble, fmt.Errorf("%s: %w", server, err))
		}
		v.Nodes = append(v.Nodes, n)
	}
	a.progressEnd()
	windows := map[string]bool{}
	for _, n := range v.Nodes {
		for w := range n.digests {
			windows[w] = true
		}
	}
	for w := range windows {
		for _, n := range v.Nodes[1:] {
			if n.digests[w] != v.Nodes[0].digests[w] {
				v.Differ = append(v.Differ, w)
				break
			}
		}
	}
	slices.Sort(v.Differ)
	v.Equal = len(v.Differ) == 0 && len(v.trouble) == 0
	return v
}

const maxListed = 20 // lines of a kind below the table

func (v *verification) table() table {
	t := table{value: v, header: []string{"server", "days", "windows", "samples", "wrong_digests", "damaged_blocks"}}
	for _, n := range v.Nodes {
		t.add(n.Server, fmt.Sprint(n.Days), fmt.Sprint(n.Windows), fmt.Sprint(n.Samples), fmt.Sprint(n.Wrong), fmt.Sprint(len(n.Damaged)))
		for _, d := range n.Damaged[:min(len(n.Damaged), maxListed)] {
			t.foot = append(t.foot, n.Server+": damaged: "+d)
		}
	}
	for _, w := range v.Differ[:min(len(v.Differ), maxListed)] {
		t.foot = append(t.foot, "differs: ten minutes from "+w)
	}
	if v.Equal {
		t.foot = append(t.foot, "equal")
	} else if n := len(v.Differ) - maxListed; n > 0 {
		t.foot = append(t.foot, fmt.Sprintf("and %d more", n))
	}
	return t
}
