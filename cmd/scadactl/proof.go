package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"scada/web/api"
)

// journalVerify has each node verify its own journal.
func (a *app) journalVerify() *cobra.Command {
	return &cobra.Command{Use: "verify", Short: "Hold the journal of each node against its chain of hashes; fails when something was altered, removed, inserted or cut off", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			var proofs []api.JournalProof
			var failed []error
			wrong := false
			t := table{header: []string{"node", "intact", "entries", "covered", "before", "records", "compared", "head"}}
			for _, server := range c.Servers() {
				p, err := c.Only(server).VerifyJournal(ctx)
				if err != nil {
					failed = append(failed, fmt.Errorf("%s: %w", server, err))
					continue
				}
				proofs = append(proofs, p)
				wrong = wrong || !p.Intact
				t.add(p.Node, yes(p.Intact), fmt.Sprint(p.Entries), fmt.Sprint(p.Covered), fmt.Sprint(p.Before), fmt.Sprint(p.Records), fmt.Sprint(p.Compared), p.Head)
				t.foot = append(t.foot, proofLines(p)...)
			}
			t.value = proofs
			if len(proofs) > 0 {
				if err := a.print(t); err != nil {
					return err
				}
			}
			if wrong {
				return &exitError{exitFailed, "a journal is not as it was written"}
			}
			return errors.Join(failed...)
		})}
}

// proofLines says what was found, where.
func proofLines(p api.JournalProof) []string {
	var lines []string
	for _, f := range p.Findings {
		parts := []string{"node " + p.Node + ":", f.What}
		if f.Record > 0 {
			parts = append(parts, fmt.Sprintf("at record %d", f.Record))
		}
		if f.Time != nil {
			parts = append(parts, "entry of "+when(f.Time), f.ID)
		}
		lines = append(lines, strings.Join(append(parts, f.Detail), " "))
	}
	if p.More > 0 {
		lines = append(lines, fmt.Sprintf("node %s: %d findings more", p.Node, p.More))
	}
	if p.LastSeen == nil {
		lines = append(lines, "node "+p.Node+": not compared with the other node, which has not been heard since this one started")
	}
	return lines
}
