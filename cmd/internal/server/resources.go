package server

import (
	"context"
	"fmt"
	"strings"

	"scada/alarms"
	"scada/cmd/internal/config"
	"scada/history/journal"
	"scada/redundancy/resource"
)

// NewResource makes the real thing of a configured resource.
func NewResource(c config.Resource) (resource.Resource, error) {
	switch c.Type {
	case config.ResourceVirtualIP:
		return resource.NewVirtualIP(c.Address, c.Interface)
	case config.ResourceCommand:
		return &resource.Command{Name: c.Name, StartArgs: c.Start, StopArgs: c.Stop, Check: c.Monitor}, nil
	}
	return nil, fmt.Errorf("type %q is unknown", c.Type)
}

// items are the resources of an area, in order.
func items(list []config.Resource, build func(config.Resource) (resource.Resource, error)) ([]resource.Item, error) {
	var out []resource.Item
	for _, c := range list {
		r, err := build(c)
		if err != nil {
			return nil, fmt.Errorf("resource %s: %w", c.Name, err)
		}
		out = append(out, resource.Item{Name: c.Name, Critical: c.Critical, Interval: c.Interval, Limits: c.Limits, Resource: r})
	}
	return out, nil
}

// buildResources gives every area its resources and takes away at once what an earlier process of this node left
// behind: no client should find a node at an address that it has not been given.
func (s *Server) buildResources(opts Options) error {
	if opts.Resource == nil {
		opts.Resource = NewResource
	}
	for _, c := range s.cfg.Areas {
		list, err := items(c.Resources, opts.Resource)
		if err != nil {
			return fmt.Errorf("area %s: %w", c.Name, err)
		}
		m := resource.New(resource.Options{
			Items: list, Log: s.log.With("component", "resources", "area", c.Name),
			Event: func(e resource.Event) { s.resourceEvent(c.Name, e) },
		})
		s.resources[c.Name] = m
		if _, err := m.Clean(s.ctx); err != nil {
			return fmt.Errorf("area %s: %w", c.Name, err)
		}
		// The last to stop: when a part above hangs and is left behind, its addresses are not.
		s.onStop("resources of "+c.Name, func(context.Context) error {
			_, err := m.Clean(context.Background())
			return err
		})
	}
	return nil
}

// resourceEvent writes what happens to a resource into the journal; the manager itself writes the log.
func (s *Server) resourceEvent(area string, e resource.Event) {
	message := strings.TrimSuffix(fmt.Sprintf("resource %s is %s: %s", e.Resource, e.Phase, e.Reason), ": ")
	entry := s.newEntry(journal.ClassSystem, "resource", area, e.Resource, alarms.System, message)
	entry.Result = e.Phase.String()
	s.areas[area].record(entry)
}

// Cleanup removes what a node that is not running (any more) left behind: its virtual addresses. It returns what there
// was, and does as much as it can.
func Cleanup(ctx context.Context, cfg *config.Config) ([]string, error) {
	var all []resource.Item
	for _, a := range cfg.Areas {
		list, err := items(a.Resources, NewResource)
		if err != nil {
			return nil, fmt.Errorf("area %s: %w", a.Name, err)
		}
		for i := range list {
			list[i].Name = a.Name + "/" + list[i].Name
		}
		all = append(all, list...)
	}
	return resource.New(resource.Options{Items: all}).Clean(ctx)
}
