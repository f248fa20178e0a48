package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"scada/history/journal"
	"scada/redundancy"
	"scada/redundancy/role"
	"scada/web"
	"scada/web/api"
)

// roleCommand changes roles, area by area.
func (s *Server) roleCommand(ctx context.Context, by web.Actor, cmd api.RoleCommand) (api.RoleResult, error) {
	names, err := s.orderedAreas(cmd)
	if err != nil {
		return api.RoleResult{}, roleProblem(err)
	}
	reason := by.User + ": " + cmd.Verb
	if cmd.Reason != "" {
		reason = by.User + ": " + cmd.Reason
	}
	began := time.Now()
	for _, name := range names {
		e := s.newEntry(journal.ClassRole, cmd.Verb, name, s.nodeName, by.User, cmd.Reason)
		err := s.roleVerb(ctx, name, reason, cmd)
		e.Result = "done"
		if err != nil {
			e.Result, e.Message = "refused", joinText(e.Message, err.Error())
		}
		s.areas[name].record(e)
		if err != nil {
			return api.RoleResult{}, roleProblem(err)
		}
	}
	res := api.RoleResult{Result: "done"}
	switch {
	case len(names) == 0:
		res.Detail = cmd.To + " is active already"
	case cmd.Verb == api.VerbSwitch || cmd.Verb == api.VerbDrill:
		res.Switch = s.switchSince(ctx, began)
	}
	return res, nil
}

// orderedAreas are the areas a command is for. A command for all of them is refused as a whole where it would do the
// opposite of what was meant for some.
func (s *Server) orderedAreas(cmd api.RoleCommand) ([]string, error) {
	if cmd.To != "" && s.cfg.Nodes[cmd.To].Name == "" {
		return nil, api.NewProblem(api.CodeNotFound, "no node %q", cmd.To)
	}
	var here, there []string // areas this node is active for, and the others
	for _, a := range s.pair.Status().Areas {
		switch {
		case cmd.Area != "" && a.Area != cmd.Area:
		case a.Role == role.Active:
			here = append(here, a.Area)
		default:
			there = append(there, a.Area)
		}
	}
	switch {
	case cmd.Verb == api.VerbSwitch && cmd.To == s.nodeName:
		return there, nil
	case cmd.Verb == api.VerbSwitch && cmd.To != "":
		return here, nil
	case cmd.Verb == api.VerbSwitch && len(here) > 0 && len(there) > 0:
		return nil, fmt.Errorf("%w: both nodes are active, %s for %s: name the area, or the node that shall have them all",
			redundancy.ErrRefused, s.nodeName, strings.Join(here, ", "))
	case cmd.Verb == api.VerbMaintenance && cmd.On && len(here) > 0:
		return nil, fmt.Errorf("%w: %s is active for %s: switch that to the other node first", redundancy.ErrRefused, s.nodeName, strings.Join(here, ", "))
	}
	return append(here, there...), nil
}

// switchSince waits for the complete record of a switch: it is made on the new active, and gets here with a heartbeat.
func (s *Server) switchSince(ctx context.Context, began time.Time) *api.Switch {
	for {
		sw := s.pair.Status().LastSwitch
		if sw != nil && sw.At.After(began.Add(-time.Second)) && sw.FirstValue > 0 {
			j := switchJSON(sw)
			return &j
		}
		if ctx.Err() != nil || time.Since(began) > 5*settleWithin {
			return nil
		}
		time.Sleep(settleEvery)
	}
}

func (s *Server) roleVerb(ctx context.Context, area, reason string, cmd api.RoleCommand) error {
	switch cmd.Verb {
	case api.VerbSwitch:
		return betweenWrites(ctx, func() error { return s.pair.Switch(ctx, area, reason) })
	case api.VerbTake:
		if !cmd.Force {
			return fmt.Errorf("%w: taking a role from a node that may be active needs force", redundancy.ErrRefused)
		}
		return s.pair.Take(area, reason)
	case api.VerbRelease:
		return s.pair.Release(area, reason)
	case api.VerbMaintenance:
		return s.pair.Maintenance(area, cmd.On, reason)
	case api.VerbDrill:
		return s.drill(ctx, area, reason)
	}
	return fmt.Errorf("%w: unknown verb %q", redundancy.ErrRefused, cmd.Verb)
}

const (
	busyText  = "device writes are under way"
	busyWait  = 5 * time.Second // how long an operator's switch waits for a moment without one
	busyRetry = 50 * time.Millisecond
)

// betweenWrites gives an order that is refused because of a write under way again until it falls between two writes.
func betweenWrites(ctx context.Context, order func() error) error {
	limit := time.Now().Add(busyWait)
	for {
		err := order()
		if err == nil || !errors.Is(err, redundancy.ErrRefused) || !strings.Contains(err.Error(), busyText) || time.Now().After(limit) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(busyRetry):
		}
	}
}

// drillPause is how long the other node acts in a drill: long enough for its first values and a look at the record.
const drillPause = 3 * time.Second

// drill moves the area to the other node and back.
func (s *Server) drill(ctx context.Context, area, reason string) error {
	if err := betweenWrites(ctx, func() error { return s.pair.Drill(ctx, area, reason) }); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(drillPause):
	}
	for {
		err := s.pair.Drill(ctx, area, reason+", and back")
		if err == nil || !errors.Is(err, redundancy.ErrRefused) || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the area could not be moved back: %w", err)
		case <-time.After(time.Second):
		}
	}
}

func roleProblem(err error) error {
	var known *api.Problem
	switch {
	case errors.As(err, &known):
	case errors.Is(err, redundancy.ErrRefused):
		return api.NewProblem(api.CodeNotReady, "%s", err)
	case errors.Is(err, redundancy.ErrNoPeer), errors.Is(err, redundancy.ErrNotActive):
		return api.NewProblem(api.CodeNotActive, "%s", err)
	case errors.Is(err, redundancy.ErrUnknownArea):
		return api.NewProblem(api.CodeNotFound, "%s", err)
	}
	return err
}
